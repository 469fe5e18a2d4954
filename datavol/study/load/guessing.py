"""Fills in what guessing gives, for records from before it was recorded."""

from pathlib import Path

import numpy as np
import pandas as pd

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.runs.guessing import guessed
from datavol.study.load.kept import kept_predictions, readable_subsets

GUESSES = {"guess_top1": "val/top1", "guess_top5": "val/top5"}
"""Columns of `Study.runs`, and their keys in a record."""

ONE_EVALUATION = ["data", "fingerprint", "classes", "validation_images"]
"""Columns that runs have in common which were evaluated on the same images."""


def with_guesses(runs: pd.DataFrame) -> pd.DataFrame:
    """Fill in `guess_top1` and `guess_top5` where a record lacks them.

    The frequencies of the classes are those that another run on the same validation images recorded, else those of kept
    predictions' labels, else those of the largest subset, else equal.
    """
    unknown = runs["guess_top1"].isna() & runs["classes"].notna()
    if not unknown.any():
        return runs
    filled = runs.copy()
    for _, group in runs.groupby(ONE_EVALUATION, dropna=False, sort=False):
        lacking = group.index[unknown[group.index]]
        if len(lacking):
            filled.loc[lacking, list(GUESSES)] = _guesses(group)
    return filled


def _guesses(group: pd.DataFrame) -> list[float]:
    """Return the guesses of runs on the same validation images."""
    recorded = group[group["guess_top1"].notna()]
    if len(recorded):
        return [float(recorded[name].iloc[0]) for name in GUESSES]
    found = guessed(_images_per_class(group, int(group["classes"].iloc[0])))
    return [found.get(key, float("nan")) for key in GUESSES.values()]


def _images_per_class(group: pd.DataFrame, classes: int) -> np.ndarray:
    """Count, or estimate, the images of every class (classes,)."""
    folders, images = group[group["folder"].notna()], group["validation_images"].iloc[0]
    for folder in folders["folder"]:
        # Predictions of another number of images are a file from elsewhere
        if (kept := kept_predictions(folder)) is not None and (pd.isna(images) or len(kept.labels) == images):
            return np.bincount(kept.labels, minlength=classes)
    # The largest subset has the proportions of the full set most exactly; the first of those that are equally large
    for index in folders.sort_values("images", ascending=False, kind="stable").index:
        try:
            whole = readable_subsets(folders.loc[[index]])
        except ConfigError:
            continue
        return RunFolder(Path(whole["folder"].iloc[0])).images_per_class
    return np.ones(classes)  # nothing better known: all alike
