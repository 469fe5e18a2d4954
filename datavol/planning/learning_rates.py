"""A recipe's learning rate at any iteration, without torch: what `training.optimisation` makes torch's schedulers do.

Plans draw it: they import no torch, so as to start at once, and do not step through a million iterations. The tests
hold it against torch's schedulers, iteration by iteration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datavol.config import Config, ScheduleConfig
from datavol.planning.plan import Plan

SAMPLES = 2000
"""Iterations of a run at which its learning rate is looked up, evenly spread."""


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


def schedule_curves(plans: Sequence[Plan]) -> pd.DataFrame:
    """The learning rate of every planned run, each different course once.

    Returns:
        Rows of `model`, `schedule` (in words, durations in budget epochs, and the fractions that follow it),
        `iteration` (from 0), `budget_epoch` (begun so far, a real number) and `lr`.
    """
    courses: dict[tuple[object, ...], list[Plan]] = {}
    for plan in plans:
        config, budget = plan.run.config, plan.prepared.budget
        course = (config.recipe.optimiser.lr, config.recipe.schedule, budget.epochs, budget.iterations_per_epoch)
        courses.setdefault((config.model.name, *course), []).append(plan)
    return pd.concat([_curve(same) for same in courses.values()], ignore_index=True)


def _curve(plans: list[Plan]) -> pd.DataFrame:
    config, budget = plans[0].run.config, plans[0].prepared.budget
    iterations = np.unique(np.linspace(0, budget.iterations - 1, SAMPLES).astype(np.int64))
    recipe, size = config.recipe, (budget.epochs, budget.iterations_per_epoch)
    return pd.DataFrame(
        {
            "model": config.model.name,
            "schedule": f"{_in_words(config)}\n{_followed_by(plans)}",
            "iteration": iterations,
            "budget_epoch": iterations / budget.iterations_per_epoch,
            "lr": learning_rates(recipe.optimiser.lr, recipe.schedule, *size, iterations),
        }
    )


def _in_words(config: Config) -> str:
    """A schedule, durations in budget epochs."""
    schedule = config.recipe.schedule
    courses = {
        "step": f"times {schedule.gamma:g} every {schedule.step_size:g}",
        "cosine": f"cosine to {schedule.min_lr:g} at {config.epochs}",
        "constant": f"constant to {config.epochs}",
    }
    warmup = f"warm-up {schedule.warmup_epochs:g}, " if schedule.warmup_epochs else ""
    smooth = ", by iteration" if schedule.interval == "iteration" else ""
    return f"{config.recipe.optimiser.lr:g}: {warmup}{courses[schedule.name]}{smooth}"


def _followed_by(plans: list[Plan]) -> str:
    """The fractions that follow a schedule; of one alone, its durations in passes over the subset as well."""
    fractions = sorted({plan.prepared.subset.fraction for plan in plans})
    told = ", ".join(f"{100 * fraction:g}" for fraction in fractions) + " %"
    if len(fractions) > 1:
        return told
    name, (epochs, step, warmup) = plans[0].run.config.recipe.schedule.name, plans[0].units.exact
    passes = [f"warm-up {warmup:.4g}"] if warmup else []
    passes.append(f"every {step:.4g}" if name == "step" else f"{name} {epochs - warmup:.4g}")
    return f"{told}, in passes: {', '.join(passes)}"
