"""Frames that figures draw: what `load_study` gives, joined and named."""

from __future__ import annotations

import pandas as pd

from datavol.study.load.study import UNUSED, Study, finished_of

NAMING = ("data", "recipe", "budget", "draw")
"""What is named beside the network where it differs within a frame."""

OF_A_RUN = ["label", "model", "fraction", "images", "seed", "parent", "state"]


def curve_labels(runs: pd.DataFrame, naming: tuple[str, ...] = NAMING) -> pd.Series:
    """The name of the curve that each run is a point of: the network, and of `naming` what differs within the frame."""
    varied = ["model"] + [name for name in naming if runs[name].nunique() > 1]
    return runs[varied].astype(str).agg(", ".join, axis=1) if len(runs) else pd.Series(index=runs.index, dtype=object)


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """The finished runs with a column `label`, for figures against data volume."""
    finished = finished_of(runs)
    return finished.assign(label=curve_labels(finished))


def comparable_labels(runs: pd.DataFrame) -> pd.Series:
    """The names of `curve_labels`, with the numbers of budget epochs and of classes where those differ."""
    told = {"epochs": " budget epochs", "classes": " classes"}
    words = runs.assign(**{name: runs[name].astype(str) + unit for name, unit in told.items()})
    return curve_labels(words, (*NAMING, *told))


def training_points(study: Study) -> pd.DataFrame:
    """Every evaluation of every run that may be used, finished or not, for training curves.

    Returns:
        `study.epochs` (accuracies and margins as shares), and of each run `name` (its folder's), `label` (network, and
        data, recipe, budget, draw, budget epochs or classes where they differ), `model`, `fraction`, `images`, `seed`,
        `parent`, `state`.
    """
    runs = study.runs[~study.runs["state"].isin(UNUSED)]
    named = runs.assign(label=comparable_labels(runs), name=runs["run"])
    return study.epochs.join(named[["name", *OF_A_RUN]], on="run")
