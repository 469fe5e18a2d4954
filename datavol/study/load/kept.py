"""Reads what runs kept beside their records.

A damaged file costs its own run's part alone. Whoever reads here leaves a damaged run out; the audit counts and names
them (`damaged`).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, flat
from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions, together
from datavol.study.load.folds import parts_of


def kept_predictions(folder: Path | str, evaluation: str = "last") -> Predictions | None:
    """Read a run's predictions, of all folds; None unless whole."""
    try:
        parts = [_predictions(part, evaluation) for part in parts_of(folder)]
    except ConfigError:
        return None
    whole = [part for part in parts if part is not None]
    return together(whole) if len(whole) == len(parts) else None


def _predictions(folder: Path, evaluation: str = "last") -> Predictions | None:
    file = folder / "predictions" / f"{evaluation}.npz"
    try:
        kept = RunFolder(folder).predictions(evaluation)
        if kept is not None and not _whole(kept):
            raise ValueError("numbers that no evaluation gives")
    except Exception as error:  # whatever NumPy and zip make of a damaged file
        got = str(error) if isinstance(error, ConfigError) else f"{file}: {type(error).__name__} {flat(error)}"
        raise ConfigError(got) from None
    return kept


def _whole(kept: Predictions) -> bool:
    images = len(kept.labels)
    shapes = kept.classes.shape == kept.log_probabilities.shape and kept.classes.ndim == 2 and kept.labels.ndim == 1
    return bool(
        shapes
        and (kept.groups is None or kept.groups.shape == kept.labels.shape)
        and len(kept.classes) == images > 0
        and kept.classes.shape[1] > 1
        and np.isfinite(kept.log_probabilities[:, 0]).all()  # of the likeliest class; others may be -inf
        and not np.isnan(kept.log_probabilities).any()
        and min(kept.labels.min(), kept.classes.min()) >= 0
    )


def readable_subsets(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the runs whose subset can be read.

    Raises:
        ConfigError: If there is none, with the reason of the last.
    """
    reasons = {index: _subset_damage(Path(folder)) for index, folder in runs["folder"].items()}
    whole = runs[[reasons[index] is None for index in runs.index]]
    if whole.empty and reasons:
        raise ConfigError(str([*reasons.values()][-1]))
    return whole


def _subset_damage(folder: Path) -> str | None:
    run = RunFolder(folder)
    try:
        counts, indices = run.images_per_class, run.indices
        if counts.ndim != 1 or indices.ndim != 1 or counts.sum() != len(indices):
            raise ConfigError(f"{folder}/subset.npy must hold the images of subset.json, got {len(indices)}")
    except Exception as error:  # whatever NumPy and JSON make of a damaged file
        return str(error) if isinstance(error, ConfigError) else f"{folder}: {type(error).__name__} {flat(error)}"
    return None


def no_predictions(runs: pd.DataFrame) -> str:
    """Say why runs give no predictions: a damaged file, or none."""
    reasons = (reason for _, what, reason in damaged(runs) if what == "predictions")
    return next((f"got none whole: {reason}" for reason in reasons), "got none; train with predictions=last")


def damaged(runs: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """List runs' damaged files: the run's name, what, and why."""
    for name, folder in zip(runs["run"], runs["folder"], strict=True):
        if pd.isna(folder):  # from W&B, which has no files
            continue
        try:
            _predictions(Path(folder))
        except ConfigError as error:
            yield name, "predictions", str(error)
        if (reason := _subset_damage(Path(folder))) is not None:
            yield name, "subset", reason
