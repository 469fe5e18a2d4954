"""Estimates what twice the data buys, by forecast and halving rule.

The rule (section 6 of the thesis): a doubling gains less than the one before, so the last gain bounds the next one. It
needs no forecast, only a run on half of the data; earlier doublings test whether it holds for this curve.
"""

from dataclasses import dataclass

import numpy as np

from datavol.cli.text import per_cent, points, span
from datavol.study.curves.forecasts import Gain
from datavol.study.questions.curve_runs import CurveRuns

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
    """Stores what twice the data buys.

    Attributes:
        fraction: Fraction of the largest subset, which is doubled.
        forecast: Gain by the learning curve.
        bound: Gain of the last doubling, a share: by the halving rule the most that the next one gains.
        low, high, level: Interval of the bound.
        earlier: Tests of the rule between the measured sizes, the largest first.
    """

    fraction: float
    forecast: Gain
    bound: float
    low: float
    high: float
    level: float
    earlier: tuple[Halving, ...]

    @property
    def held(self) -> int:
        """Count the tests in which the rule held, with probability `level`."""
        return sum(test.probability >= self.level for test in self.earlier)

    @property
    def broke(self) -> int:
        """Count the tests in which it did not, with probability `level`."""
        return sum(test.probability <= 1 - self.level for test in self.earlier)

    def __str__(self) -> str:
        gain = self.forecast
        twice = f"twice the largest subset ({gain.n:,.0f} images) would buy {points(gain.gain)} of accuracy"
        rule = f"by the halving rule at most what the last doubling bought, {points(self.bound)}"
        return f"{twice} ({span(gain.low, gain.high, self.level)}); {rule} ({span(self.low, self.high, self.level)})"

    @property
    def reason(self) -> str:
        """Describe the method, and whether the rule held before."""
        how = f"forecast by the learning curve up to {per_cent(self.fraction)} of the data"
        if not self.earlier:
            return f"{how}; no earlier doublings to test the rule on"
        counts = {"held": self.held, "broken": self.broke, "open": len(self.earlier) - self.held - self.broke}
        results = ", ".join(f"{name} {count}" for name, count in counts.items())
        return f"{how}; tests of the rule on earlier doublings: {results}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence, accuracies as shares."""
        gain = {name: getattr(self.forecast, name) for name in ("gain", "low", "high")}
        bound = {"bound": self.bound, "bound_low": self.low, "bound_high": self.high}
        return gain | bound | {"tests": len(self.earlier), "held": self.held, "broke": self.broke}


def doubling(curve: CurveRuns, level: float = 0.95) -> Doubling:
    """Estimate what twice the largest subset would buy.

    Gains between sizes that were not run themselves are read off the learning curve.

    Raises:
        InsufficientData: If no curve can be fitted.
    """
    fitted = curve.fit(level)
    halvings = max(1, int(np.log2(SLACK * fitted.largest / fitted.n[0])))  # how often the largest size can be halved
    # Equally likely error curves at the largest size, its half, its quarter, ... (draws, halvings + 1)
    errors = fitted.average_errors(fitted.largest / 2.0 ** np.arange(halvings + 1))
    gains = np.diff(errors, axis=1)  # error of the half less error of the whole, the last doubling first
    low, bound, high = np.quantile(gains[:, 0], [(1 - level) / 2, 0.5, (1 + level) / 2])
    tests = []
    for k in range(halvings - 1):
        gained, before = gains[:, k], gains[:, k + 1]  # draw by draw, so that their correlation counts
        medians = float(np.median(before)), float(np.median(gained))
        tests.append(Halving(fitted.largest / 2**k, *medians, probability=float((gained <= before).mean())))
    fraction = curve.fraction_of(fitted.largest)
    return Doubling(fraction, fitted.gain_of(2), float(bound), float(low), float(high), level, tuple(tests))
