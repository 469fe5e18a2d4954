"""Estimates components of variance between runs, and the seeds a claim needs.

Runs of one fraction differ by the subset drawn (`draw_seed`), by the training seed (`init_seed` with `order_seed`) and
by the interaction of the two. The components are pooled over the fractions below 1 in z (`curves/error_scale.py`),
where seeds matter about equally at all sizes. Intervals take fractions to be independent; nested subsets of different
fractions overlap, which makes them somewhat narrow.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import nct, t

from datavol.cli.text import level_text, per_cent, points, span
from datavol.errors import InsufficientData
from datavol.study.audit.findings import list_fractions
from datavol.study.curves.checks import check_share
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.variance_components import DRAWS, TRAINING, variance_components

MOST_SEEDS = 1000
FAR = 30.0  # standard errors beyond which a difference is detected for certain; larger shifts are not computed


@dataclass(frozen=True)
class Component:
    """Stores one source of differences between runs.

    Attributes:
        name: `subset`, `training seed`, `interplay`, or `together`.
        sd: Standard deviation of the accuracy that it causes, a share.
        low, high: Interval of sd.
        share: Share of the whole variance.
        share_low, share_high: Interval of the share.
    """

    name: str
    sd: float
    low: float
    high: float
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True)
class Variance:
    """Stores where differences between runs come from."""

    parts: tuple[Component, ...]  # the sources that the seeds separate; only `together` where they separate none
    together: Component  # all of them
    fraction: float  # the fraction of the standard deviations: the largest that has repeats
    level: float  # of the intervals
    crossed: bool  # whether every source is separated; with nested seeds the inner one includes the interplay
    runs: int  # number of finished runs that share their fraction with others

    def __str__(self) -> str:
        shares = [
            f"{part.name} {100 * part.share:.0f} % ({100 * part.share_low:.0f} to {100 * part.share_high:.0f})"
            for part in self.parts
        ]
        whole = (
            f"runs differ by {points(self.together.sd)} (standard deviation at {per_cent(self.fraction)} of the data)"
        )
        return f"{whole}; of the variance ({level_text(self.level)} intervals): {', '.join(shares)}"

    @property
    def reason(self) -> str:
        """Describe how the components were separated."""
        seeds = "crossed seeds" if self.crossed else "nested seeds, the inner source holds the interplay as well"
        return f"components of variance of {self.runs} repeated runs, {seeds}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return standard deviations and shares with their intervals, by source."""
        return {
            f"{part.name} {name}": getattr(part, name)
            for part in (*self.parts, self.together)
            for name in ("sd", "low", "high", "share", "share_low", "share_high")
        }


@dataclass(frozen=True)
class SeedsNeeded:
    """Stores how many seeds a claim takes.

    Attributes:
        sd: Standard deviation of the accuracy between runs, a share.
        low, high: Its interval.
        delta: The difference of accuracies to be detected, a share.
        seeds: Seeds at each of the two fractions or networks; None if more than 1,000.
        seeds_high: The same if the standard deviation is at its upper edge.
        have: The fewest seeds at a fraction.
        fraction: The fraction of the standard deviation.
        level: Of the test, two-sided, and of the interval.
        power: Probability with which the test detects the difference.
        between: What the difference lies between, in words.
    """

    sd: float
    low: float
    high: float
    delta: float
    seeds: int | None
    seeds_high: int | None
    have: int
    fraction: float
    level: float
    power: float
    between: str = "two fractions or networks"

    def __str__(self) -> str:
        spread = f"runs differ by {points(self.sd)} ({span(self.low, self.high, self.level)}; standard deviation at "
        claim = f"a difference of {points(self.delta)} between {self.between} takes {_count(self.seeds)} each"
        lacking = 0 if self.seeds is None else self.seeds - self.have
        more = f", {lacking} more than the {self.have} there are" if lacking > 0 else f"; there are {self.have}"
        return f"{spread}{per_cent(self.fraction)} of the data); {claim}{more}"

    @property
    def reason(self) -> str:
        """Describe the test, and the seeds for more noise."""
        test = f"two-sided t test at {level_text(self.level)} with power {100 * self.power:g} %"
        return f"{test}; {_count(self.seeds_high)} if the spread is at its upper edge"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence."""
        return {name: getattr(self, name) for name in ("sd", "low", "high", "delta", "seeds", "seeds_high", "have")}


def _count(seeds: int | None) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if seeds is None else f"{seeds} seeds"


def variance(curve: CurveRuns, level: float = 0.95) -> Variance:
    """Split the variance between runs by subset and training seed.

    Raises:
        InsufficientData: If there are no repeats, or the seeds do not separate the sources.
    """
    result = _variance(curve, level)
    if len(result.parts) == 1:
        spread = f"together they move a run by {points(result.together.sd)} (standard deviation"
        raise InsufficientData(
            f"cannot say what the subset and what the training seed does: {_why(curve.runs)}; {spread} at "
            f"{per_cent(result.fraction)} of the data); to separate them: -m draw_seed=0,1 seed=0,1"
        )
    return result


def seeds_needed(curve: CurveRuns, delta: float = 0.01, level: float = 0.95, power: float = 0.8) -> SeedsNeeded:
    """Find the seeds that detect a difference `delta` of accuracies.

    Raises:
        ConfigError: If delta is not a share between 0 and 1.
        InsufficientData: If there are no repeats.
    """
    check_share("delta", delta)
    split = _variance(curve, level)
    whole, fraction = split.together, split.fraction
    seeds, seeds_high = (seeds_for(delta, sd, level, power) for sd in (whole.sd, whole.high))
    have = int(curve.runs["fraction"].value_counts().min())
    return SeedsNeeded(whole.sd, whole.low, whole.high, delta, seeds, seeds_high, have, fraction, level, power)


def seeds_for(delta: float, sd: float, level: float = 0.95, power: float = 0.8) -> int | None:
    """Find the least group size with which a t test detects `delta`.

    Args:
        delta: The difference of the groups' means.
        sd: The standard deviation within each, in the same unit.
        level: 1 minus the probability of a false alarm; the test is two-sided.
        power: The probability of detecting the difference.

    Returns:
        Runs in each group, None if above 1,000.
    """
    if sd <= 0:
        return 2

    def detects(seeds: int) -> bool:
        # Under the difference, t is noncentral: shifted by delta over the standard error sd sqrt(2 / seeds). The power
        # is the probability that it exceeds the critical value
        dof, shift = 2 * (seeds - 1), delta / sd * (seeds / 2) ** 0.5
        return bool(nct.sf(t.ppf((1 + level) / 2, dof), dof, min(shift, FAR)) >= power)

    seeds = 2 + bisect_left(range(2, MOST_SEEDS + 1), True, key=detects)  # power grows with seeds: False, ..., True
    return seeds if seeds <= MOST_SEEDS else None


def _variance(curve: CurveRuns, level: float) -> Variance:
    if curve.runs["error"].isna().any():
        raise InsufficientData(f"cannot say: not every run recorded {curve.metric}; ask of top1")
    runs = _repeated(curve.runs)
    scale = ErrorScale.of(curve.runs["error"].to_numpy(float), curve.chance_error, curve.test_size)
    # Variances of z by source, and draws of each that are jointly as likely as the data allow (draws,)
    estimates, draws = variance_components(scale.z(runs["error"].to_numpy(float)), runs)
    fraction = float(runs["fraction"].max())
    error = runs.loc[runs["fraction"] == fraction, "error"].mean()
    unit = 1 / float(scale.steepness(np.array([error]))[0])  # accuracy per z, at the largest repeated fraction
    total, totals = sum(estimates.values()), sum(draws.values(), np.zeros(DRAWS))
    # Denominators of the shares: where runs do not differ at all, every share is 0
    whole, wholes = total or 1.0, np.where(totals > 0, totals, 1.0)

    def component(name: str, estimate: float, drawn: np.ndarray) -> Component:
        edges = [(1 - level) / 2, (1 + level) / 2]
        low, high = unit * np.sqrt(np.quantile(drawn, edges))
        share_low, share_high = np.quantile(drawn / wholes, edges)  # share by share, as parts and sums are correlated
        sd, share = unit * estimate**0.5, estimate / whole
        return Component(name, sd, float(low), float(high), share, float(share_low), float(share_high))

    parts = tuple(component(name, estimates[name], draws[name]) for name in estimates)
    return Variance(parts, component("together", total, totals), fraction, level, len(parts) == 3, len(runs))


def _repeated(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the runs that share their fraction with others."""
    repeated = runs[runs.duplicated("fraction", keep=False)]
    if repeated.empty:
        fractions = list_fractions(runs["fraction"].tolist()) if len(runs) else "none"
        raise InsufficientData(
            f"cannot say how much runs differ: no fraction was run twice ({fractions}); train with seed=0,1,2"
        )
    below = repeated[repeated["fraction"] < 1]  # preferred: all subsets of fraction 1 are the same
    return below if len(below) else repeated


def _why(runs: pd.DataFrame) -> str:
    """Explain why the seeds do not separate the sources."""
    counts = {name: runs.groupby("fraction")[name].nunique().max() for name in ("draw_seed", *TRAINING)}
    if counts["draw_seed"] == 1:
        return "every repeat has the same draw_seed, so that only the training seed is seen"
    if counts["init_seed"] == counts["order_seed"] == 1:
        return "every repeat has the same init_seed and order_seed, so that only the subset is seen"
    if (runs["init_seed"] == runs["draw_seed"]).all() and (runs["order_seed"] == runs["draw_seed"]).all():
        return "seed sets draw_seed, init_seed and order_seed alike in every run"
    return "the seeds are neither crossed nor nested"
