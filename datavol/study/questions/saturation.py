"""Finds the smallest fraction that is as good as the full set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datavol.cli.text import chance, level_text, per_cent, points, probability
from datavol.errors import InsufficientData
from datavol.study.curves.checks import check_share
from datavol.study.curves.learning_curve import REACH, LearningCurve
from datavol.study.load.measure import TOP1, Measure
from datavol.study.questions.curve_runs import Column, CurveRuns


@dataclass(frozen=True)
class Enough:
    """Stores how likely a measured fraction is enough."""

    fraction: float  # share of the full training set
    probability: float  # probability that the average run's accuracy is within delta of the full one


@dataclass(frozen=True)
class Saturation:
    """Stores the smallest fraction that is enough.

    Attributes:
        fraction: The smallest measured one that is more likely enough than not; None if no measured one is.
        probability: Probability that it is enough; of the largest measured fraction where none is.
        sure: The smallest measured fraction that is enough with probability `level`, None if none is.
        delta: How far below the full accuracy still counts as enough, a share.
        full_accuracy: Accuracy of the average run on the full set, a share.
        low, high, level: Its interval.
        forecast: Whether fraction 1 was not run, so that the full accuracy is a forecast.
        fractions: Every measured fraction, ascending.
        measure: What accuracies are in words.
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
    measure: Measure = TOP1

    def __str__(self) -> str:
        within = f"within {points(self.delta)} of what all of it gives"
        full = f"{'forecast' if self.forecast else 'measured'}: {self.measure.written(self.full_accuracy)}"
        chance = probability(self.probability)
        if self.fraction is None:
            largest = per_cent(self.fractions[-1].fraction)
            return f"more than {largest} of the data: even that is {within} ({full}) only with {chance}"
        sentence = f"{per_cent(self.fraction)} of the data is {within} ({full}) with {chance}"
        if self.fraction == 1:
            sentence = f"all of it: no smaller fraction that was run is likely to be {within} ({full})"
        smaller = [one for one in self.fractions if one.fraction < self.fraction]
        if smaller:
            sentence += f"; {per_cent(smaller[-1].fraction)} is so with {probability(smaller[-1].probability)}"
        return sentence

    @property
    def reason(self) -> str:
        """Describe the method, and the answer by the best evaluations."""
        how, unknown = "by the last evaluations and the learning curve through them", "fraction 1 was not run"
        if self.measure is not TOP1:
            how, unknown = "by the learning curve through the points", "the full set was not measured"
        if self.forecast:
            low, high = self.measure.edges(self.low, self.high)
            edges = f"{100 * low:.3g} to {100 * high:.3g} %, {level_text(self.level)} interval"
            how += f"; {unknown}, so its {self.measure.name} is a forecast ({edges})"
        below = [one for one in self.fractions if one.fraction < 1]
        each = ", ".join(f"{chance(one.probability)} at {per_cent(one.fraction)}" for one in below)
        how += f"; probabilities: {each} of the data"
        if self.by_best is None:
            return how
        best = "no measured fraction" if self.by_best.fraction is None else per_cent(self.by_best.fraction)
        same = "the same" if self.by_best.fraction == self.fraction else best
        return f"{how}; by the best evaluations, which were picked on the validation images: {same}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence, accuracies and fractions as shares.

        Named as in the class; `probability at 0.25` is that of a measured fraction to be enough, and
        `fraction_by_best` the answer by the best evaluations.
        """
        names = ("fraction", "probability", "sure", "delta", "full_accuracy", "low", "high")
        by_best = {} if self.by_best is None else {"fraction_by_best": self.by_best.fraction}
        each = {f"probability at {one.fraction:g}": one.probability for one in self.fractions}
        return {name: getattr(self, name) for name in names} | each | by_best


def saturation(curve: CurveRuns, delta: float = 0.01, level: float = 0.95) -> Saturation:
    """Find the smallest measured fraction within `delta` of the full accuracy.

    Raises:
        ConfigError: If delta is not a share between 0 and 1.
        InsufficientData: If no curve can be fitted, or the full set is beyond four times the largest subset.
    """
    check_share("delta", delta)
    last = _saturation(curve, delta, level, "error")
    if curve.points:
        return last
    return replace(last, by_best=_saturation(curve, delta, level, "best_error"))


def full_curve(curve: CurveRuns, level: float, column: Column = "error") -> LearningCurve:
    """Fit the learning curve, provided that its forecasts reach the full set.

    Raises:
        InsufficientData: If no curve can be fitted, or the full set is beyond four times the largest subset.
    """
    fitted = curve.fit(level, column)
    times = 1 / curve.fraction_of(fitted.largest)  # by the fraction that was asked for: its images may be rounded down
    if times > REACH * (1 + 1e-9):
        raise InsufficientData(
            f"cannot say what the full set gives: it is {times:.3g} times the largest "
            f"subset, and nothing validates forecasts beyond {REACH:g} times; train on a larger fraction"
        )
    return fitted


def _saturation(curve: CurveRuns, delta: float, level: float, column: Column) -> Saturation:
    fitted = full_curve(curve, level, column)
    sizes, full = np.unique(fitted.n), float(curve.full_size)
    full = min(full, fitted.limit)  # images may be rounded down
    drawn = fitted.average_errors(np.union1d(sizes, [full]))  # equally likely curves (draws, sizes)
    errors = np.column_stack([drawn[:, : len(sizes)], drawn[:, -1]])  # the full set last, even if it was run
    # The share of curves on which a size is at most delta worse than the full set is the probability that it is enough;
    # both errors are of the same curve, so what is unknown of the whole level does not matter
    enough = (errors[:, :-1] - errors[:, -1:] <= delta).mean(axis=0)
    forecast = not (curve.runs["fraction"] == 1).any()
    if not forecast:
        enough[-1] = 1.0  # the full set itself
    fractions = [Enough(curve.fraction_of(n), float(p)) for n, p in zip(sizes, enough, strict=True)]
    likely = next((one for one in fractions if one.probability >= 0.5), None)  # the smallest, as they ascend
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
        measure=curve.measure,
    )
