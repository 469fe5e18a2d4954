"""What twice the data would buy: by the learning curve, and by the halving rule of the thesis.

The rule (its section 6): a doubling gains less than the doubling before it, so what the last one gained bounds what the
next one can. It needs no forecast, only a run on half of the data; whether it held before is told beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datavol.cli.text import per_cent, points, span
from datavol.study.curves.forecasts import Gain
from datavol.study.questions.curve_runs import CurveRuns

DRAWS = 4000
SLACK = 1.01
"""Halves are taken down to the smallest size, and to one image less where sizes were rounded."""


@dataclass(frozen=True)
class Halving:
    """One test of the rule: two doublings in a row.

    Attributes:
        n: Images after the second doubling.
        before: What the first gained, a share of accuracy.
        gained: What the second gained.
        probability: That the second gained no more than the first.
    """

    n: float
    before: float
    gained: float
    probability: float


@dataclass(frozen=True)
class Doubling:
    """What twice the data buys; `str` of it is a sentence.

    Attributes:
        fraction: Share of the full set that the largest subset is; twice that is asked about.
        forecast: By the learning curve.
        bound: By the halving rule the next doubling gains at most this (a share), the last one's gain.
        low: Lower edge of the interval of the bound.
        high: Upper edge.
        level: Of the intervals.
        earlier: Tests of the rule within what was measured, the largest sizes first.
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
        """In how many tests the rule held, with probability `level`."""
        return sum(test.probability >= self.level for test in self.earlier)

    @property
    def broke(self) -> int:
        """In how many it did not, with probability `level`."""
        return sum(test.probability <= 1 - self.level for test in self.earlier)

    def __str__(self) -> str:
        gain = self.forecast
        twice = f"twice the largest subset ({gain.n:,.0f} images) would buy {points(gain.gain)} of accuracy"
        rule = f"by the halving rule at most what the last doubling bought, {points(self.bound)}"
        return f"{twice} ({span(gain.low, gain.high, self.level)}); {rule} ({span(self.low, self.high, self.level)})"

    @property
    def reason(self) -> str:
        """Whether the rule held before."""
        how = f"forecast by the learning curve up to {per_cent(self.fraction)} of the data"
        if not self.earlier:
            return f"{how}; no earlier doublings to test the rule on"
        counts = {"held": self.held, "broken": self.broke, "open": len(self.earlier) - self.held - self.broke}
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        return f"{how}; tests of the rule on earlier doublings: {told}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """The numbers of the sentence, accuracies as shares."""
        gain = {name: getattr(self.forecast, name) for name in ("gain", "low", "high")}
        bound = {"bound": self.bound, "bound_low": self.low, "bound_high": self.high}
        return gain | bound | {"tests": len(self.earlier), "held": self.held, "broke": self.broke}


def doubling(measured: CurveRuns, level: float = 0.95) -> Doubling:
    """What twice the largest subset would buy.

    Gains between sizes that were not run themselves are read off the learning curve.

    Raises:
        InsufficientData: If no curve can be fitted.
    """
    curve = measured.fit(level)
    halvings = max(1, int(np.log2(SLACK * curve.largest / curve.n[0])))
    errors = curve.average_errors(curve.largest / 2.0 ** np.arange(halvings + 1), DRAWS)
    gains = np.diff(errors, axis=1)  # the last doubling first
    low, bound, high = np.quantile(gains[:, 0], [(1 - level) / 2, 0.5, (1 + level) / 2])
    tests = [_test(curve.largest / 2**place, gains[:, place], gains[:, place + 1]) for place in range(halvings - 1)]
    fraction = measured.fraction_of(curve.largest)
    return Doubling(fraction, curve.gain_of(2), float(bound), float(low), float(high), level, tuple(tests))


def _test(n: float, gained: np.ndarray, before: np.ndarray) -> Halving:
    return Halving(n, float(np.median(before)), float(np.median(gained)), float((gained <= before).mean()))
