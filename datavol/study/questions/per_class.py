"""Which classes are starved of data: accuracy by class, and which classes the last doubling still helped.

It takes what networks said of every validation image, which runs with `predictions=last` keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom, t

from datavol.cli.text import per_cent
from datavol.errors import InsufficientData
from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions
from datavol.study.load.study import Study, finished_of
from datavol.study.questions.curve_runs import RANKS, CurveRuns, Metric

COLUMNS = ["run", "fraction", "images_per_class", "class", "accuracy", "count"]
NONE_KEPT = "what networks said of the validation images was not kept; train with predictions=last"
HALF = 0.5
"""How far, in doublings, the size that the largest is held against may be from half of it."""
NAMED = 8


@dataclass(frozen=True)
class PerClass:
    """Which classes the last doubling helped; `str` of it is a sentence.

    Attributes:
        smaller: The fraction that the largest is held against, about half of it.
        larger: The largest fraction.
        classes: A row per class: `class` (its number), `before`, `after` (accuracies, shares, means over runs), `gain`,
            `count` (validation images), `p` (Holm's, so that all classes together raise a false alarm with probability
            1 - level at most), `gains` (p says that it gained), `starved` (and its accuracy is below the median class).
        level: Of all tests together.
        repeated: Whether gains were held against differences between runs too, not only between images.
    """

    smaller: float
    larger: float
    classes: pd.DataFrame
    level: float
    repeated: bool

    def __str__(self) -> str:
        gaining, starved = (self.classes[self.classes[name]] for name in ("gains", "starved"))
        step = f"from {per_cent(self.smaller)} to {per_cent(self.larger)} of the data"
        if gaining.empty:
            return f"none that can be told: none of {len(self.classes)} classes gained significantly {step}"
        whole = f"{len(gaining)} of {len(self.classes)} classes still gained significantly {step}"
        if starved.empty:
            return f"{whole}, and none of them is below the median class"
        worst = starved.sort_values("gain", ascending=False)
        named = [f"{row['class']} ({100 * row['gain']:+.0f} points)" for _, row in worst.head(NAMED).iterrows()]
        more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
        return f"{whole}; starved, as they are below the median class too: {', '.join(named)}{more}"

    @property
    def reason(self) -> str:
        """The test."""
        runs = (
            "and between runs" if self.repeated else "alone: one run each, what another seed would change is not seen"
        )
        return f"sign tests between the same images {runs}; Holm at {100 * self.level:g} %"

    @property
    def numbers(self) -> dict[str, float | None]:
        """How many classes gain, and how many of them are starved."""
        gains, starved = (int(self.classes[name].sum()) for name in ("gains", "starved"))
        sizes = {"smaller": self.smaller, "larger": self.larger}
        return {**sizes, "classes": len(self.classes), "gains": gains, "starved": starved}


def per_class_accuracy(study: Study, metric: Metric = "top1") -> pd.DataFrame:
    """Accuracy by class of every finished run that kept its predictions.

    Columns: `run` (the index of its row in `Study.runs`), `fraction`, `images_per_class` (the subset's of this class),
    `class` (its number), `accuracy` (share; NaN where no validation image is of the class), `count` (its validation
    images).

    Raises:
        InsufficientData: If no finished run kept its predictions.
    """
    tables = []
    for index, run in finished_of(study.runs).iterrows():
        if (kept := _kept(run["folder"])) is None:
            continue
        images = RunFolder(Path(run["folder"])).images_per_class
        counts = np.bincount(kept.labels, minlength=len(images))
        right = np.bincount(kept.labels, _right(kept, metric), minlength=len(images))
        accuracy = np.divide(right, counts, out=np.full(len(images), np.nan), where=counts > 0)
        values = (index, run["fraction"], images, np.arange(len(images)), accuracy, counts)
        tables.append(pd.DataFrame(dict(zip(COLUMNS, values, strict=True))))
    if not tables:
        raise InsufficientData(f"cannot say anything of single classes: {NONE_KEPT}")
    return pd.concat(tables, ignore_index=True)


def classes_that_gain(measured: CurveRuns, level: float = 0.95) -> PerClass:
    """Which classes the last doubling of a curve still helped.

    A class gains if more of its validation images are recognised more often at the larger fraction than at the smaller
    (a sign test) and, where runs were repeated, also its accuracy rises beyond what differs between runs (a t test
    whose variance is pooled over classes); the larger p counts, so that a claim holds for other images and other runs.

    Raises:
        InsufficientData: If predictions were not kept, of two sizes a doubling apart, or of different validation
            images.
    """
    kept = {index: found for index, folder in measured.runs["folder"].items() if (found := _kept(folder)) is not None}
    if not kept:
        raise InsufficientData(f"cannot say anything of single classes: {NONE_KEPT}")
    labels = next(iter(kept.values())).labels
    if any(not np.array_equal(labels, found.labels) for found in kept.values()):
        raise InsufficientData(
            "cannot say anything of single classes: runs were measured on different validation images"
        )
    runs = measured.runs.loc[list(kept)]
    small, large = _doubling(runs)
    right = {index: _right(found, measured.metric) for index, found in kept.items()}
    before, after = (np.stack([right[index] for index in runs.index[runs["images"] == n]]) for n in (small, large))
    table = class_gains(before, after, labels, level)
    repeated = len(before) + len(after) > 2
    return PerClass(measured.fraction_of(small), measured.fraction_of(large), table, level, repeated)


def class_gains(before: np.ndarray, after: np.ndarray, labels: np.ndarray, level: float) -> pd.DataFrame:
    """The frame of `PerClass.classes` from what was right: (runs, images) at the smaller and at the larger size.

    Args:
        before: Whether the image was recognised, zeros and ones (runs, images).
        after: The same at the larger size (its runs, images).
        labels: Class of every image (images,).
        level: Of all tests together.
    """
    classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    difference = after.mean(0) - before.mean(0)
    better, worse = (np.bincount(place, sign * difference > 1e-9, len(classes)) for sign in (1, -1))
    p = binom.sf(better - 1, better + worse, 0.5)
    accuracies = [
        np.stack([np.bincount(place, run, len(classes)) / counts for run in runs]) for runs in (before, after)
    ]
    means = [of_runs.mean(0) for of_runs in accuracies]
    if (dof := sum(len(of_runs) - 1 for of_runs in accuracies)) > 0:
        p = np.maximum(p, _between_runs(accuracies, counts, dof))
    table = pd.DataFrame({"class": classes, "before": means[0], "after": means[1], "gain": means[1] - means[0]})
    adjusted = holm(p)
    gains = adjusted <= 1 - level
    starved = gains & (means[1] < np.median(means[1]))
    return table.assign(count=counts, p=adjusted, gains=gains, starved=starved)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values: rejecting those up to alpha raises any false alarm with probability alpha at most."""
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _between_runs(accuracies: list[np.ndarray], counts: np.ndarray, dof: int) -> np.ndarray:
    """One-sided p of a rise of every class's accuracy (classes,), by what differs between runs of one size.

    Its variance is taken to be binomial but for one factor, which all classes tell together.
    """
    everything = np.concatenate(accuracies)
    share = (everything.mean(0) * counts + 1) / (counts + 2)  # a class without errors has a variance too
    binomial = share * (1 - share) / counts
    squares = sum(((of_runs - of_runs.mean(0)) ** 2).sum(0) for of_runs in accuracies)
    factor = float((squares / binomial).sum()) / (dof * len(counts))
    error = np.sqrt(factor * binomial * sum(1 / len(of_runs) for of_runs in accuracies))
    gain = accuracies[1].mean(0) - accuracies[0].mean(0)
    statistic = np.divide(gain, error, out=np.where(gain > 0, np.inf, -np.inf), where=error > 0)
    return np.asarray(t.sf(statistic, dof * len(counts)))


def _doubling(runs: pd.DataFrame) -> tuple[int, int]:
    """The size nearest to half of the largest, and the largest."""
    sizes = np.unique(runs["images"].to_numpy())
    away = np.abs(np.log2(sizes[-1] / sizes) - 1)
    if away.min() > HALF:
        raise InsufficientData(
            f"cannot say which classes the last doubling helped: of runs that kept predictions the largest has "
            f"{sizes[-1]:,} images and none about half of that; train one"
        )
    return int(sizes[away.argmin()]), int(sizes[-1])


def _kept(folder: object) -> Predictions | None:
    return RunFolder(Path(folder)).predictions() if isinstance(folder, str) else None


def _right(kept: Predictions, metric: Metric) -> np.ndarray:
    """Whether the true class is among the likeliest ones, zeros and ones (images,)."""
    return (kept.classes[:, : RANKS[metric]] == kept.labels[:, None]).any(axis=1).astype(float)
