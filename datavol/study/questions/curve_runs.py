"""Splits the runs of a study into learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, InsufficientData
from datavol.runs.folder import RunFolder
from datavol.study.audit.findings import list_fractions
from datavol.study.curves.learning_curve import LearningCurve, fit_learning_curve
from datavol.study.load.kept import kept_predictions, readable_subsets
from datavol.study.load.study import STATES, Study, finished_of

Metric = Literal["top1", "top5"]
Column = Literal["error", "best_error"]
RANKS: dict[str, int] = {"top1": 1, "top5": 5}  # how many of the likeliest classes may be the true one

CURVE_COLUMNS = ["data", "model", "recipe", "budget", "draw"]
"""Columns that the runs of a learning curve have in common; fractions and seeds vary along it."""


@dataclass(frozen=True, eq=False)
class CurveRuns:
    """Stores the finished runs of one learning curve.

    Attributes:
        name: The curve's name in a sentence.
        metric: `top1` or `top5`.
        runs: The finished runs: the columns of `Study.runs`, `error` (of the last evaluation) and `best_error` (of
            the best one), shares.
        left_out: Number of runs that are not used, by state.
    """

    name: str
    metric: Metric
    runs: pd.DataFrame
    left_out: Mapping[str, int]

    @property
    def full_size(self) -> int:
        """Return the number of images in the full training set."""
        return int(self.runs["full_size"].iloc[0])

    @property
    def test_size(self) -> int | None:
        """Return the least number of validation images, None if unknown."""
        sizes = self.runs["validation_images"].dropna()
        return int(sizes.min()) if len(sizes) else None

    @cached_property
    def chance_error(self) -> float:
        """Compute the error of always guessing the most frequent class.

        For top-5 it is that of guessing the five most frequent ones. Frequencies are those of the validation images
        where predictions were kept, else those of the training subset, else equal.

        Raises:
            InsufficientData: If the runs were trained on different versions of the data, the number of classes is not
                known, or guessing is always right.
        """
        for column in ("full_size", "fingerprint", "classes"):
            if self.runs[column].nunique() > 1:
                raise InsufficientData(
                    f"cannot say: these runs were trained on different versions of the data ({column}); bring one "
                    "version back, and train those runs again"
                )
        frequency = _class_frequencies(self.runs)
        # The k most frequent classes together, k = 1 or 5, are guessed right so often
        chance = 1 - float(np.sort(frequency)[::-1][: RANKS[self.metric]].sum())
        if chance < 1e-9:
            raise InsufficientData(
                f"cannot say: with {len(frequency)} classes every {self.metric} guess is right; ask of top1"
            )
        return chance

    @property
    def provenance(self) -> str:
        """Describe how many runs were used, and how many left out."""
        used = f"from {len(self.runs)} finished runs at {self.runs['fraction'].nunique()} fractions"
        if not self.left_out:
            return used
        return f"{used}; left out: " + ", ".join(f"{count} {state}" for state, count in self.left_out.items())

    def fit(self, level: float, column: Column = "error") -> LearningCurve:
        """Fit the learning curve.

        Raises:
            InsufficientData: If there are fewer than three fractions, all is at chance, or a run lacks the metric.
        """
        if self.runs[column].isna().any():
            raise InsufficientData(f"cannot say: not every run recorded {self.metric}; ask of top1")
        fractions = sorted(self.runs["fraction"].unique())
        if len(fractions) < 3 or self.runs["images"].nunique() < 3:
            count = f"{len(fractions)} ({list_fractions(fractions)})" if fractions else "none"
            raise InsufficientData(
                f"cannot say: a curve takes three measured fractions, there are {count}; train on more"
            )
        return fit_learning_curve(
            self.runs["images"].to_numpy(float),
            self.runs[column].to_numpy(float),
            chance_error=self.chance_error,
            test_size=self.test_size,
            level=level,
        )

    def fraction_of(self, n: float) -> float:
        """Return the fraction that `n` images are."""
        # As the command line had it where a run has n images: rounding to whole images moves n / full_size
        known = dict(zip(self.runs["images"], self.runs["fraction"], strict=True))
        return float(known[n]) if n in known else n / self.full_size


def curves_of_study(study: Study, metric: Metric = "top1") -> list[CurveRuns]:
    """Split a study into its learning curves, sorted by `CURVE_COLUMNS`.

    Only finished runs are used; the others are counted, those whose record cannot be read in every curve.

    Raises:
        ConfigError: If the metric is unknown.
    """
    if metric not in RANKS:
        raise ConfigError(f"metric must be one of {', '.join(RANKS)}, got {metric!r}")
    unreadable = study.runs[CURVE_COLUMNS].isna().any(axis=1)
    known, lost = study.runs[~unreadable], study.runs[unreadable]
    varied = [name for name in ("budget", "draw") if known[name].nunique() > 1]  # only these are part of the names
    curves = []
    for _, runs in known.groupby(CURVE_COLUMNS):
        run = runs.iloc[0]
        settings = ", ".join(f"{name} {run[name]}" for name in varied)
        name = f"{run['model']} by {run['recipe']} on {run['data']}" + (f" ({settings})" if settings else "")
        finished = finished_of(runs)
        errors = finished.assign(error=1 - finished[metric], best_error=1 - finished[f"best_{metric}"])
        counts = pd.concat([runs["state"], lost["state"]]).value_counts()
        left_out = {state: int(counts[state]) for state in STATES[1:] if state in counts}  # all but finished
        curves.append(CurveRuns(name, metric, errors, left_out))
    return curves


def _class_frequencies(runs: pd.DataFrame) -> np.ndarray:
    """Compute the share of every class from the best record (classes,)."""
    largest = runs.sort_values("images").iloc[-1]  # its subset has the proportions of the full set most exactly
    if pd.notna(largest["folder"]):
        whole = readable_subsets(runs).sort_values("images").iloc[-1]
        kept = kept_predictions(largest["folder"])
        counts = RunFolder(Path(whole["folder"])).images_per_class if kept is None else np.bincount(kept.labels)
        return counts / counts.sum()
    if pd.isna(largest["classes"]):
        raise InsufficientData("cannot say: nothing tells how many classes there are; load the study's folder")
    return np.full(int(largest["classes"]), 1 / int(largest["classes"]))  # nothing better known: all alike
