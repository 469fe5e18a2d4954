"""Learning curves: what would more data buy, how sure is that, and how many images does an error need?

    curve = fit_learning_curve(n, error, chance_error=0.9, test_size=10_000)
    curve.predict([100_000, 200_000])
    print(curve.images_for(0.05), "and", curve.gain_of(2))

Errors become z = logit(error / ceiling), where plateaus at chance, power laws and floors are straight or slowly bending
lines in log2 n; `slope_process` forecasts z. `benchmarks/learning_curves.py` holds it against other methods on curves
that its constants have not seen. Nothing there validates forecasts beyond four times the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.checks import (
    Numbers,
    check_curve,
    check_settings,
    checked_level,
    checked_runs,
    checked_sizes,
)
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.curves.forecasts import Gain, ImagesNeeded
from datavol.study.curves.slope_process import LCDB_PRIOR, Array, Mixture, Prior, SlopeProcess, condition

REACH = 4.0
"""Forecasts were validated up to this many times the largest n."""

RUN_NOISE = 0.01
"""The least standard deviation of z between runs, repeated or not: about 1 % of the error. At the largest size of
`benchmarks/data/fashion_mnist.csv` seeds differ by 0.2 to 1.7 %, of which the test set explains some."""

REPEATS_TO_TELL = 3
"""With so many repeats half of what a size has of its own is taken to be the size's, not the run's; with 0, nothing."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """A fitted learning curve; `fit_learning_curve` makes it.

    Attributes:
        n: Subset size of every run, ascending (runs,).
        error: Its error, a share (runs,).
        chance_error: The error of guessing.
        test_size: Images that every error was measured on, or None.
        level: Of the intervals unless another is asked for.
        run_noise: Standard deviation of z between runs of one size, without that of the test set.
    """

    n: Array
    error: Array
    chance_error: float
    test_size: int | None
    level: float
    run_noise: float
    _scale: ErrorScale = field(repr=False)
    _process: SlopeProcess = field(repr=False)

    @property
    def largest(self) -> float:
        """The largest n."""
        return float(self.n[-1])

    @property
    def limit(self) -> float:
        """The n up to which forecasts are validated: four times the largest."""
        return REACH * self.largest

    def predict(self, n: Numbers, level: float | None = None) -> pd.DataFrame:
        """The error that one new run would measure at every `n`, also between and at the sizes measured.

        Intervals hold what is not known of the curve, the noise between runs and that of the test set. They lie between
        0 and chance, or the largest measured error where that is worse than chance.

        Args:
            n: Subset sizes, above 0.
            level: Of the intervals; that of the curve by default.

        Returns:
            A row per n: `n`, `error` (median), `low`, `high` (shares), `beyond` (n is beyond four times the largest
            size, where nothing validates a forecast).

        Raises:
            ConfigError: If n or level is out of range.
        """
        sizes = checked_sizes(n)
        level = checked_level(self.level if level is None else level)
        runs = self._new_run(sizes)
        columns = {"error": 0.5, "low": (1 - level) / 2, "high": (1 + level) / 2}
        errors = {name: self._scale.error(runs.quantile(share)) for name, share in columns.items()}
        # Below the floor errors are not told from 0
        errors["low"] = np.where(errors["low"] > self._scale.floor, errors["low"], 0.0)
        return pd.DataFrame({"n": sizes, **errors, "beyond": sizes > self.limit * (1 + 1e-9)})

    def average_errors(self, n: Numbers, draws: int, seed: int = 0) -> Array:
        """What is believed of the error of the average run, at all sizes together: equally likely curves.

        Args:
            n: Subset sizes, above 0 (sizes,).
            draws: How many curves.
            seed: Of the generator: equal seeds give equal curves.

        Returns:
            Errors, shares (draws, sizes).

        Raises:
            ConfigError: If n is out of range.
        """
        places = np.log2(checked_sizes(n) / self.largest)
        return self._scale.error(self._process.draws(places, draws, np.random.default_rng(seed)))

    def with_run(self, n: float, error: float) -> LearningCurve:
        """The curve fitted again to these runs and one more.

        Raises:
            ConfigError: If n or error is out of range.
            InsufficientData: If the error at the largest size is at chance then.
        """
        return fit_learning_curve(
            np.append(self.n, n),
            np.append(self.error, error),
            chance_error=self.chance_error,
            test_size=self.test_size,
            level=self.level,
            prior=self._process.prior,
        )

    def images_for(self, error: float) -> ImagesNeeded:
        """How many images a run needs for this error, by inverting the estimate and both edges of the interval.

        The search runs from the smallest n to four times the largest.

        Raises:
            ConfigError: If the error is not between 0 and chance.
        """
        if not 0 < error < self.chance_error:
            raise ConfigError(
                f"error must be between 0 and chance ({self.chance_error:g}), got {error:g}; give a share, 0.1 for 10 %"
            )
        edges = self.predict(np.geomspace(self.n[0], self.limit, 400))
        reached = {name: _first_below(edges["n"], edges[name], error) for name in ("low", "error", "high")}
        return ImagesNeeded(
            error, reached["low"], reached["error"], reached["high"], self.level, float(self.n[0]), self.limit
        )

    def gain_of(self, factor: float) -> Gain:
        """What `factor` times the largest n buys: the fall of the average run's error, with its interval.

        Raises:
            ConfigError: If the factor is not above 1 and at most 4.
        """
        if not 1 < factor <= REACH:
            raise ConfigError(
                f"factor must be above 1 and at most {REACH:g}, got {factor:g}; nothing validates forecasts beyond that"
            )
        here = self._process.at(np.zeros(1)).quantile(0.5)
        change = self._process.change(np.log2([factor]))
        shares = (0.5, (1 - self.level) / 2, (1 + self.level) / 2)
        now = self._scale.error(here)
        gain, high, low = (float((now - self._scale.error(here + change.quantile(share)))[0]) for share in shares)
        return Gain(factor, factor * self.largest, gain, low, high, self.level)

    def backtest(self) -> pd.DataFrame:
        """Forecasts of the largest size and of the two largest from the smaller ones, beside what was measured there.

        Returns:
            A row per forecast and run: `fitted_to` (the largest n that was used), `n`, `error` (measured), `predicted`,
            `low`, `high`, `inside`. A refit needs three sizes and an error below chance, and its forecasts lie within
            four times its largest n; what cannot be had is left out, so that the frame may be empty.
        """
        columns = ["fitted_to", "n", "error", "predicted", "low", "high", "inside"]
        rows = [row for held_back in np.unique(self.n)[3:][-2:] for row in self._held_back(held_back)]
        return pd.DataFrame(rows, columns=columns).astype({"inside": bool})

    def _held_back(self, size: float) -> list[tuple[float | bool, ...]]:
        """The rows of `backtest` from a refit to what is smaller than `size`."""
        known = self.n < size
        try:
            refit = fit_learning_curve(
                self.n[known],
                self.error[known],
                chance_error=self.chance_error,
                test_size=self.test_size,
                level=self.level,
                prior=self._process.prior,
            )
        except InsufficientData:
            return []
        told = refit.predict(self.n[~known])
        inside = (told["low"] <= self.error[~known]) & (self.error[~known] <= told["high"])
        told = told.assign(measured=self.error[~known], inside=inside)[~told["beyond"]]
        return [(refit.largest, r.n, r.measured, r.error, r.low, r.high, r.inside) for r in told.itertuples()]

    def _new_run(self, n: Array) -> Mixture:
        """What one run would measure, as z."""
        curve = self._process.at(np.log2(n / self.largest))
        repeats = len(self.n) - len(np.unique(self.n))
        # A variance from few repeats is often too small. From four repeats on this is, to 8 %, the squared ratio of the
        # 97.5 % quantiles of Student's t with so many degrees of freedom and of the normal
        unsure = 1 + 3.4 / repeats if repeats else 1.0
        run_variance = unsure * self.run_noise**2
        return curve.blurred(run_variance + self._scale.test_variance(self._scale.error(curve.mean)))


def fit_learning_curve(
    n: Numbers,
    error: Numbers,
    *,
    chance_error: float,
    test_size: int | None = None,
    level: float = 0.95,
    prior: Prior = LCDB_PRIOR,
) -> LearningCurve:
    """Fit a learning curve to the errors of runs on subsets.

    Args:
        n: Subset size of every run, in any order; a size that comes again is a repeat.
        error: Error of every run, 1 - top-k, a share.
        chance_error: Error of guessing for the same k: 0.9 for top-1 and 0.5 for top-5 of ten equally frequent classes.
        test_size: Images that every error was measured on: adds their binomial noise. None for none.
        level: Of the intervals.
        prior: What other curves teach; the benchmark passes one that has not seen the curve.

    Raises:
        ConfigError: If the input is no learning curve or has fewer than three distinct sizes.
        InsufficientData: If the error at the largest size is at chance.
    """
    sizes, errors = checked_runs(n, error)
    check_settings(chance_error, test_size, level)
    order = np.lexsort((errors, sizes))
    sizes, errors = sizes[order], errors[order]
    distinct, place, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    means = np.bincount(place, errors) / repeats
    check_curve(distinct, means, chance_error)
    scale = ErrorScale.of(errors, chance_error, test_size)
    test_variance = scale.test_variance(means)
    deviations = (errors - means[place]) * scale.steepness(means)[place]
    run_variance = _run_variance(deviations, repeats, test_variance)
    spare = len(errors) - len(distinct)
    process = condition(
        np.log2(distinct / distinct[-1]),
        scale.z(means),
        (run_variance + test_variance) / repeats,
        replace(prior, lasting=spare / (spare + REPEATS_TO_TELL)),
    )
    return LearningCurve(sizes, errors, chance_error, test_size, level, run_variance**0.5, scale, process)


def _run_variance(deviations: Array, repeats: Array, test_variance: Array) -> float:
    """Variance of z between runs, pooled over all sizes with repeats, less what the test set explains."""
    spare = repeats - 1
    if not spare.any():
        return RUN_NOISE**2
    return max(float((deviations**2).sum() - spare @ test_variance) / float(spare.sum()), RUN_NOISE**2)


def _first_below(n: pd.Series, errors: pd.Series, wanted: float) -> float | None:
    """The first n at which the error is as low as wanted, interpolated in log n; None if none is."""
    reached = np.flatnonzero(errors <= wanted)
    if not len(reached):
        return None
    after = int(reached[0])
    if after == 0:
        return float(n[0])
    before = after - 1
    share = (errors[before] - wanted) / (errors[before] - errors[after])
    return float(n[before] * (n[after] / n[before]) ** share)
