"""Where differences between runs come from, and how many seeds a claim needs.

Runs of one fraction differ by the subset drawn (`draw_seed`), by the training seed (`init_seed` with `order_seed`) and
by how the two meet. The components of this variance are estimated by equating sums of squares with their expectations
(Henderson's method III), pooled over the fractions below 1 in z = logit(error / ceiling), where seeds matter about
equally at all sizes. Intervals are generalised ones (Hannig, Iyer and Patterson, *Fiducial generalized confidence
intervals*, 2006): sums of squares over chi-squared numbers, components below 0 counting as 0. They take fractions for
independent; where draws are nested, subsets of different fractions overlap, and the intervals are somewhat narrow.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import nct, t

from datavol.cli.text import per_cent, points, span
from datavol.errors import ConfigError, InsufficientData
from datavol.study.audit.findings import list_fractions
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.questions.curve_runs import CurveRuns

DRAWS = 20_000
MOST_SEEDS = 1000
FAR = 30.0
"""Standard errors beyond which a difference is told for certain, and the distribution is not computed."""
TRAINING = ["init_seed", "order_seed"]
SEPARATE = "to separate them: -m draw_seed=0,1 seed=0,1"


@dataclass(frozen=True)
class Component:
    """One source of differences between runs.

    Attributes:
        name: `subset`, `training seed`, `interplay`, or `together`.
        sd: Standard deviation of the accuracy that it causes, a share.
        low: Lower edge of the interval of sd.
        high: Upper edge.
        share: Of the whole variance.
        share_low: Lower edge of the interval of the share.
        share_high: Upper edge.
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
    """Where differences between runs come from; `str` of it is a sentence.

    Attributes:
        parts: The sources that the seeds tell apart; one of `together` where they tell none apart.
        together: All of them.
        fraction: Where the standard deviations hold: the largest fraction that has repeats.
        level: Of the intervals.
        crossed: Whether every source is told apart; with nested seeds the inner one holds the interplay as well.
        runs: Finished runs that have a sibling at their fraction.
    """

    parts: tuple[Component, ...]
    together: Component
    fraction: float
    level: float
    crossed: bool
    runs: int

    def __str__(self) -> str:
        told = [
            f"{part.name} {100 * part.share:.0f} % ({100 * part.share_low:.0f} to {100 * part.share_high:.0f})"
            for part in self.parts
        ]
        whole = (
            f"runs differ by {points(self.together.sd)} (standard deviation at {per_cent(self.fraction)} of the data)"
        )
        return f"{whole}; of the variance ({100 * self.level:g} % intervals): {', '.join(told)}"

    @property
    def reason(self) -> str:
        """How the components were told apart."""
        seeds = "crossed seeds" if self.crossed else "nested seeds, the inner source holds the interplay as well"
        return f"components of variance of {self.runs} repeated runs, {seeds}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Standard deviations and shares with their intervals, by source."""
        return {
            f"{part.name} {name}": getattr(part, name)
            for part in (*self.parts, self.together)
            for name in ("sd", "low", "high", "share", "share_low", "share_high")
        }


@dataclass(frozen=True)
class SeedsNeeded:
    """How many seeds a claim takes; `str` of it is a sentence.

    Attributes:
        sd: Standard deviation of the accuracy between runs, a share.
        low: Lower edge of its interval.
        high: Upper edge.
        delta: The difference of accuracies to be told, a share.
        seeds: At each of the two fractions or networks; None if more than 1,000.
        seeds_high: The same if the standard deviation is at its upper edge.
        have: The fewest seeds at a fraction.
        fraction: Where the standard deviation holds.
        level: Of the test, two-sided, and of the interval.
        power: The probability with which the test tells the difference.
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

    def __str__(self) -> str:
        spread = f"runs differ by {points(self.sd)} ({span(self.low, self.high, self.level)}; standard deviation at "
        claim = (
            f"a difference of {points(self.delta)} between two fractions or networks takes {_count(self.seeds)} each"
        )
        more = "" if self.seeds is None else f", {max(0, self.seeds - self.have)} more than the {self.have} there are"
        return f"{spread}{per_cent(self.fraction)} of the data); {claim}{more}"

    @property
    def reason(self) -> str:
        """The test, and how far the noise itself is known."""
        test = f"two-sided t test at {100 * self.level:g} % with power {100 * self.power:g} %"
        return f"{test}; {_count(self.seeds_high)} if the spread is at its upper edge"

    @property
    def numbers(self) -> dict[str, float | None]:
        """The numbers of the sentence."""
        return {name: getattr(self, name) for name in ("sd", "low", "high", "delta", "seeds", "seeds_high", "have")}


def _count(seeds: int | None) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if seeds is None else f"{seeds} seeds"


def variance(measured: CurveRuns, level: float = 0.95) -> Variance:
    """Split the variance between runs into that of the subset and that of the training seed.

    Raises:
        InsufficientData: If there are no repeats, or the seeds do not tell the sources apart.
    """
    found = _variance(measured, level)
    if len(found.parts) == 1:
        spread = f"together they move a run by {points(found.together.sd)} (standard deviation"
        whole = f"{spread} at {per_cent(found.fraction)} of the data)"
        asked = "cannot say what the subset and what the training seed does"
        raise InsufficientData(f"{asked}: {_why(measured.runs)}; {whole}; {SEPARATE}")
    return found


def seeds_needed(measured: CurveRuns, delta: float = 0.01, level: float = 0.95, power: float = 0.8) -> SeedsNeeded:
    """How many seeds it takes to tell two fractions, or two networks, whose accuracies differ by `delta`.

    Raises:
        ConfigError: If delta is not a share between 0 and 1.
        InsufficientData: If there are no repeats.
    """
    if not 0 < delta < 1:
        raise ConfigError(f"delta must be a share between 0 and 1, got {delta:g}; 0.01 for one point")
    whole = (found := _variance(measured, level)).together
    seeds, seeds_high = (seeds_for(delta, sd, level, power) for sd in (whole.sd, whole.high))
    have = int(measured.runs["fraction"].value_counts().min())
    return SeedsNeeded(whole.sd, whole.low, whole.high, delta, seeds, seeds_high, have, found.fraction, level, power)


def seeds_for(delta: float, sd: float, level: float = 0.95, power: float = 0.8) -> int | None:
    """The least runs in each of two groups for a two-sided t test to tell a difference; None if above 1,000.

    Args:
        delta: The difference of the groups' means.
        sd: The standard deviation within each, in the same unit.
        level: One less the probability of a false alarm.
        power: The probability of telling the difference.
    """
    if sd <= 0:
        return 2

    def tells(seeds: int) -> bool:
        dof, shift = 2 * (seeds - 1), delta / sd * (seeds / 2) ** 0.5
        return bool(nct.sf(t.ppf((1 + level) / 2, dof), dof, min(shift, FAR)) >= power)

    seeds = 2 + bisect_left(range(2, MOST_SEEDS + 1), True, key=tells)
    return seeds if seeds <= MOST_SEEDS else None


def _variance(measured: CurveRuns, level: float) -> Variance:
    runs = _repeated(measured.runs)
    scale = ErrorScale.of(measured.runs["error"].to_numpy(float), measured.chance_error, measured.test_size)
    estimates, draws = _components(scale.z(runs["error"].to_numpy(float)), runs)
    fraction = float(runs["fraction"].max())
    error = runs.loc[runs["fraction"] == fraction, "error"].mean()
    unit = 1 / float(scale.steepness(np.array([error]))[0])  # of accuracy, per z
    value, values = sum(estimates.values()), sum(draws.values(), np.zeros(DRAWS))
    whole = (value or 1.0, np.where(values > 0, values, 1.0))  # of runs that do not differ at all, every share is 0

    def component(name: str, estimate: float, drawn: np.ndarray) -> Component:
        edges = [(1 - level) / 2, (1 + level) / 2]
        low, high = unit * np.sqrt(np.quantile(drawn, edges))
        share_low, share_high = np.quantile(drawn / whole[1], edges)
        sd, share = unit * estimate**0.5, estimate / whole[0]
        return Component(name, sd, float(low), float(high), share, float(share_low), float(share_high))

    parts = tuple(component(name, estimates[name], draws[name]) for name in estimates)
    return Variance(parts, component("together", value, values), fraction, level, len(parts) == 3, len(runs))


def _repeated(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with a sibling at their fraction, below fraction 1, where alone subsets differ, if there are any."""
    repeated = runs[runs.duplicated("fraction", keep=False)]
    below = repeated[repeated["fraction"] < 1]
    if repeated.empty:
        there = list_fractions(runs["fraction"].tolist()) if len(runs) else "none"
        raise InsufficientData(
            f"cannot say how much runs differ: no fraction was run twice ({there}); train with seed=0,1,2"
        )
    return below if len(below) else repeated


def _why(runs: pd.DataFrame) -> str:
    """Why the seeds do not tell the sources apart."""
    counts = {name: runs.groupby("fraction")[name].nunique().max() for name in ("draw_seed", *TRAINING)}
    if counts["draw_seed"] == 1:
        return "every repeat has the same draw_seed, so that only the training seed is seen"
    if counts["init_seed"] == counts["order_seed"] == 1:
        return "every repeat has the same init_seed and order_seed, so that only the subset is seen"
    if (runs["init_seed"] == runs["draw_seed"]).all() and (runs["order_seed"] == runs["draw_seed"]).all():
        return "seed sets draw_seed, init_seed and order_seed alike in every run"
    return "the seeds are neither crossed nor nested"


@dataclass(frozen=True, eq=False)
class _Fit:
    """Least squares of z by dummies: what they leave of it."""

    left: np.ndarray
    square: float
    dof: int

    @classmethod
    def of(cls, z: np.ndarray, dummies: np.ndarray) -> _Fit:
        base, sizes, _ = np.linalg.svd(dummies, full_matrices=False)
        base = base[:, sizes > 1e-9]
        left = np.eye(len(z)) - base @ base.T
        return cls(left, float(z @ left @ z), len(z) - base.shape[1])


def _components(z: np.ndarray, runs: pd.DataFrame) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The components' estimates and their generalised draws (draws,), in squares of z.

    Returns:
        By name; the last is what is left within the others, `together` where the seeds tell none apart.
    """
    draw, train = _dummies(runs, "draw_seed"), _dummies(runs, *TRAINING)
    within, by_draw, by_train = _Fit.of(z, _dummies(runs)), _Fit.of(z, draw), _Fit.of(z, train)
    by_both = _Fit.of(z, np.hstack([draw, train]))
    crossed = 0 < by_both.dof < min(by_draw.dof, by_train.dof)
    if crossed:
        outer, inner, rest = {"subset": (by_train, draw), "training seed": (by_draw, train)}, "interplay", by_both
    elif by_train.dof == 0 < by_draw.dof < within.dof:  # several training seeds of each subset, no two alike
        outer, inner, rest = {"subset": (within, draw)}, "training seed", by_draw
    elif by_draw.dof == 0 < by_train.dof < within.dof:
        outer, inner, rest = {"training seed": (within, train)}, "subset", by_train
    else:
        outer, inner, rest = {}, "together", within
    rng = np.random.default_rng(0)
    residual, residuals = rest.square / rest.dof, rest.square / rng.chisquare(rest.dof, DRAWS)
    estimates, draws = {}, {}
    for name, (without, dummies) in outer.items():
        square, dof = without.square - rest.square, without.dof - rest.dof
        weight = float(np.trace(dummies.T @ without.left @ dummies)) / dof  # runs per level, where balanced
        estimates[name] = max(0.0, (square / dof - residual) / weight)
        draws[name] = np.maximum(0, (square / rng.chisquare(dof, DRAWS) - residuals) / weight)
    return estimates | {inner: residual}, draws | {inner: residuals}


def _dummies(runs: pd.DataFrame, *seeds: str) -> np.ndarray:
    """A column of zeros and ones per fraction and value of the seeds (runs, levels)."""
    level = runs.groupby(["fraction", *seeds]).ngroup().to_numpy()
    return np.eye(level.max() + 1)[level]
