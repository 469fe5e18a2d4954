"""Estimates what twice the full set buys, by forecast and halving rule.

The rule (section 6 of the thesis): a doubling gains no more than the one before. It is told as the probability that it
holds for the next doubling; earlier doublings test whether it held for this curve.
"""

from dataclasses import dataclass

import numpy as np

from datavol.cli.text import per_cent, points, probability, span
from datavol.study.curves.learning_curve import REACH
from datavol.study.load.measure import TOP1, Measure
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.gates import Gate, Refused
from datavol.study.questions.remedies import train_command

SLACK = 1.01  # halves are taken down to the smallest size, or up to 1 % below it, where sizes were rounded


@dataclass(frozen=True)
class Halving:
    """Stores one test of the rule on two doublings in a row."""

    n: float  # images after the second doubling
    before: float  # gain of accuracy by the first, a share
    gained: float  # gain by the second
    probability: float  # probability that the second gained no more than the first


@dataclass(frozen=True)
class Doubling:
    """Stores what twice the full set buys.

    Attributes:
        n: Images of twice the full set.
        gain: Rise of the average run's accuracy from the full set to twice as much, a share.
        low, high: Its interval.
        last: Rise from half of the full set to all of it.
        last_low, last_high: Its interval.
        halving: Probability that the halving rule holds: that `gain` is at most `last`.
        level: Of the intervals.
        fraction: The largest one that was run; below 1 the full set's accuracy is forecast as well.
        earlier: Tests of the rule between the measured sizes, the largest first.
        measure: What accuracies are in words.
    """

    n: int
    gain: float
    low: float
    high: float
    last: float
    last_low: float
    last_high: float
    halving: float
    level: float
    fraction: float
    earlier: tuple[Halving, ...]
    measure: Measure = TOP1

    @property
    def held(self) -> int:
        """Count the tests in which the rule held, with probability `level`."""
        return sum(test.probability >= self.level for test in self.earlier)

    @property
    def broke(self) -> int:
        """Count the tests in which it did not, with probability `level`."""
        return sum(test.probability <= 1 - self.level for test in self.earlier)

    def __str__(self) -> str:
        gain, last = points(self.gain, self.high - self.low), points(self.last, self.last_high - self.last_low)
        more = f"{self.measure.bought(gain)} ({span(self.low, self.high, self.level)})"
        last = f"{last} ({span(self.last_low, self.last_high, self.level)})"
        rule = f"with {probability(self.halving)} no more than the doubling before it, {last}"
        return f"twice the full set ({self.n:,} images) would {more}; {rule}"

    @property
    def reason(self) -> str:
        """Describe the method, and whether the rule held before."""
        how = f"forecast by the learning curve up to {per_cent(self.fraction)} of the data"
        if self.fraction < 1:
            how += ", and so is what the full set gives"
        if not self.earlier:
            return f"{how}; there are no earlier doublings to test the halving rule on"
        counts = {
            "surely bought no more than the one before": self.held,
            "surely bought more than the one before": self.broke,
            "may have bought either": len(self.earlier) - self.held - self.broke,
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"{how}; of {len(self.earlier)} earlier doublings {told}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence, accuracies as shares.

        `n`, `gain`, `low`, `high`, `last`, `last_low`, `last_high` and `halving` as in the class; `tests`, `held` and
        `broke` count the earlier doublings.
        """
        names = ("n", "gain", "low", "high", "last", "last_low", "last_high", "halving")
        counts = {"tests": len(self.earlier), "held": self.held, "broke": self.broke}
        return {name: getattr(self, name) for name in names} | counts


def doubling(curve: CurveRuns, level: float = 0.95) -> Doubling:
    """Estimate what twice the full set would buy.

    Gains between sizes that were not run themselves are read off the learning curve.

    Raises:
        InsufficientData: If no curve can be fitted, or twice the full set is beyond four times the largest subset.
    """
    fitted = curve.fit(level)
    full, fraction = curve.full_size, curve.fraction_of(fitted.largest)
    if 2 / fraction > REACH * (1 + 1e-9):
        why = (
            f"twice the full set ({2 * full:,} images) is {2 / fraction:.3g} times the largest subset, and nothing "
            f"validates forecasts beyond {REACH:g} times"
        )
        half = train_command(curve.runs, fraction=[0.5])
        remedy = "train on half of the data or more" + ("" if curve.points else ", fraction=0.5")
        raise Refused(Gate("full_set", why, remedy, True, half))
    # From twice the full set (images may be rounded down, hence the minimum) by halves to the smallest size, and from
    # the largest measured one, between whose halves the rule is tested
    halves = fitted.largest / 2.0 ** np.arange(int(np.log2(SLACK * fitted.largest / fitted.n[0])) + 1)
    sizes = np.unique([min(2.0 * full, fitted.limit), full, full / 2, *halves])
    errors = dict(zip(sizes, fitted.average_errors(sizes).T, strict=True))  # equally likely, jointly (draws,) each
    twice, last = errors[full] - errors[sizes[-1]], errors[full / 2] - errors[full]
    edges = [0.5, (1 - level) / 2, (1 + level) / 2]
    gain, low, high = map(float, np.quantile(twice, edges))
    gained, last_low, last_high = map(float, np.quantile(last, edges))
    # Draw by draw, so that the correlation of two gains counts
    tests = [
        _halving(n, errors[first] - errors[half], errors[half] - errors[n])
        for n, half, first in zip(halves, halves[1:], halves[2:], strict=False)
    ]
    return Doubling(
        n=2 * full,
        gain=gain,
        low=low,
        high=high,
        last=gained,
        last_low=last_low,
        last_high=last_high,
        halving=float((twice <= last).mean()),
        level=level,
        fraction=fraction,
        earlier=tuple(tests),
        measure=curve.measure,
    )


def _halving(n: float, before: np.ndarray, gained: np.ndarray) -> Halving:
    """Test the rule on draws of two gains (draws,)."""
    return Halving(float(n), float(np.median(before)), float(np.median(gained)), float((gained <= before).mean()))
