"""Computes a recipe's learning rate at any iteration, without torch.

Plans draw it: they import no torch, so as to start at once, and do not step through a million iterations. The tests
compare it with the schedulers of `training.optimisation`, iteration by iteration.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datavol.config.recipe import ScheduleConfig
from datavol.config.run import Config
from datavol.planning.plan import Plan

OWN = ("step", "cosine", "constant")  # computed here, the others by the libraries
DRAWN = 2000  # iterations of a run at which its learning rate is drawn, evenly spread


def learning_rates(
    lr: float, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int, iterations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the learning rates of `iterations`, counted from 0, of any shape.

    Schedules of torch, timm or the user are stepped from the first to the last: that imports torch.
    """
    own = schedule.name in OWN or schedule.cooldown is not None
    if not own or schedule.library == "timm" or schedule.target is not None:
        return _stepped(lr, schedule, epochs, iterations_per_epoch, iterations)
    # time in scheduler steps: iterations, or budget epochs, of which a scale of 1 makes one step
    by_iteration = schedule.interval == "iteration"
    scale = iterations_per_epoch if by_iteration else 1
    time = iterations if by_iteration else iterations // iterations_per_epoch
    warmup = round(schedule.warmup_epochs * scale)
    # both branches at every time, as `where` needs them: hence the guards against division by 0 and negative times
    rise = schedule.warmup_start + (1 - schedule.warmup_start) * time / max(warmup, 1)
    if schedule.cooldown is not None:
        start = schedule.hold(epochs) * scale
        progress = np.maximum(time - start, 0) / (epochs * scale - start)
        main = np.asarray(schedule.min_lr + (lr - schedule.min_lr) * (1 - np.sqrt(progress)))
    else:
        main = _main(lr, schedule, np.maximum(time - warmup, 0), epochs * scale - warmup, scale)
    rates: NDArray[np.float64] = np.where(time < warmup, lr * rise, main)
    return rates


def _stepped(
    lr: float, schedule: ScheduleConfig, epochs: int, iterations_per_epoch: int, iterations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Step a library's schedule along the whole run, of one parameter."""
    from datavol.training.optimisation.schedules import stepped_rates  # late: it imports torch

    steps = epochs * (iterations_per_epoch if schedule.interval == "iteration" else 1)
    rates = np.array(stepped_rates(lr, schedule, epochs, iterations_per_epoch, steps))
    return rates[iterations if schedule.interval == "iteration" else iterations // iterations_per_epoch]


def _main(
    lr: float, schedule: ScheduleConfig, time: NDArray[np.int64], duration: int, scale: int
) -> NDArray[np.float64]:
    """Compute learning rates after the warm-up; `time` counts scheduler steps from there."""
    if schedule.name == "step":
        decays = time // max(1, round(schedule.step_size * scale))
        return np.asarray(lr * schedule.gamma**decays)
    if schedule.name == "cosine":
        return np.asarray(schedule.min_lr + (lr - schedule.min_lr) * (1 + np.cos(np.pi * time / duration)) / 2)
    return np.full(time.shape, lr)


def schedule_curves(plans: Sequence[Plan]) -> pd.DataFrame:
    """Tabulate the learning rates of planned runs, equal schedules once.

    Returns:
        Rows of `model`, `schedule` (as text, durations in budget epochs, and the fractions that follow it),
        `iteration` (from 0), `budget_epoch` (begun so far, a real number) and `lr`.
    """
    same: dict[tuple[object, ...], list[Plan]] = {}  # plans by all that their learning rates depend on
    for plan in plans:
        config, budget = plan.run.config, plan.prepared.budget
        key = (config.recipe.optimiser.lr, config.recipe.schedule, budget.epochs, budget.iterations_per_epoch)
        same.setdefault((config.model.name, *key), []).append(plan)
    return pd.concat([_curve(group) for group in same.values()], ignore_index=True)


def _curve(plans: list[Plan]) -> pd.DataFrame:
    config, budget = plans[0].run.config, plans[0].prepared.budget
    iterations = np.unique(np.linspace(0, budget.iterations - 1, DRAWN).astype(np.int64))  # first and last included
    recipe, size = config.recipe, (budget.epochs, budget.iterations_per_epoch)
    return pd.DataFrame(
        {
            "model": config.model.name,
            "schedule": f"{_schedule_text(config)}\n{_fractions_text(plans)}",
            "iteration": iterations,
            "budget_epoch": iterations / budget.iterations_per_epoch,
            "lr": learning_rates(recipe.optimiser.lr, recipe.schedule, *size, iterations),
        }
    )


def _schedule_text(config: Config) -> str:
    schedule = config.recipe.schedule  # durations in budget epochs
    texts = {
        "step": f"times {schedule.gamma:g} every {schedule.step_size:g}",
        "cosine": f"cosine to {schedule.min_lr:g} at {config.epochs}",
        "constant": f"constant to {config.epochs}",
    }
    warmup = f"warm-up {schedule.warmup_epochs:g}, " if schedule.warmup_epochs else ""
    smooth = ", by iteration" if schedule.interval == "iteration" else ""
    if schedule.cooldown is not None:
        texts["wsd"] = f"constant to {schedule.hold(config.epochs)}, down to {schedule.min_lr:g} at {config.epochs}"
    named = f"{schedule.target or schedule.name} to {config.epochs}"
    text = named if schedule.target else texts.get(schedule.name, named)
    return f"{config.recipe.optimiser.lr:g}: {warmup}{text}{smooth}"


def _fractions_text(plans: list[Plan]) -> str:
    fractions = sorted({plan.prepared.subset.fraction for plan in plans})
    text = ", ".join(f"{100 * fraction:g}" for fraction in fractions) + " %"
    if len(fractions) > 1:  # a pass over the subset is another duration for each of them
        return text
    name, (epochs, step, warmup) = plans[0].run.config.recipe.schedule.name, plans[0].units.exact
    passes = [f"warm-up {warmup:.4g}"] if warmup else []
    passes.append(f"every {step:.4g}" if name == "step" else f"{name} {epochs - warmup:.4g}")
    return f"{text}, in passes: {', '.join(passes)}"
