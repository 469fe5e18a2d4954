"""Freezes parts of a network, and groups what is trained by learning rate and decay."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from datavol.config.recipe import RecipeConfig
from datavol.errors import ConfigError
from datavol.training.networks.weights import last_layers

Groups = list[dict[str, Any]]

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Normalisations of torch, from which most of timm's are derived; `_norms` adds the others."""

MATCHERS: Mapping[str, Mapping[str, str]] = {
    "ResNet": {"stem": r"^conv1|bn1", "blocks": r"^layer(\d+)\.(\d+)", "stages": r"^layer(\d+)"},
    "MobileNetV2": {"stem": r"^features\.0\.", "blocks": r"^features\.(\d+)", "stages": r"^features\.(\d+)"},
}
"""Layers of torchvision's networks from the first to the last, as timm's own `group_matcher` writes them."""


def parameter_groups(network: nn.Module, recipe: RecipeConfig) -> Iterable[nn.Parameter] | Groups:
    """Group the parameters that are trained; one learning rate takes no groups.

    A group has `params`, and where layers learn at different speeds its `lr_scale`, relative to `recipe.optimiser.lr`.
    """
    named = {name: one for name, one in network.named_parameters() if one.requires_grad}
    undecayed = _undecayed(network) if recipe.optimiser.decay == "weights" else set()
    if not undecayed and recipe.layer_decay is None:
        return named.values()
    layers = _layers(network, "recipe.layer_decay", coarse=False) if recipe.layer_decay is not None else {}
    last = max(layers.values(), default=0)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named.items():
        layer, decays = layers.get(name, last), id(parameter) not in undecayed
        group = groups.setdefault((layer, decays), {"params": []})
        group["params"].append(parameter)
        if not decays:
            group["weight_decay"] = 0.0
        if recipe.layer_decay is not None:
            group["lr_scale"] = recipe.layer_decay ** (last - layer)
    return list(groups.values())


def _undecayed(network: nn.Module) -> set[int]:
    """Find normalisations' parameters, by their module's type, and biases."""
    norms = _norms()
    return {
        id(parameter)
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, norms) or name.endswith("bias")  # in_proj_bias of an attention as well
    }


def _norms() -> tuple[type[nn.Module], ...]:
    from timm.layers import norm  # late: it takes a second

    own = (one for name, one in vars(norm).items() if isinstance(one, type) and "Norm" in name)
    return (*NORMS, *(one for one in own if issubclass(one, nn.Module)))


def freeze(network: nn.Module, what: int | str) -> None:
    """Freeze all but the last layer (`body`), or the first stages.

    Raises:
        ConfigError: If the network's stages are not known, or none would be left.
    """
    if what == "body":
        head = tuple(f"{name}." for name in last_layers(network))
        frozen = {name for name, _ in network.named_parameters() if not name.startswith(head)}
    else:
        stages = _layers(network, "recipe.freeze", coarse=True)
        most = max(stages.values())
        if int(what) > most:
            raise ConfigError(
                f"recipe.freeze must be body or at most {most}, the stages before the last layer, got {what}; "
                "try recipe.freeze=body"
            )
        frozen = {name for name, stage in stages.items() if stage < int(what)}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)


def frozen_norms(network: nn.Module) -> list[nn.Module]:
    """List the batch normalisations of frozen layers, whose statistics stay."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.affine]
    return [norm for norm in norms if not any(one.requires_grad for one in norm.parameters())]


def _layers(network: nn.Module, key: str, *, coarse: bool) -> dict[str, int]:
    """Number each parameter's layer, or its stage if `coarse`, from 0 on."""
    from timm.models import group_parameters  # late: it takes a second

    return dict(group_parameters(network, _matcher(network, key, coarse), reverse=True))


def _matcher(network: nn.Module, key: str, coarse: bool) -> Any:
    of_network: Any = getattr(network, "group_matcher", None)  # timm's networks have it, and the user's own may
    if of_network is not None:
        return of_network(coarse=coarse)
    known = MATCHERS.get(type(network).__name__)
    if known is not None and type(network).__module__.startswith("torchvision."):
        return {"stem": known["stem"], "blocks": known["stages" if coarse else "blocks"]}
    remedy = "recipe.freeze=body" if key == "recipe.freeze" else f"{key}=null"
    raise ConfigError(
        f"{key} must be null with {type(network).__name__}, which has no group_matcher to say which layers follow each "
        f"other, got a value; try {remedy}"
    )
