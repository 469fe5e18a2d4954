"""Labels runs and epochs for figures."""

import pandas as pd

from datavol.study.load.study import UNUSED, Study, finished_of

DRAWN = {"items": "images of all groups", "groups": "whole groups"}
"""What fractions count, by `draw_by`, in words."""

NAMING = ("data", "recipe", "budget", "draw", "draw_by")
# named beside the network where they differ within a frame
OF_A_RUN = ["label", "model", "fraction", "images", "seed", "parent", "state", "guess_top1", "guess_top5"]


def curve_labels(runs: pd.DataFrame, naming: tuple[str, ...] = NAMING) -> pd.Series:
    """Name each run's curve: the network, and the columns that differ."""
    varied = ["model"] + [name for name in naming if runs[name].nunique() > 1]
    if runs.empty:
        return pd.Series(index=runs.index, dtype=object)
    return runs[varied].replace({"draw_by": DRAWN}).astype(str).agg(", ".join, axis=1)


def with_mean_images(runs: pd.DataFrame) -> pd.DataFrame:
    """Give runs on whole groups the mean images of their fraction.

    Groups differ in size, so that seeds of one fraction have more or fewer images; they are one size of a curve.
    """
    whole = runs[runs["draw_by"] == "groups"]
    if whole.empty:
        return runs
    means = whole.groupby(["data", "full_size", "fraction"])["images"].transform("mean").astype(float).round()
    images = runs["images"].copy()
    images[whole.index] = means.astype(images.dtype)
    return runs.assign(images=images)


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """Add a column `label` to the finished runs."""
    finished = finished_of(runs)
    return finished.assign(label=curve_labels(finished))


def comparable_labels(runs: pd.DataFrame) -> pd.Series:
    """Name each run's curve, with budget epochs and classes where they differ."""
    units = {"epochs": " budget epochs", "classes": " classes"}
    words = runs.assign(**{name: runs[name].astype(str) + unit for name, unit in units.items()})
    return curve_labels(words, (*NAMING, *units))


def training_points(study: Study) -> pd.DataFrame:
    """Join usable runs' epochs with their `name` (the folder's), `label` and settings."""
    runs = study.runs[~study.runs["state"].isin(UNUSED)]
    # A configuration that was trained in two studies gives two folders of one name, which their paths tell apart
    alone = ~runs["run"].duplicated(keep=False)
    named = runs.assign(label=comparable_labels(runs), name=runs["run"].where(alone, runs["folder"]))
    return study.epochs.join(named[["name", *OF_A_RUN]], on="run")
