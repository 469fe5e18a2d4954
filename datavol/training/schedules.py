"""Builds a recipe's learning-rate schedule from classes of torch or timm."""

import inspect
from typing import Any

from torch.optim import Optimizer
from torch.optim import lr_scheduler as of_torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from datavol.config.recipe import ScheduleConfig
from datavol.config.user_code import near
from datavol.errors import ConfigError, flat

KEY = "recipe.schedule"
OWN = ("step", "cosine", "constant")
OF_TIMM = ("cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant")
WHOLE = ("onecycle", "cyclic")  # they warm up themselves, and set momentum
UNFIT = ("chainedscheduler", "reducelronplateau", "lambda", "multiplicative", "sequential", "_lrscheduler", "")
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
    if schedule.library == "timm" or (schedule.name in OF_TIMM and schedule.name not in (*OWN, *torch_schedules())):
        return _of_timm(optimiser, schedule, epochs, iterations_per_epoch)
    scale = iterations_per_epoch if schedule.interval == "iteration" else 1  # scheduler steps per budget epoch
    warmup = round(schedule.warmup_epochs * scale)
    if schedule.min_lr and any("lr_scale" in group for group in optimiser.param_groups):
        raise ConfigError(
            f"{KEY}.min_lr must be 0 with recipe.layer_decay, whose layers end at learning rates of their own, got "
            f"{schedule.min_lr:g}; try {KEY}.min_lr=0 or {KEY}.library=timm"
        )
    if schedule.name == "exponential" and scale > 1:
        raise ConfigError(
            f"{KEY}.interval must be epoch with exponential, which decays at every step, got iteration; "
            f"try {KEY}.interval=epoch"
        )
    if warmup and schedule.name in WHOLE:
        raise ConfigError(
            f"{KEY}.warmup_epochs must be 0 with {schedule.name}, which has a warm-up of its own, got "
            f"{schedule.warmup_epochs:g}; try {KEY}.warmup_epochs=0"
        )
    main = _main_schedule(optimiser, schedule, epochs * scale - warmup, scale)
    if warmup == 0:
        return main
    rise = LinearLR(optimiser, start_factor=schedule.warmup_start, total_iters=warmup)
    return SequentialLR(optimiser, [rise, main], milestones=[warmup])  # `main` counts from 0 at the milestone


def _main_schedule(optimiser: Optimizer, schedule: ScheduleConfig, duration: int, scale: int) -> LRScheduler:
    if schedule.name not in OWN:
        return _of_torch(optimiser, schedule, duration, scale)
    if schedule.options:
        raise _unknown_argument(schedule, next(iter(schedule.options)), [])
    if schedule.name == "step":
        return StepLR(optimiser, step_size=max(1, round(schedule.step_size * scale)), gamma=schedule.gamma)
    if schedule.name == "cosine":
        return CosineAnnealingLR(optimiser, T_max=duration, eta_min=schedule.min_lr)
    return ConstantLR(optimiser, factor=1.0)  # torch's default factor of 1/3 is a warm-up


def torch_schedules() -> dict[str, type[LRScheduler]]:
    """List torch's schedules by their names in lower case, without LR."""
    kinds = [one for one in vars(of_torch).values() if isinstance(one, type) and issubclass(one, LRScheduler)]
    named = {kind.__name__.lower().removesuffix("lr"): kind for kind in kinds}
    return {name: kind for name, kind in named.items() if name not in UNFIT}


def _of_torch(optimiser: Optimizer, schedule: ScheduleConfig, duration: int, scale: int) -> LRScheduler:
    """Build a schedule of torch's by its name, from the recipe's keys and its own."""
    kind = torch_schedules().get(schedule.name)
    if kind is None:
        raise _unknown_schedule(schedule)
    takes = [name for name in inspect.signature(kind).parameters if name not in ("optimizer", "last_epoch")]
    for name in schedule.options:
        if name not in takes:
            raise _unknown_argument(schedule, name, takes)
    lrs = [group["lr"] for group in optimiser.param_groups]
    known: dict[str, Any] = {"total_iters": duration, "total_steps": duration, "eta_min": schedule.min_lr}
    known |= {"max_lr": lrs, "base_lr": [schedule.min_lr] * len(lrs)}
    known |= {"gamma": schedule.gamma} if schedule.name != "cyclic" else {}  # where it is another thing
    given = {name: value for name, value in known.items() if name in takes}
    own = {name: _steps(name, value, scale) if name in DURATIONS else value for name, value in schedule.options.items()}
    try:
        return kind(optimiser, **given | own)
    except Exception as error:  # a constructor may raise anything
        raise _refused(schedule, error) from None


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
    """Moves a scheduler of timm's, which computes any step anew, as one of torch's."""

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
    """Build a schedule of timm's by its name, with timm's own names for its arguments."""
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
    known |= {*OF_TIMM} if schedule.library is None else set()
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
        f"{KEY} must be what {schedule.name} takes, got {type(error).__name__}: {flat(error)[:200]}; "
        f"check the keys of {KEY}"
    )


def check_schedule(optimiser: Optimizer, schedule: ScheduleConfig, epochs: int) -> None:
    """Step a schedule of a few iterations per budget epoch from end to end.

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
