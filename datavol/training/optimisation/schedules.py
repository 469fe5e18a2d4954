"""Builds a recipe's learning-rate schedule from classes of torch or timm."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim import lr_scheduler as of_torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

from datavol.config.objects import build_object, takes_argument
from datavol.config.recipe import ScheduleConfig
from datavol.config.user_code import find_object, near
from datavol.errors import ConfigError, flat

KEY = "recipe.schedule"
OWN = ("step", "cosine", "constant")
OF_TIMM = ("cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant")
WHOLE = ("onecycle", "cyclic")  # they warm up themselves, and set momentum
UNFIT = ("chained", "reducelronplateau", "lambda", "multiplicative", "sequential", "_", "")
DURATIONS = ("T_0", "T_max", "milestones", "step_size_up", "step_size_down", "total_iters", "total_steps")
"""Arguments of torch's classes that count scheduler steps; here, as all durations, budget epochs."""
FEW = 20  # iterations of a budget epoch, to try a schedule


def build_schedule(
    optimiser: Optimizer, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int
) -> LRScheduler:
    """Build a scheduler, to be stepped once per `schedule.interval`.

    Durations are in budget epochs. With `interval: iteration` they are counted in iterations (rounded), so that a
    cosine and a warm-up move smoothly and a step may fall inside a budget epoch. Warm-up rises linearly from
    `warmup_start` and is followed by the schedule over the remaining time (torchvision's reference train.py).

    Raises:
        ConfigError: If there is none of this name, or it does not take what it is given.
    """
    of_timm = schedule.name in OF_TIMM and schedule.name not in (*OWN, *torch_schedules())
    of_timm = of_timm and schedule.cooldown is None  # which wsd of datavol's own has
    if schedule.target is None and (of_timm or schedule.library == "timm"):
        return _of_timm(optimiser, schedule, epochs, iterations_per_epoch)
    scale = iterations_per_epoch if schedule.interval == "iteration" else 1  # scheduler steps per budget epoch
    warmup = round(schedule.warmup_epochs * scale)
    if schedule.min_lr and any("lr_scale" in group for group in optimiser.param_groups):
        raise ConfigError(
            f"{KEY}.min_lr must be 0 with recipe.layer_decay, whose layers end at learning rates of their own, got "
            f"{schedule.min_lr:g}; try {KEY}.min_lr=0 or {KEY}.library=timm"
        )
    if schedule.name == "exponential" and schedule.target is None and scale > 1:
        raise ConfigError(
            f"{KEY}.interval must be epoch with exponential, which decays at every step, got iteration; "
            f"try {KEY}.interval=epoch"
        )
    if warmup and schedule.name in WHOLE and schedule.target is None:
        raise ConfigError(
            f"{KEY}.warmup_epochs must be 0 with {schedule.name}, which has a warm-up of its own, got "
            f"{schedule.warmup_epochs:g}; try {KEY}.warmup_epochs=0"
        )
    if schedule.cooldown is not None:
        main = _cool_down(optimiser, schedule, schedule.hold(epochs) * scale - warmup, epochs * scale - warmup)
    else:
        main = _main_schedule(optimiser, schedule, epochs * scale - warmup, scale)
    if warmup == 0:
        return main
    rise = LinearLR(optimiser, start_factor=schedule.warmup_start, total_iters=warmup)
    return SequentialLR(optimiser, [rise, main], milestones=[warmup])  # `main` counts from 0 at the milestone


def _main_schedule(optimiser: Optimizer, schedule: ScheduleConfig, duration: int, scale: int) -> LRScheduler:
    if schedule.target is not None:
        return _own(optimiser, schedule, schedule.target, _known(optimiser, schedule, duration))
    if schedule.name not in OWN:
        return _of_torch(optimiser, schedule, duration, scale)
    if schedule.options:
        raise _unknown_argument(schedule, next(iter(schedule.options)), [])
    if schedule.name == "step":
        return StepLR(optimiser, step_size=max(1, round(schedule.step_size * scale)), gamma=schedule.gamma)
    if schedule.name == "cosine":
        return CosineAnnealingLR(optimiser, T_max=duration, eta_min=schedule.min_lr)
    return ConstantLR(optimiser, factor=1.0)  # torch's default factor of 1/3 is a warm-up


def _cool_down(optimiser: Optimizer, schedule: ScheduleConfig, start: int, end: int) -> LRScheduler:
    """Hold the rate until step `start`, then let it fall as 1 - sqrt (Haegele et al. 2024).

    Before `start` nothing depends on `start` or `end`, so that runs of all lengths are one there.
    """

    def factor_to(least: float) -> Callable[[int], float]:
        def factor(step: int) -> float:
            if step <= start:
                return 1.0  # exactly: what the formula gives there is a bit off for some of `least`
            return least + (1 - least) * (1 - math.sqrt(min(1.0, (step - start) / (end - start))))

        return factor

    return LambdaLR(optimiser, [factor_to(schedule.min_lr / group["lr"]) for group in optimiser.param_groups])


def torch_schedules() -> dict[str, type[LRScheduler]]:
    """List torch's schedules by their names in lower case, without LR."""
    kinds = [one for one in vars(of_torch).values() if isinstance(one, type) and issubclass(one, LRScheduler)]
    named = {kind.__name__.lower().removesuffix("scheduler").removesuffix("lr"): kind for kind in kinds}
    return {name: kind for name, kind in named.items() if name not in UNFIT}


def _of_torch(optimiser: Optimizer, schedule: ScheduleConfig, duration: int, scale: int) -> LRScheduler:
    """Build a schedule of torch's by name, from the recipe's keys."""
    kind = torch_schedules().get(schedule.name)
    if kind is None:
        raise _unknown_schedule(schedule)
    takes = [name for name in inspect.signature(kind).parameters if name not in ("optimizer", "last_epoch")]
    for name in schedule.options:
        if name not in takes:
            raise _unknown_argument(schedule, name, takes)
    known = _known(optimiser, schedule, duration)
    if schedule.name == "cyclic":
        known.pop("gamma")  # another thing there
    given = {name: value for name, value in known.items() if name in takes}
    own = {name: _steps(name, value, scale) if name in DURATIONS else value for name, value in schedule.options.items()}
    try:
        return kind(optimiser, **given | own)
    except Exception as error:  # a constructor may raise anything
        raise _refused(schedule, error) from None


def _known(optimiser: Optimizer, schedule: ScheduleConfig, duration: int) -> dict[str, Any]:
    """Name what the recipe says as the arguments of torch's classes do."""
    lrs = [group["lr"] for group in optimiser.param_groups]
    return {
        **dict.fromkeys(("total_iters", "total_steps", "T_max"), duration),
        "eta_min": schedule.min_lr,
        "gamma": schedule.gamma,
        "max_lr": lrs,
        "base_lr": [schedule.min_lr] * len(lrs),
    }


def _own(optimiser: Optimizer, schedule: ScheduleConfig, target: str, known: dict[str, Any]) -> LRScheduler:
    """Build the user's schedule from the recipe's keys that it takes."""
    kind = find_object(target, KEY)
    made = build_object(KEY, target, schedule.options | {"_partial_": True})  # Hydra would copy the optimiser
    given = {name: one for name, one in known.items() if takes_argument(kind, name) and name not in schedule.options}
    try:
        built = made(optimiser, **given)
    except Exception as error:  # a class of the user's may raise anything
        raise _refused(schedule, error) from None
    if not isinstance(built, LRScheduler):
        raise ConfigError(
            f"{KEY}._target_ must be a torch.optim.lr_scheduler.LRScheduler, got a {type(built).__name__} of {target}; "
            "name its class"
        )
    return built


def _steps(name: str, epochs: Any, scale: int) -> Any:
    """Convert budget epochs, one number or several, to scheduler steps."""
    if isinstance(epochs, list):
        return [_steps(name, one, scale) for one in epochs]
    if not isinstance(epochs, (int, float)) or (scale == 1 and epochs != int(epochs)):
        raise ConfigError(
            f"{KEY}.{name} must be budget epochs, whole ones when the LR moves once an epoch, got {epochs}; "
            f"try {KEY}.interval=iteration"
        )
    return round(epochs * scale)


class TimmSchedule(LRScheduler):
    """Wraps a scheduler of timm's as one of torch's."""

    def __init__(self, optimiser: Optimizer, scheduler: Any) -> None:
        self.scheduler = scheduler
        super().__init__(optimiser)

    def get_lr(self) -> list[float]:  # type: ignore[override]
        """Compute the learning rates at the step that is due."""
        if self.last_epoch > 0:  # before that, timm has set them
            (self.scheduler.step if self.scheduler.t_in_epochs else self.scheduler.step_update)(self.last_epoch)
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the step, of which all follows."""
        return {"last_epoch": self.last_epoch}


def _of_timm(optimiser: Optimizer, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int) -> LRScheduler:
    """Build a schedule of timm's by name, with timm's argument names."""
    from timm.scheduler import create_scheduler_v2  # late: it takes a second

    if schedule.name not in OF_TIMM:
        raise _unknown_schedule(schedule)
    takes = [name for name in inspect.signature(create_scheduler_v2).parameters if name not in ("optimizer", "sched")]
    for name in schedule.options:
        if name not in takes:
            raise _unknown_argument(schedule, name, takes)
    lr = max(group["lr"] for group in optimiser.param_groups)
    for group in optimiser.param_groups:
        if "lr_scale" in group:  # by which timm multiplies itself
            group["lr"] = lr
    given = {
        "num_epochs": epochs,
        "updates_per_epoch": iterations_per_epoch,
        "step_on_epochs": schedule.interval == "epoch",
        "min_lr": schedule.min_lr,
        "warmup_epochs": schedule.warmup_epochs,
        "warmup_lr": schedule.warmup_start * lr,
        "decay_rate": schedule.gamma,
    }
    given |= {"decay_epochs": schedule.step_size} if schedule.name == "step" else {}
    try:
        return TimmSchedule(optimiser, create_scheduler_v2(optimiser, schedule.name, **given | schedule.options)[0])
    except Exception as error:  # a constructor may raise anything
        raise _refused(schedule, error) from None


def _unknown_schedule(schedule: ScheduleConfig) -> ConfigError:
    if "plateau" in schedule.name.lower():
        return ConfigError(
            f"{KEY}.name must be a schedule that all fractions share, got {schedule.name}, which follows each run's "
            f"own evaluations; try {KEY}.name=cosine"
        )
    known = {*OF_TIMM} if schedule.library == "timm" else {*OWN, *torch_schedules()}
    known |= {*OF_TIMM} if schedule.library is None else set()  # wsd among them, which is datavol's own as well
    fitting = near(schedule.name.lower().removesuffix("lr"), sorted(known)) or "cosine"
    return ConfigError(
        f"{KEY}.name must be one of {', '.join(sorted(known))}, got '{schedule.name}'; try {KEY}.name={fitting}"
    )


def _unknown_argument(schedule: ScheduleConfig, name: str, takes: list[str]) -> ConfigError:
    fitting = near(name, takes)
    remedy = f"try +{KEY}.{fitting}={schedule.options[name]}" if fitting else f"it takes {', '.join(takes) or 'none'}"
    return ConfigError(f"{KEY}.{name} must be an argument of {schedule.name}, got an unknown one; {remedy}")


def _refused(schedule: ScheduleConfig, error: Exception) -> ConfigError:
    return ConfigError(
        f"{KEY} must be what {schedule.target or schedule.name} takes, got {type(error).__name__}: "
        f"{flat(error)[:200]}; check the keys of {KEY}"
    )


def check_schedule(optimiser: Optimizer, schedule: ScheduleConfig, epochs: int) -> None:
    """Step a short schedule from end to end.

    Raises:
        ConfigError: If it cannot be built, or fails on its way.
    """
    built = build_schedule(optimiser, schedule, epochs, FEW)
    try:
        for _ in range(epochs * (FEW if schedule.interval == "iteration" else 1)):
            optimiser.step()
            built.step()
    except Exception as error:  # a schedule may raise anything
        raise _refused(schedule, error) from None


def stepped_rates(
    lr: float, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int, steps: int
) -> list[float]:
    """Step a schedule of one parameter, and list its learning rates."""
    optimiser = SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    built, rates = build_schedule(optimiser, schedule, epochs, iterations_per_epoch), []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        built.step()
    return rates
