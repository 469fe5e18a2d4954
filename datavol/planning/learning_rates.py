"""A recipe's learning rate at any iteration, without torch: what `training.optimisation` makes torch's schedulers do.

Plans draw it: they import no torch, so as to start at once, and do not step through a million iterations. The tests
hold it against torch's schedulers, iteration by iteration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datavol.config import ScheduleConfig


def learning_rates(
    lr: float, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int, iterations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The learning rate of the optimiser steps at `iterations`, counted from 0.

    Args:
        lr: The recipe's, `recipe.optimiser.lr`.
        schedule: Durations in budget epochs.
        epochs: Budget epochs of the run.
        iterations_per_epoch: Iterations of a budget epoch.
        iterations: Any of them, any shape.
    """
    by_iteration = schedule.interval == "iteration"
    scale = iterations_per_epoch if by_iteration else 1
    time = iterations if by_iteration else iterations // iterations_per_epoch
    warmup = round(schedule.warmup_epochs * scale)
    rise = schedule.warmup_start + (1 - schedule.warmup_start) * time / max(warmup, 1)
    main = _main(lr, schedule, np.maximum(time - warmup, 0), epochs * scale - warmup, scale)
    found: NDArray[np.float64] = np.where(time < warmup, lr * rise, main)
    return found


def _main(
    lr: float, schedule: ScheduleConfig, time: NDArray[np.int64], duration: int, scale: int
) -> NDArray[np.float64]:
    """After the warm-up; `time` and `duration` in units of the schedule's interval."""
    if schedule.name == "step":
        decays = time // max(1, round(schedule.step_size * scale))
        return np.asarray(lr * schedule.gamma**decays)
    if schedule.name == "cosine":
        return np.asarray(schedule.min_lr + (lr - schedule.min_lr) * (1 + np.cos(np.pi * time / duration)) / 2)
    return np.full(time.shape, lr)
