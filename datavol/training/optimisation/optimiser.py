"""Builds a recipe's optimiser, of torch or of timm, by its name."""

import inspect
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from datavol.config.objects import build_object, takes_argument
from datavol.config.recipe import OptimiserConfig
from datavol.config.user_code import find_object, near
from datavol.errors import ConfigError, flat

Parameters = Iterable[nn.Parameter] | list[dict[str, Any]]

KEY = "recipe.optimiser"
UNFIT = {"lbfgs": "asks for the loss several times in a step", "sparseadam": "takes sparse gradients alone"}
USUAL_MOMENTUM = 0.9  # of the recipes in `conf/`


def build_optimiser(parameters: Parameters, optimiser: OptimiserConfig, *, fused: bool = True) -> Optimizer:
    """Build an optimiser, fused where SGD or AdamW can be.

    Raises:
        ConfigError: If there is none of this name, or it does not take what it is given.
    """
    groups = _scaled(parameters, optimiser.lr)
    if optimiser.target is not None:
        return _own(groups, optimiser, optimiser.target)
    if optimiser.library != "timm" and optimiser.name in ("sgd", "adamw"):
        return _usual(groups, optimiser, fused)
    made, kind = _found(optimiser)
    given = _arguments(optimiser, kind)
    return _built(kind, optimiser, lambda: made(groups, **given | optimiser.options))


def _own(groups: Parameters, optimiser: OptimiserConfig, target: str) -> Optimizer:
    """Build the user's optimiser, with the recipe's keys that it takes."""
    kind = find_object(target, KEY)
    given = _arguments(optimiser, kind)
    # as Hydra's partial object, since Hydra copies what it is called with, and parameters must stay themselves
    made = build_object(KEY, target, optimiser.options | {"_partial_": True})
    built = _built(kind, optimiser, lambda: made(groups, **given))
    if not isinstance(built, Optimizer):
        raise ConfigError(
            f"{KEY}._target_ must be a torch.optim.Optimizer, got a {type(built).__name__} of {target}; name its class"
        )
    return built


def _scaled(parameters: Parameters, lr: float) -> Parameters:
    """Give groups of parameters their own learning rates."""
    parts: list[Any] = list(parameters)
    if not isinstance(parts[0], dict):
        return parts
    return [{**group, "lr": lr * group.get("lr_scale", 1.0)} for group in parts]


def _usual(parameters: Parameters, optimiser: OptimiserConfig, fused: bool) -> Optimizer:
    """Build SGD or AdamW; by default weight decay covers all parameters (thesis)."""
    kind: type[Optimizer] = AdamW if optimiser.name == "adamw" else SGD
    given: dict[str, Any] = {"lr": optimiser.lr, "weight_decay": optimiser.weight_decay, "fused": fused}
    if optimiser.name == "adamw":
        given["betas"] = (optimiser.momentum, 0.999)
    else:
        given |= {"momentum": optimiser.momentum, "nesterov": optimiser.nesterov}
    _check_options(optimiser, kind)
    return _built(kind, optimiser, lambda: kind(parameters, **given | optimiser.options))


def _built(kind: Callable[..., Any], optimiser: OptimiserConfig, build: Callable[[], Optimizer]) -> Optimizer:
    try:
        return build()
    except Exception as error:  # a constructor may raise anything
        other = "; try recipe.optimiser.library=timm" if "Muon" in str(error) and optimiser.library != "timm" else ""
        raise ConfigError(
            f"{KEY} must be what {kind.__name__} takes, got {type(error).__name__}: {flat(error)[:200]}"
            f"{other or f'; check the keys of {KEY}'}"
        ) from None


def _found(optimiser: OptimiserConfig) -> tuple[Callable[..., Optimizer], type[Optimizer]]:
    """Find how to make an optimiser by its name, and its class."""
    from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers  # late: they take a second

    name, of_torch = optimiser.name, torch_optimisers()
    if name in UNFIT:
        raise _unfit(name, UNFIT[name])
    if name in of_torch and optimiser.library != "timm":
        return of_torch[name], of_torch[name]
    known = [] if optimiser.library == "torch" else [str(one) for one in list_optimizers()]
    if name.removeprefix("lookahead_") not in known:
        libraries = optimiser.library or "torch or timm"
        fitting = near(name.lower(), sorted({*known, *(of_torch if optimiser.library != "timm" else ())}))
        raise ConfigError(
            f"{KEY}.name must be an optimiser of {libraries}, got '{name}'; try {KEY}.name={fitting or 'sgd'}"
        )
    info = get_optimizer_info(name.removeprefix("lookahead_"))
    if info.second_order:
        raise _unfit(name, "takes second derivatives")
    kind = info.opt_class
    if isinstance(kind, str):
        package = kind.partition(".")[0]
        raise ConfigError(f"{KEY}.name must be installed, got {name} of {package}; try {KEY}.name=adamw")
    return lambda groups, **options: create_optimizer_v2(groups, name, **options), kind


def torch_optimisers() -> dict[str, type[Optimizer]]:
    """List torch's optimisers by their names in lower case."""
    kinds = (one for one in vars(torch.optim).values() if isinstance(one, type) and issubclass(one, Optimizer))
    return {kind.__name__.lower(): kind for kind in kinds if kind is not Optimizer}


def _unfit(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"{KEY}.name must be an optimiser that steps on the gradients of a batch, got {name}, which {why}; "
        f"try {KEY}.name=adamw"
    )


def _arguments(optimiser: OptimiserConfig, kind: type[Optimizer]) -> dict[str, Any]:
    """Collect what an optimiser's class takes of the recipe.

    Raises:
        ConfigError: If a key of the recipe would be without effect, or is no argument of the class.
    """
    _check_options(optimiser, kind)
    given: dict[str, Any] = {"lr": optimiser.lr}
    values = {
        "weight_decay": (optimiser.weight_decay, 0),
        "momentum": (optimiser.momentum, USUAL_MOMENTUM),
        "nesterov": (optimiser.nesterov, False),
    }
    for name, (value, without) in values.items():
        if takes_argument(kind, name):
            given[name] = value
        elif value != without and name not in optimiser.options:
            betas = inspect.signature(kind).parameters.get("betas") if name == "momentum" else None
            instead = f" '+{KEY}.betas={[value, *betas.default[1:]]}'".replace(" 0", "0") if betas else ""
            raise ConfigError(
                f"{KEY}.{name} must be {without} with {optimiser.target or optimiser.name}, which takes none, got "
                f"{value}; try {KEY}.{name}={str(without).lower()}{instead}"
            )
    if not optimiser.nesterov:  # timm's sgd has it of its own
        given.pop("nesterov", None)
    return {name: value for name, value in given.items() if name not in optimiser.options}


def _check_options(optimiser: OptimiserConfig, kind: Callable[..., Any]) -> None:
    """Raise a ConfigError unless options are arguments of a class."""
    for name, value in optimiser.options.items():
        if not takes_argument(kind, name):
            takes = [one for one in inspect.signature(kind).parameters if one not in ("self", "params")]
            fitting = near(name, takes)
            remedy = f"try +{KEY}.{fitting}={value}" if fitting else f"it takes {', '.join(takes)}"
            raise ConfigError(f"{KEY}.{name} must be an argument of {kind.__name__}, got an unknown one; {remedy}")


def check_optimiser(optimiser: OptimiserConfig) -> Optimizer:
    """Take a step on a few numbers and read the state back.

    Raises:
        ConfigError: If either fails.
    """
    shapes = ((4, 3, 3, 3), (4, 4), (4,))  # of a convolution, a linear layer, and a bias
    parameters = [nn.Parameter(torch.linspace(-1, 1, torch.Size(one).numel()).reshape(one)) for one in shapes]
    built = build_optimiser(parameters, optimiser)
    closures: list[float] = []

    def closure() -> float:
        closures.append(0.0)
        return 0.0

    try:
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        built.step(closure)
        file = io.BytesIO()
        torch.save(built.state_dict(), file)
        file.seek(0)
        state: Mapping[str, Any] = torch.load(file, weights_only=True)
        build_optimiser(parameters, optimiser).load_state_dict(dict(state))
    except Exception as error:  # an optimiser may raise anything
        raise ConfigError(
            f"{KEY} must take a step and keep its state as plain values, got {optimiser.target or optimiser.name} with "
            f"{type(error).__name__}: {flat(error)[:200]}; check the keys of {KEY}"
        ) from None
    if not closures:  # Lightning computes the gradients in it
        raise ConfigError(
            f"{KEY} must call the closure that its step is given, got {optimiser.target or optimiser.name}, which does "
            "not; begin step with: loss = None if closure is None else torch.enable_grad()(closure)()"
        )
    return built
