"""Finds validation labels that may be wrong, and weighs cleaning them against buying more.

Confident learning (Northcutt et al. 2021, arXiv 1911.00068): a label is contradicted if the runs give another class at
least the probability that they give this class on average where it is the label. That the label is wrong is one reason,
that the network is sure and wrong another: contradicted labels are a bound from above. Likely wrong are those that get
next to no probability from runs that agree. These lines find what the library cleanlab finds by `confident_learning`,
as tests check; a report goes without it. `docs/explanation/leaks.md` has how many planted errors are found so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from datavol.cli.text import per_cent, points, shown, span
from datavol.errors import ConfigError, InsufficientData
from datavol.runs.predictions import Predictions
from datavol.study.load.kept import no_predictions
from datavol.study.questions.chance import largest_of
from datavol.study.questions.common_mistakes import kept_of
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling
from datavol.study.tables.confidence import class_names
from datavol.study.tables.image_fates import validation_keys

FEWEST = 100  # validation images from which on shares of them mean something
NAMED = 3  # suspects that the sentence names
UNLIKELY = 0.05  # probability of its label below which a contradicted image is suspect


@dataclass(frozen=True)
class LabelErrors:
    """Stores which validation labels look wrong, and what they may explain.

    Attributes:
        suspects: A row per suspect, the surest first: `image` (its position), `name` (its key, or its position where
            the data are not here), `label`, `suggested` (names of classes), `probability` (of the suggested one).
        images: Validation images.
        errors: Images that the runs together get wrong.
        contradicted: Of these, how many labels are contradicted, suspect or not.
        low, high: From the lower end of the interval of the suspects' share to the upper one of the contradicted.
        runs: How many runs were asked.
        fraction: Theirs, the largest.
        doubling: What twice the data would buy, or None where that cannot be said.
        level: Of the interval.
    """

    suspects: pd.DataFrame
    images: int
    errors: int
    contradicted: int
    low: float
    high: float
    runs: int
    fraction: float
    doubling: Doubling | None
    level: float

    @property
    def share(self) -> float:
        """Compute the share of the validation images that is suspect."""
        return len(self.suspects) / self.images

    @property
    def advice(self) -> str:
        """Choose what to do first: `clean`, `buy`, `either`; `unknown` without a forecast."""
        if self.doubling is None:
            return "unknown"
        if self.doubling.low > self.high:
            return "buy"
        return "clean" if self.doubling.high < self.low else "either"

    def __str__(self) -> str:
        if not self.contradicted:
            return f"no need to: none of {self.errors:,} validation errors looks like a wrong label{self._bought}"
        first = [f"{shown(str(row['name']))} ({row['label']}, rather {row['suggested']})" for row in self._first]
        more = f" and {len(self.suspects) - NAMED:,} more" if len(self.suspects) > NAMED else ""
        look = f"; look at {', '.join(first)}{more}" if first else ""
        worth = span(self.low, self.high, self.level).replace(",", " points of accuracy,", 1)
        most = f"{len(self.suspects):,} of {self.errors:,} validation errors look like wrong labels, at most "
        most += f"{self.contradicted:,} are ({worth})"
        return f"{self._answer}: {most}{self._bought}{look}"

    @property
    def _first(self) -> list[dict[str, object]]:
        return self.suspects.head(NAMED).to_dict("records")

    @property
    def _answer(self) -> str:
        return {
            "clean": "clean before you buy",
            "buy": "buying helps more than cleaning could",
            "either": "which helps more cannot be told",
            "unknown": "look at the labels first" if len(self.suspects) else "cannot be told yet",
        }[self.advice]

    @property
    def _bought(self) -> str:
        if self.doubling is None:
            return "; what twice the data would buy cannot be said yet"
        gain = points(self.doubling.gain, self.doubling.high - self.doubling.low)
        return f"; twice the data would buy {gain} ({span(self.doubling.low, self.doubling.high, self.level)})"

    @property
    def reason(self) -> str:
        """Describe the method, and what it cannot tell."""
        runs = f"{self.runs} runs" if self.runs > 1 else "one run"
        return (
            f"by confident learning on the predictions of {runs} on {per_cent(self.fraction)} of the data; it likely "
            f"is a wrong label if it gets less than {per_cent(UNLIKELY)}; a network that is sure and wrong looks the "
            "same; wrong labels in train are not counted"
        )

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence, shares as shares."""
        counts: dict[str, float | None] = {"suspects": len(self.suspects), "contradicted": self.contradicted}
        counts |= {"errors": self.errors, "images": self.images}
        gain = self.doubling.gain if self.doubling else None
        return counts | {"share": self.share, "low": self.low, "high": self.high, "gain": gain}


def label_errors(curve: CurveRuns, forecast: Callable[[], Doubling | None], level: float = 0.95) -> LabelErrors:
    """Find the validation labels that the runs of the largest fraction contradict.

    Args:
        curve: The curve.
        forecast: Gives what twice the data would buy, or None.
        level: Of intervals.

    Raises:
        InsufficientData: If predictions were not kept, are of different images, or of too few.
    """
    runs = largest_of(curve)
    read = [kept_of(run) for _, run in runs.iterrows()]
    kept = [predictions for predictions in read if predictions is not None]
    if not kept:
        raise InsufficientData(f"cannot say which labels may be wrong: {no_predictions(runs)}")
    labels, images = kept[0].labels, len(kept[0].labels)
    if any(not np.array_equal(labels, one.labels) for one in kept):
        raise InsufficientData("cannot say which labels may be wrong: runs were measured on different images")
    if images < FEWEST:
        raise InsufficientData(f"cannot say which labels may be wrong: {images} validation images are too few to tell")
    names = class_names(runs)
    classes = max(len(names or ()), 1 + int(max(labels.max(), *(one.classes.max() for one in kept))))
    probabilities = np.mean([whole(one, classes) for one in kept], axis=0)
    named = probabilities.argmax(axis=1)
    agreed = np.all([one.classes[:, 0] == named for one in kept], axis=0)  # a run that wavers speaks of a hard image
    against = (contradicted(labels, probabilities) != labels) & (named != labels)
    suspect = np.flatnonzero(against & agreed & (probabilities[np.arange(images), labels] < UNLIKELY))
    suspect = suspect[np.argsort(-probabilities[suspect, named[suspect]], kind="stable")]
    table = _table(suspect, labels, named, probabilities, names, runs)
    (low, _), (_, high) = (_interval(count, images, level) for count in (len(suspect), int(against.sum())))
    counts = images, int((named != labels).sum()), int(against.sum())
    return LabelErrors(table, *counts, low, high, len(kept), float(runs["fraction"].iloc[0]), forecast(), level)


def whole(kept: Predictions, classes: int) -> NDArray[np.float64]:
    """Give every class a probability, (images, classes).

    What the kept ones leave is spread over the others.
    """
    top = np.exp(kept.log_probabilities.astype(np.float64))
    left = np.clip(1 - top.sum(axis=1, keepdims=True), 0, None) / max(1, classes - top.shape[1])
    spread = np.repeat(left, classes, axis=1)
    np.put_along_axis(spread, kept.classes, top, axis=1)
    return spread


def contradicted(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the class that each image confidently has, (images,).

    An image has a class confidently if it gets at least the mean probability that this class gets where it is the
    label; of several the likeliest counts. Without one it is the label.
    """
    # Thresholds (classes,); a class that no image is labelled with is none that an image could have
    sums = np.bincount(labels, probabilities[np.arange(len(labels)), labels], minlength=probabilities.shape[1])
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    threshold = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    confident = np.where(probabilities >= threshold, probabilities, 0)
    found: NDArray[np.int64] = np.where(confident.any(axis=1), confident.argmax(axis=1), labels)
    return found


def _table(
    suspect: NDArray[np.int64],
    labels: NDArray[np.int64],
    named: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    names: list[str] | None,
    runs: pd.DataFrame,
) -> pd.DataFrame:
    keys = _keys(runs) if len(suspect) else []
    words = [shown(name) for name in names] if names else [str(number) for number in range(probabilities.shape[1])]
    return pd.DataFrame(
        {
            "image": suspect,
            # The keys of arrays are their positions
            "name": [keys[i] if keys and keys[i] != str(i) else f"validation image {i}" for i in suspect.tolist()],
            "label": [words[number] for number in labels[suspect].tolist()],
            "suggested": [words[number] for number in named[suspect].tolist()],
            "probability": probabilities[suspect, named[suspect]],
        }
    )


def _keys(runs: pd.DataFrame) -> list[str]:
    """List the validation images' keys; none where the data are missing."""
    try:
        return validation_keys(runs["folder"].iloc[0])
    except ConfigError:
        return []


def _interval(count: int, images: int, level: float) -> tuple[float, float]:
    """Compute the exact binomial interval of a share (Clopper and Pearson)."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, images - count + 1)) if count else 0.0
    return low, float(beta.ppf(1 - tail, count + 1, images - count)) if count < images else 1.0
