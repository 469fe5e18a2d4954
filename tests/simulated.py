"""Made-up studies as frames, without folders: fast enough to make hundreds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from datavol.study.facts import COLUMNS
from datavol.study.loading import Study

Truth = Callable[[np.ndarray], np.ndarray]
SEEDS = ["draw_seed", "init_seed", "order_seed"]
FRACTIONS = (0.0625, 0.125, 0.25, 0.5, 1.0)


def saturating(n: np.ndarray) -> np.ndarray:
    """An error that floors at 12 %."""
    return 0.12 + 0.75 * (n / 100) ** -0.5


def power_law(n: np.ndarray) -> np.ndarray:
    """An error that falls by a fifth per doubling."""
    return 0.9 * (n / 50) ** -0.35


def grid(fractions: Sequence[float] = FRACTIONS, seeds: Sequence[tuple[int, int]] = ((0, 0),)) -> pd.DataFrame:
    """Runs at all fractions with all pairs of (draw seed, training seed)."""
    rows = [(fraction, draw, train, train) for fraction in fractions for draw, train in seeds]
    return pd.DataFrame(rows, columns=["fraction", *SEEDS])


def simulated_study(
    rng: np.random.Generator,
    runs: pd.DataFrame,
    truth: Truth = saturating,
    *,
    full_size: int = 32_000,
    draw_sd: float = 0.0,
    train_sd: float = 0.0,
    noise: float = 0.01,
    test_size: int | None = 10_000,
    **columns: Any,
) -> Study:
    """A study of finished runs.

    Args:
        truth: The error of the average run, by n.
        draw_sd: Standard deviation that a draw seed adds to the logarithm of the error, at each fraction anew.
        train_sd: The same of a training seed.
        noise: The same of a run.
        test_size: Images that errors are counted on; None leaves them exact.
        columns: Of `Study.runs`, instead of the ordinary ones.
    """
    n = np.round(runs["fraction"].to_numpy() * full_size)
    logs = np.log(truth(n)) + noise * rng.standard_normal(len(n))
    for sd, seeds in ((draw_sd, ["draw_seed"]), (train_sd, SEEDS[1:])):
        level = runs.groupby(["fraction", *seeds]).ngroup().to_numpy()
        logs += sd * rng.standard_normal(len(n))[level]
    error = np.clip(np.exp(logs), 0, 1)
    top1 = 1 - (error if test_size is None else rng.binomial(test_size, error) / test_size)
    ordinary = {
        **{"state": "finished", "data": "made_up", "model": "resnet50", "recipe": "plain", "budget": "iterations"},
        **{"draw": "independent", "fingerprint": "f", "classes": 10, "full_size": full_size, "images": n.astype(int)},
        **{"validation_images": test_size, "seed": runs["init_seed"], "seconds_train": 3600.0, "seconds_val": 0.0},
        **{"top1": top1, "top5": 1 - (1 - top1) / 4, "best_top1": top1 + 0.001, "best_top5": 1 - (1 - top1) / 4},
    }
    frame = runs.assign(**(ordinary | columns)).reindex(columns=list(COLUMNS))
    return Study(frame.astype({"folder": object}), pd.DataFrame())
