"""The learning rates of planned runs, for a figure: what a sweep would hold equal between fractions, or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from datavol.config import Config
from datavol.planning.learning_rates import learning_rates
from datavol.planning.plan import Plan

SAMPLES = 2000
"""Iterations of a run at which its learning rate is looked up, evenly spread."""


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
