"""Finds the classes that the last doubling of the data still helped.

It needs the predictions for every validation image, which runs with `predictions=last` keep.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binom, t

from datavol.cli.text import level_text, per_cent
from datavol.errors import InsufficientData
from datavol.study.curves.grouped_noise import Groups, p_of_signs, sums_by_group
from datavol.study.load.kept import kept_predictions
from datavol.study.questions.curve_runs import RANKS, CurveRuns

HALF = 0.5  # how far, in doublings, the smaller size may be from half of the largest
NAMED = 8  # starved classes that the sentence names


@dataclass(frozen=True)
class StarvedClasses:
    """Stores which classes the last doubling helped.

    Attributes:
        smaller: The fraction before the doubling, about half of `larger`.
        larger: The largest fraction.
        classes: A row per class: `class` (its number), `before`, `after` (accuracies, shares, means over runs), `gain`,
            `count` (validation images), `p` (Holm's, so that all classes together raise a false alarm with probability
            1 - level at most), `gains` (p is small enough), `starved` (and its accuracy is below the median class).
        level: Of all tests together.
        repeated: Whether gains were tested against differences between runs too, not only between images.
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
        """Describe the test."""
        runs = (
            "and between runs" if self.repeated else "alone: one run each, what another seed would change is not seen"
        )
        return f"sign tests between the same images {runs}; Holm at {level_text(self.level)}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return how many classes gain, and how many of them are starved."""
        gains, starved = (int(self.classes[name].sum()) for name in ("gains", "starved"))
        sizes = {"smaller": self.smaller, "larger": self.larger}
        return {**sizes, "classes": len(self.classes), "gains": gains, "starved": starved}


def classes_that_gain(curve: CurveRuns, level: float = 0.95) -> StarvedClasses:
    """Find the classes that the last doubling of a curve still helped.

    A class gains if more of its validation images are recognised more often at the larger fraction than at the smaller
    (a sign test) and, where runs were repeated, also its accuracy rises beyond what differs between runs (a t test
    whose variance is pooled over classes); the larger p counts, so that a claim holds for other images and other runs.

    Raises:
        InsufficientData: If predictions were not kept, of two sizes a doubling apart, or of different validation
            images.
    """
    folders = {index: folder for index, folder in curve.runs["folder"].items() if isinstance(folder, str)}
    read = {index: kept_predictions(folder) for index, folder in folders.items()}
    kept = {index: predictions for index, predictions in read.items() if predictions is not None}
    if not kept:
        raise InsufficientData(
            "cannot say anything of single classes: what networks said of the validation images was not kept; "
            "train with predictions=last"
        )
    labels = next(iter(kept.values())).labels
    if any(not np.array_equal(labels, predictions.labels) for predictions in kept.values()):
        raise InsufficientData(
            "cannot say anything of single classes: runs were measured on different validation images"
        )
    runs = curve.runs.loc[list(kept)]
    small, large = _doubling(runs)
    # Whether the true class is among the first (five), zeros and ones (images,), stacked by size: (its runs, images)
    rank = RANKS[curve.metric]
    right = {i: (one.classes[:, :rank] == labels[:, None]).any(axis=1).astype(float) for i, one in kept.items()}
    before, after = (np.stack([right[index] for index in runs.index[runs["images"] == n]]) for n in (small, large))
    table = class_gains(before, after, labels, level, next(iter(kept.values())).groups)
    repeated = len(before) + len(after) > 2
    return StarvedClasses(curve.fraction_of(small), curve.fraction_of(large), table, level, repeated)


def class_gains(
    before: np.ndarray, after: np.ndarray, labels: np.ndarray, level: float, groups: Groups | None = None
) -> pd.DataFrame:
    """Test every class for a gain; the frame is `StarvedClasses.classes`.

    Args:
        before: Whether the image was recognised at the smaller size, zeros and ones (runs, images).
        after: The same at the larger size (its runs, images).
        labels: Class of every image (images,).
        level: Of all tests together.
        groups: Of every image (images,), where images come in groups, whose signs are flipped as one.
    """
    # `which` is the row of every image's class (images,); bincount over it sums by class
    classes, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # Sign test: without a gain, an image that is recognised more or less often than before is equally likely either, so
    # `better` is binomial with probability 1/2, and p is that of as many or more
    difference = after.mean(0) - before.mean(0)
    better, worse = (np.bincount(which, sign * difference > 1e-9, len(classes)) for sign in (1, -1))
    p = binom.sf(better - 1, better + worse, 0.5)
    if groups is not None:
        signs = np.where(np.abs(difference) > 1e-9, np.sign(difference), 0)
        own = [which == c for c in range(len(classes))]
        p = np.array([p_of_signs(sums_by_group(signs[mine], groups[mine])) for mine in own])
    # Accuracies by class (runs, classes), at the smaller and at the larger size
    accuracies = [
        np.stack([np.bincount(which, run, len(classes)) / counts for run in runs]) for runs in (before, after)
    ]
    means = [of_runs.mean(0) for of_runs in accuracies]
    if (dof := sum(len(of_runs) - 1 for of_runs in accuracies)) > 0:
        p = np.maximum(p, _between_runs(accuracies, counts, dof))  # both tests must reject
    table = pd.DataFrame({"class": classes, "before": means[0], "after": means[1], "gain": means[1] - means[0]})
    adjusted = holm(p)
    gains = adjusted <= 1 - level
    starved = gains & (means[1] < np.median(means[1]))
    return table.assign(count=counts, p=adjusted, gains=gains, starved=starved)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p values by Holm's method (classes,).

    Rejecting those up to alpha raises any false alarm at all with probability alpha at most.
    """
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)  # the smallest times their number, the next times one less, ...
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)  # never below that of a smaller p
    return adjusted


def _between_runs(accuracies: list[np.ndarray], counts: np.ndarray, dof: int) -> np.ndarray:
    """Test accuracies for a rise beyond the differences between runs.

    The p values are one-sided (classes,). The variance between runs of a size is the binomial one times one factor,
    estimated from all classes together.
    """
    share = (np.concatenate(accuracies).mean(0) * counts + 1) / (counts + 2)  # a class without errors varies too
    binomial = share * (1 - share) / counts
    # Sums of squares around the mean of each size; in units of the binomial variance all classes are alike
    squares = sum(((of_runs - of_runs.mean(0)) ** 2).sum(0) for of_runs in accuracies)
    factor = float((squares / binomial).sum()) / (dof * len(counts))
    # Standard error of the difference of two means of runs; t has the degrees of freedom of the pooled factor
    error = np.sqrt(factor * binomial * sum(1 / len(of_runs) for of_runs in accuracies))
    gain = accuracies[1].mean(0) - accuracies[0].mean(0)
    statistic = np.divide(gain, error, out=np.where(gain > 0, np.inf, -np.inf), where=error > 0)
    return np.asarray(t.sf(statistic, dof * len(counts)))


def _doubling(runs: pd.DataFrame) -> tuple[int, int]:
    """Find the size nearest to half of the largest, and the largest."""
    sizes = np.unique(runs["images"].to_numpy())
    away = np.abs(np.log2(sizes[-1] / sizes) - 1)  # distance to one doubling, in doublings
    if away.min() > HALF:
        raise InsufficientData(
            f"cannot say which classes the last doubling helped: of runs that kept predictions the largest has "
            f"{sizes[-1]:,} images and none about half of that; train one"
        )
    return int(sizes[away.argmin()]), int(sizes[-1])
