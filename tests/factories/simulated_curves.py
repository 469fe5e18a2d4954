"""Simulates studies of a known truth as frames, hundreds in seconds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from datavol.runs.columns import COLUMNS
from datavol.study.load.study import Study
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study

Truth = Callable[[np.ndarray], np.ndarray]
SEEDS = ["draw_seed", "init_seed", "order_seed"]
CHANCE = 0.9
FRACTIONS = (0.0625, 0.125, 0.25, 0.5, 1.0)


def saturating(n: np.ndarray) -> np.ndarray:
    """Return an error that floors at 12 %."""
    return 0.12 + 0.75 * (n / 100) ** -0.5


def power_law(n: np.ndarray) -> np.ndarray:
    """Return an error that falls by a fifth per doubling."""
    return 0.9 * (n / 50) ** -0.35


def grid(fractions: Sequence[float] = FRACTIONS, seeds: Sequence[tuple[int, int]] = ((0, 0),)) -> pd.DataFrame:
    """List runs at all fractions with all (draw seed, training seed)."""
    rows = [(fraction, draw, train, train) for fraction in fractions for draw, train in seeds]
    return pd.DataFrame(rows, columns=["fraction", *SEEDS])


def simulated_errors(
    rng: np.random.Generator,
    runs: pd.DataFrame,
    truth: Truth = saturating,
    *,
    full_size: int = 32_000,
    draw_sd: float = 0.0,
    train_sd: float = 0.0,
    noise: float = 0.01,
    test_size: int | None = 10_000,
) -> np.ndarray:
    """Simulate the error that each run measures.

    Args:
        truth: The error of the average run, by n.
        draw_sd: Standard deviation that a draw seed adds to z = logit(error / chance), at each fraction anew.
        train_sd: The same of a training seed.
        noise: The same of a run.
        test_size: Images that errors are counted on; None leaves them exact.
    """
    fractions, place = np.unique(runs["fraction"].to_numpy(), return_inverse=True)
    z = logit(truth(np.round(fractions * full_size)) / CHANCE)[place] + noise * rng.standard_normal(len(runs))
    for sd, seed in ((draw_sd, "draw_seed"), (train_sd, "init_seed")):
        _, level = np.unique(1000 * place + runs[seed].to_numpy(), return_inverse=True)
        z += sd * rng.standard_normal(len(runs))[level]
    error = CHANCE * expit(z)
    return error if test_size is None else rng.binomial(test_size, error) / test_size


def simulated_study(
    rng: np.random.Generator, runs: pd.DataFrame, truth: Truth = saturating, *, columns: Any = None, **settings: Any
) -> Study:
    """Simulate a study; `settings` go to `simulated_errors`, `columns` replaces ordinary ones."""
    top1 = 1 - simulated_errors(rng, runs, truth, **settings)
    full_size = settings.get("full_size", 32_000)
    ordinary = {
        **{"run": [f"run{i}" for i in range(len(runs))], "state": "finished", "fingerprint": "f", "classes": 10},
        **{"data": "made_up", "model": "resnet50", "recipe": "plain", "budget": "iterations", "draw": "independent"},
        **{"full_size": full_size, "images": (runs["fraction"] * full_size).round().astype(int)},
        **{"validation_images": settings.get("test_size", 10_000), "seed": runs["init_seed"]},
        **{"seconds_train": 3600.0, "seconds_val": 0.0, "top1": top1, "top5": 1 - (1 - top1) / 4},
        **{"best_top1": top1 + 0.001, "best_top5": 1 - (1 - top1) / 4},
    }
    frame = runs.assign(**(ordinary | (columns or {}))).reindex(columns=[column.name for column in COLUMNS])
    return Study(frame.astype({"folder": object}), pd.DataFrame())


def simulated_curves(
    rng: np.random.Generator, runs: pd.DataFrame, truth: Truth = saturating, *, count: int, **settings: Any
) -> Iterator[CurveRuns]:
    """Simulate curves that differ in errors; one goes through the frames."""
    (first,) = curves_of_study(simulated_study(rng, runs, truth, **settings))
    for _ in range(count):
        errors = simulated_errors(rng, runs, truth, **settings)
        yield replace(first, runs=first.runs.assign(error=errors, best_error=errors))
