"""What was measured along each learning curve of a study: the finished runs as errors, and what guessing would give."""

from __future__ import annotations

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
from datavol.study.load.study import STATES, Study, finished_of

Metric = Literal["top1", "top5"]
RANKS: dict[str, int] = {"top1": 1, "top5": 5}

CURVE = ["data", "model", "recipe", "budget", "draw"]
"""What the runs of a learning curve have in common; fractions and seeds vary along it."""


@dataclass(frozen=True, eq=False)
class CurveRuns:
    """The finished runs of one learning curve.

    Attributes:
        whose: The curve's name in a sentence.
        metric: `top1` or `top5`.
        runs: The finished runs, columns as in `Study.runs`, and with them `error` (of the last evaluation) and
            `best_error` (of the best one), shares.
        left_out: How many runs of which state are not used.
    """

    whose: str
    metric: Metric
    runs: pd.DataFrame
    left_out: Mapping[str, int]

    @property
    def full_size(self) -> int:
        """Images of the full training set."""
        return int(self.runs["full_size"].iloc[0])

    @property
    def test_size(self) -> int | None:
        """Images that errors were measured on, the fewest of all runs; None if unknown."""
        sizes = self.runs["validation_images"].dropna()
        return int(sizes.min()) if len(sizes) else None

    @cached_property
    def chance_error(self) -> float:
        """The error of always guessing the most frequent class, for top-5 the five most frequent ones.

        Frequencies are those of the validation images where predictions were kept, else those of the training subset,
        else equal.

        Raises:
            InsufficientData: If the runs were trained on different versions of the data, nothing tells of the
                classes, or guessing is always right.
        """
        for column in ("full_size", "fingerprint", "classes"):
            if self.runs[column].nunique() > 1:
                raise InsufficientData(
                    f"cannot say: these runs were trained on different versions of the data ({column}); bring one "
                    "version back, and train those runs again"
                )
        frequency = _class_frequencies(self.runs)
        chance = 1 - float(np.sort(frequency)[::-1][: RANKS[self.metric]].sum())
        if chance < 1e-9:
            raise InsufficientData(
                f"cannot say: with {len(frequency)} classes every {self.metric} guess is right; ask of top1"
            )
        return chance

    @property
    def provenance(self) -> str:
        """The runs that an answer rests on, in words: how many, and what was left out."""
        fractions = self.runs["fraction"].nunique()
        told = f"from {len(self.runs)} finished runs at {fractions} fractions"
        if not self.left_out:
            return told
        return f"{told}; left out: " + ", ".join(f"{count} {state}" for state, count in self.left_out.items())

    def fit(self, level: float, column: Literal["error", "best_error"] = "error") -> LearningCurve:
        """The learning curve.

        Raises:
            InsufficientData: If there are fewer than three fractions, the curve is at chance, or a run lacks the
                metric.
        """
        if self.runs[column].isna().any():
            raise InsufficientData(f"cannot say: not every run recorded {self.metric}; ask of top1")
        fractions = sorted(self.runs["fraction"].unique())
        if len(fractions) < 3 or self.runs["images"].nunique() < 3:
            there = f"{len(fractions)} ({list_fractions(fractions)})" if fractions else "none"
            raise InsufficientData(
                f"cannot say: a curve takes three measured fractions, there are {there}; train on more"
            )
        return fit_learning_curve(
            self.runs["images"].to_numpy(float),
            self.runs[column].to_numpy(float),
            chance_error=self.chance_error,
            test_size=self.test_size,
            level=level,
        )

    def fraction_of(self, n: float) -> float:
        """The fraction that was asked for where a run had `n` images; else n as a share of the full set."""
        known = dict(zip(self.runs["images"], self.runs["fraction"], strict=True))
        return float(known[n]) if n in known else n / self.full_size


def curves_of_study(study: Study, metric: Metric = "top1") -> list[CurveRuns]:
    """The learning curves of a study, in the order of their names: data, network, recipe, budget and draw.

    Only finished runs are used; the others are counted, those whose record cannot be read with every curve.

    Raises:
        ConfigError: If the metric is unknown.
    """
    if metric not in RANKS:
        raise ConfigError(f"metric must be one of {', '.join(RANKS)}, got {metric!r}")
    lost = study.runs[CURVE].isna().any(axis=1)
    known = study.runs[~lost]
    varied = [name for name in ("budget", "draw") if known[name].nunique() > 1]
    return [
        CurveRuns(_whose(curve.iloc[0], varied), metric, _errors(curve, metric), _unused(curve, study.runs[lost]))
        for _, curve in known.groupby(CURVE)
    ]


def _whose(run: pd.Series, varied: list[str]) -> str:
    told = ", ".join(f"{name} {run[name]}" for name in varied)
    return f"{run['model']} by {run['recipe']} on {run['data']}" + (f" ({told})" if told else "")


def _errors(curve: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    finished = finished_of(curve)
    return finished.assign(error=1 - finished[metric], best_error=1 - finished[f"best_{metric}"])


def _unused(curve: pd.DataFrame, lost: pd.DataFrame) -> dict[str, int]:
    counts = pd.concat([curve["state"], lost["state"]]).value_counts()
    return {state: int(counts[state]) for state in STATES[1:] if state in counts}


def _class_frequencies(runs: pd.DataFrame) -> np.ndarray:
    """Shares of the classes, as nearly as the records tell (classes,)."""
    largest = runs.sort_values("images").iloc[-1]
    if pd.notna(largest["folder"]):
        folder = RunFolder(Path(largest["folder"]))
        kept = folder.predictions()
        counts = folder.images_per_class if kept is None else np.bincount(kept.labels)
        return counts / counts.sum()
    if pd.isna(largest["classes"]):
        raise InsufficientData("cannot say: nothing tells how many classes there are; load the study's folder")
    return np.full(int(largest["classes"]), 1 / int(largest["classes"]))
