"""Builds a recipe's optimiser and learning-rate schedule from torch's own classes."""

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from datavol.config.recipe import OptimiserConfig, ScheduleConfig


def build_optimiser(parameters: Iterable[nn.Parameter], optimiser: OptimiserConfig) -> Optimizer:
    """Build SGD or AdamW; weight decay covers all parameters (thesis)."""
    # fused: one kernel updates all parameters, which saves a launch for each on a GPU
    if optimiser.name == "adamw":
        betas = (optimiser.momentum, 0.999)
        return AdamW(parameters, lr=optimiser.lr, betas=betas, weight_decay=optimiser.weight_decay, fused=True)
    return SGD(
        parameters,
        lr=optimiser.lr,
        momentum=optimiser.momentum,
        nesterov=optimiser.nesterov,
        weight_decay=optimiser.weight_decay,
        fused=True,
    )


def build_schedule(
    optimiser: Optimizer, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int
) -> LRScheduler:
    """Build a scheduler, to be stepped once per `schedule.interval`.

    Durations are in budget epochs. With `interval: iteration` they are counted in iterations (rounded), so that a
    cosine and a warm-up move smoothly and a step may fall inside a budget epoch. Warm-up rises linearly from
    `warmup_start` and is followed by the schedule over the remaining time (torchvision's reference train.py).
    """
    scale = iterations_per_epoch if schedule.interval == "iteration" else 1  # scheduler steps per budget epoch
    warmup = round(schedule.warmup_epochs * scale)
    main = _main_schedule(optimiser, schedule, epochs * scale - warmup, scale)
    if warmup == 0:
        return main
    rise = LinearLR(optimiser, start_factor=schedule.warmup_start, total_iters=warmup)
    return SequentialLR(optimiser, [rise, main], milestones=[warmup])  # `main` counts from 0 at the milestone


def _main_schedule(optimiser: Optimizer, schedule: ScheduleConfig, duration: int, scale: int) -> LRScheduler:
    if schedule.name == "step":
        return StepLR(optimiser, step_size=max(1, round(schedule.step_size * scale)), gamma=schedule.gamma)
    if schedule.name == "cosine":
        return CosineAnnealingLR(optimiser, T_max=duration, eta_min=schedule.min_lr)
    return ConstantLR(optimiser, factor=1.0)  # torch's default factor of 1/3 is a warm-up
