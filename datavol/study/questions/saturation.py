"""How much of the data is enough: the smallest fraction whose accuracy is within delta of that of the full set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from datavol.cli.text import per_cent, points, probability
from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.learning_curve import REACH, LearningCurve
from datavol.study.questions.curve_runs import CurveRuns

DRAWS = 4000
"""Curves that probabilities are counted from: to within 0.016."""


@dataclass(frozen=True)
class Enough:
    """How likely a measured fraction is enough.

    Attributes:
        fraction: Share of the full training set.
        probability: That the average run's accuracy is within delta of the full one.
    """

    fraction: float
    probability: float


@dataclass(frozen=True)
class Saturation:
    """The smallest fraction that is enough; `str` of it is a sentence.

    Attributes:
        fraction: The smallest measured one that is more likely enough than not; None if no measured one is.
        probability: That it is enough; of the largest measured fraction where none is.
        sure: The smallest measured fraction that is enough with probability `level`, None if none is.
        delta: How far below the full accuracy still counts as enough, a share.
        level: Of the interval.
        full_accuracy: Of the average run on the full set, a share.
        low: Lower edge of its interval.
        high: Upper edge.
        forecast: Whether fraction 1 was not run, so that the full accuracy is a forecast.
        fractions: Every measured fraction, ascending, and how likely it is enough.
        by_best: The answer by the best evaluation instead of the last; None within that answer.
    """

    fraction: float | None
    probability: float
    sure: float | None
    delta: float
    level: float
    full_accuracy: float
    low: float
    high: float
    forecast: bool
    fractions: tuple[Enough, ...]
    by_best: Saturation | None = None

    def __str__(self) -> str:
        within = f"within {points(self.delta)} of what all of it gives"
        full = f"{'forecast' if self.forecast else 'measured'}: {per_cent(self.full_accuracy)}"
        chance = probability(self.probability)
        if self.fraction is None:
            largest = per_cent(self.fractions[-1].fraction)
            return f"more than {largest} of the data: even that is {within} ({full}) only with {chance}"
        told = f"{per_cent(self.fraction)} of the data is {within} ({full}) with {chance}"
        if self.fraction == 1:
            told = f"all of it: no smaller fraction that was run is likely to be {within} ({full})"
        smaller = [one for one in self.fractions if one.fraction < self.fraction]
        if smaller:
            told += f"; {per_cent(smaller[-1].fraction)} is so with {probability(smaller[-1].probability)}"
        return told

    @property
    def reason(self) -> str:
        """How the answer came about, and what the best evaluation would say."""
        how = "by the last evaluations and the learning curve through them"
        if self.forecast:
            how += f"; fraction 1 was not run, so its accuracy is a forecast ({self._edges})"
        if self.by_best is None:
            return how
        best = "no measured fraction" if self.by_best.fraction is None else per_cent(self.by_best.fraction)
        return f"{how}; by the best evaluations, which were picked on the validation images: {best}"

    @property
    def _edges(self) -> str:
        return f"{100 * self.low:.3g} to {100 * self.high:.3g} %, {100 * self.level:g} % interval"

    @property
    def numbers(self) -> dict[str, float | None]:
        """The numbers of the sentence, accuracies and fractions as shares."""
        names = ("fraction", "probability", "sure", "delta", "full_accuracy", "low", "high")
        by_best = {} if self.by_best is None else {"fraction_by_best": self.by_best.fraction}
        return {name: getattr(self, name) for name in names} | by_best


def saturation(measured: CurveRuns, delta: float = 0.01, level: float = 0.95) -> Saturation:
    """The smallest measured fraction within `delta` of the full accuracy, by the last evaluations.

    Raises:
        ConfigError: If delta is not a share between 0 and 1.
        InsufficientData: If no curve can be fitted, or the full set is beyond four times the largest subset.
    """
    if not 0 < delta < 1:
        raise ConfigError(f"delta must be a share between 0 and 1, got {delta:g}; 0.01 for one point")
    last = _saturation(measured, delta, level, "error")
    return replace(last, by_best=_saturation(measured, delta, level, "best_error"))


def full_curve(measured: CurveRuns, level: float, column: Literal["error", "best_error"] = "error") -> LearningCurve:
    """The learning curve, if it reaches the full set.

    Raises:
        InsufficientData: If no curve can be fitted, or the full set is beyond four times the largest subset.
    """
    curve = measured.fit(level, column)
    times = 1 / measured.fraction_of(curve.largest)  # as asked for: a quarter may be an image short of one
    if times > REACH * (1 + 1e-9):
        raise InsufficientData(
            f"cannot say what the full set gives: it is {times:.3g} times the largest "
            f"subset, and nothing validates forecasts beyond {REACH:g} times; train on a larger fraction"
        )
    return curve


def _saturation(measured: CurveRuns, delta: float, level: float, column: Literal["error", "best_error"]) -> Saturation:
    curve = full_curve(measured, level, column)
    sizes, full = np.unique(curve.n), float(measured.full_size)
    errors = curve.average_errors([*sizes, full], DRAWS)
    enough = (errors[:, :-1] - errors[:, -1:] <= delta).mean(axis=0)
    forecast = not (measured.runs["fraction"] == 1).any()
    if not forecast:
        enough[-1] = 1.0
    fractions = [Enough(measured.fraction_of(n), float(p)) for n, p in zip(sizes, enough, strict=True)]
    likely = next((one for one in fractions if one.probability >= 0.5), None)
    low, middle, high = np.quantile(1 - errors[:, -1], [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Saturation(
        fraction=likely.fraction if likely else None,
        probability=likely.probability if likely else fractions[-1].probability,
        sure=next((one.fraction for one in fractions if one.probability >= level), None),
        delta=delta,
        level=level,
        full_accuracy=float(middle),
        low=float(low),
        high=float(high),
        forecast=forecast,
        fractions=tuple(fractions),
    )
