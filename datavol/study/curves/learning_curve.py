"""Fits learning curves and forecasts errors, gains and the images needed.

    curve = fit_learning_curve(n, error, chance_error=0.9, test_size=10_000)
    curve.predict([100_000, 200_000])
    print(curve.images_for(0.05), "and", curve.gain_of(2))

Errors become z (`error_scale`), where plateaus at chance, power laws and floors are straight or slowly bending lines in
log2 n; `posterior` forecasts z. `benchmarks/learning_curves.py` holds it against other methods on curves that its
constants have not seen. Nothing there validates forecasts beyond four times the data.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.checks import (
    Array,
    Numbers,
    RisingErrors,
    check_curve,
    check_share,
    checked_input,
    checked_seeds,
    checked_sizes,
    warn_of_rise,
)
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.curves.forecasts import Gain, ImagesNeeded, settled
from datavol.study.curves.measured import Common, Measured, paired
from datavol.study.curves.posterior import KINDS, UNKNOWN, Kinds, Mixture, Posterior, infer

REACH = 4.0  # forecasts were validated up to this many times the largest n
DRAWS = 4000  # equally likely curves: probabilities counted from so many are within 0.016
FURTHER = 1.25  # another curve helps whose largest n is so many times as large
SEARCHED = 41  # sizes between which a wanted error is interpolated: some six per doubling


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Stores a fitted learning curve; `fit_learning_curve` makes it.

    Attributes:
        n: Subset size of every run, ascending (runs,).
        error: Its error, a share (runs,).
        chance_error: The error of guessing.
        test_size: Images that every error was measured on, or None.
        level: Of the intervals unless another is asked for.
        shared: Share of the test set's noise that all runs have in common, None if unknown.
        seed: Number of every run's seed (runs,), None if unknown.
        others: Curves of other networks on the same data that go further, and help to forecast it.
    """

    n: Array
    error: Array
    chance_error: float
    test_size: float | None
    level: float
    shared: float | None
    seed: Array | None
    others: tuple[LearningCurve, ...]
    _scale: ErrorScale = field(repr=False)
    _kinds: Kinds = field(repr=False)
    _measured: Measured = field(repr=False)
    _posterior: Posterior = field(repr=False)

    @property
    def largest(self) -> float:
        """Return the largest n."""
        return float(self.n[-1])

    @property
    def run_noise(self) -> float:
        """Return the standard deviation of z between runs.

        That of the test set is no part of it.
        """
        return self._posterior.run_noise

    @property
    def limit(self) -> float:
        """Return the n up to which forecasts are validated."""
        return REACH * self.largest

    def predict(self, n: Numbers, level: float | None = None) -> pd.DataFrame:
        """Forecast the error that one new run would measure at every `n`.

        Intervals account for the uncertainty of the curve, the noise between runs and what the test set adds to one run
        alone, on the same test images. They lie between 0 and chance, or the largest measured error where that is worse
        than chance.

        Returns:
            A row per n: `n`, `error` (median), `low`, `high` (shares), `beyond` (n is below the smallest size or beyond
            four times the largest, where nothing validates a forecast).

        Raises:
            ConfigError: If n or level is out of range.
        """
        sizes = checked_sizes(n)
        level = self.level if level is None else level
        check_share("level", level)
        runs = self._new_run(sizes)  # z; quantiles of z become quantiles of the error, as the scale is monotonic
        columns = {"error": 0.5, "low": (1 - level) / 2, "high": (1 + level) / 2}
        errors = {name: self._scale.error(runs.quantile(share)) for name, share in columns.items()}
        # Errors below the floor are not distinguished from 0, so the interval reaches down to it
        errors["low"] = np.where(errors["low"] > self._scale.floor, errors["low"], 0.0)
        within = (self.n[0] * (1 - 1e-9) <= sizes) & (sizes <= self.limit * (1 + 1e-9))
        return pd.DataFrame({"n": sizes, **errors, "beyond": ~within})

    def average_errors(self, n: Numbers, draws: int = DRAWS, seed: int = 0, *, same_images: bool = False) -> Array:
        """Draw equally likely error curves of the average run.

        They are those on any test images; with `same_images` those on the images that the runs were measured on.

        Returns:
            Errors, shares, drawn jointly at all sizes `n` (draws, sizes); equal seeds give equal curves.

        Raises:
            ConfigError: If n is out of range.
        """
        x = np.log2(checked_sizes(n) / self.largest)
        return self._scale.error(self._posterior.draws(x, draws, np.random.default_rng(seed), same_images))

    def images_for(self, error: float) -> ImagesNeeded:
        """Find how many images reach this error, and how surely.

        Every equally likely curve of the average run says from which size on it stays at or below the error; sizes are
        searched from the smallest n to four times the largest.

        Raises:
            ConfigError: If the error is not between 0 and chance.
        """
        if not 0 < error < self.chance_error:
            raise ConfigError(
                f"error must be between 0 and chance ({self.chance_error:g}), got {error:g}; give a share, 0.1 for 10 %"
            )
        n = np.geomspace(self.n[0], self.limit, SEARCHED)
        sizes = settled(n, self.average_errors(n) - error)
        return ImagesNeeded(error, np.sort(sizes), float(n[0]), float(n[-1]))

    def gain_of(self, factor: float) -> Gain:
        """Forecast how much `factor` times the largest n lowers the error.

        Raises:
            ConfigError: If the factor is not above 1 and at most 4.
        """
        if not 1 < factor <= REACH:
            raise ConfigError(
                f"factor must be above 1 and at most {REACH:g}, got {factor:g}; nothing validates forecasts beyond that"
            )
        now, later = self.average_errors([self.largest, factor * self.largest]).T
        # Draw by draw, so that what is unknown of the level is part of both ends and cancels
        gain, low, high = np.quantile(now - later, (0.5, (1 - self.level) / 2, (1 + self.level) / 2))
        return Gain(factor, factor * self.largest, float(gain), float(low), float(high), self.level)

    def backtest(self) -> pd.DataFrame:
        """Forecast the one and the two largest sizes from the smaller ones.

        Returns:
            A row per forecast and run: `fitted_to` (the largest n that was used), `n`, `error` (measured), `predicted`,
            `low`, `high`, `inside`. A refit needs three sizes and an error below chance, and its forecasts lie within
            four times its largest n; other rows are left out, so that the frame may be empty.
        """
        columns = ["fitted_to", "n", "error", "predicted", "low", "high", "inside"]
        # Held back is everything from one of the two largest sizes on; three smaller ones must remain
        rows = [row for size in np.unique(self.n)[3:][-2:] for row in self._held_back(size)]
        return pd.DataFrame(rows, columns=columns).astype({"inside": bool})

    def _held_back(self, size: float) -> list[tuple[float | bool, ...]]:
        """Make the rows of `backtest` from a refit to sizes below `size`."""
        known = self.n < size
        try:
            refit = self._refit(self.n[known], self.error[known], None if self.seed is None else self.seed[known])
        except InsufficientData:
            return []
        measured, forecast = self.error[~known], refit.predict(self.n[~known])
        inside = (forecast["low"] <= measured) & (measured <= forecast["high"])
        rows = forecast.assign(measured=measured, inside=inside)[~forecast["beyond"]]
        return [(refit.largest, r.n, r.measured, r.error, r.low, r.high, r.inside) for r in rows.itertuples()]

    def _refit(self, n: Array, error: Array, seed: Array | None) -> LearningCurve:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RisingErrors)  # said of the whole curve
            return fit_learning_curve(
                n,
                error,
                chance_error=self.chance_error,
                test_size=self.test_size,
                shared=self.shared,
                seed=seed,
                level=self.level,
                kinds=self._kinds,
            )

    def _new_run(self, n: Array) -> Mixture:
        """Forecast the z that one run would measure."""
        x = np.log2(n / self.largest)
        # The test set's noise depends on the error, which is roughly that of the nearest end of what was measured
        z = np.interp(x, self._measured.x, self._measured.z)
        return self._posterior.new_run(x, self._scale.test_variance(self._scale.error(z)))


def fit_learning_curve(
    n: Numbers,
    error: Numbers,
    *,
    chance_error: float,
    test_size: float | None = None,
    shared: float | None = None,
    seed: Sequence[Hashable] | Array | None = None,
    level: float = 0.95,
    kinds: Kinds = KINDS,
    others: Sequence[LearningCurve] = (),
) -> LearningCurve:
    """Fit a learning curve to the errors of runs on subsets.

    Args:
        n: Subset size of every run, in any order; a size that comes again is a repeat.
        error: Error of every run, 1 - top-k, a share.
        chance_error: Error of guessing for the same k: 0.9 for top-1 and 0.5 for top-5 of ten equally frequent classes.
        test_size: Images that every error was measured on: adds their binomial noise. None for none. Images in
            groups count as fewer, see `grouped_noise.effective_images`.
        shared: Share of that noise's variance that all runs have in common, since they see the same test images: 1 less
            the variance of a difference of two runs over the sum of their variances. None weighs independent test
            images against common ones by what the errors look like.
        seed: Seed of every run. What runs of one seed have in common at all sizes cancels in differences.
        level: Of the intervals.
        kinds: What other curves teach; the benchmark passes constants that have not seen the curve.
        others: Curves of other networks on the same data. Those that go at least `FURTHER` times as far help to
            forecast this one, as far as they resemble it; the others tell next to nothing, and are not used.

    Raises:
        ConfigError: If the input is no learning curve or has fewer than three distinct sizes.
        InsufficientData: If the error at the largest size is at chance.

    Warns:
        RisingErrors: If errors rise with n, as accuracies do.
    """
    sizes, errors = checked_input(n, error, chance_error, test_size, shared, level)
    seeds = checked_seeds(seed, sizes)
    order = np.lexsort((errors, sizes))
    sizes, errors, seeds = sizes[order], errors[order], None if seeds is None else seeds[order]
    measured, scale = _measure(sizes, errors, seeds, chance_error, test_size)
    further = tuple(other for other in others if other.largest >= FURTHER * measured.largest)
    commons = UNKNOWN if shared is None else (Common(shared, 0.0),)
    posterior = infer(measured, kinds, commons, [other._measured for other in further])
    told = (chance_error, test_size, level, shared, seeds, further)
    return LearningCurve(sizes, errors, *told, scale, kinds, measured, posterior)


def _measure(
    sizes: Array, errors: Array, seeds: Array | None, chance_error: float, test_size: float | None
) -> tuple[Measured, ErrorScale]:
    """Average the repeats of every size in z; measure their spread."""
    # A mean per distinct size (sizes,); `which` is the number of every run's size (runs,)
    distinct, which, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    means = np.bincount(which, errors) / repeats
    warn_of_rise(means)
    check_curve(distinct, means, chance_error)
    scale = ErrorScale.of(errors, chance_error, test_size)
    # Small differences of errors become differences of z by the derivative dz/derror at the mean
    deviations = (errors - means[which]) * scale.steepness(means)[which]
    measured = Measured(
        largest=float(distinct[-1]),
        x=np.log2(distinct / distinct[-1]),
        z=scale.z(means),
        repeats=repeats,
        squares=np.bincount(which, deviations**2),
        test_variance=scale.test_variance(means),
        seeds=None if seeds is None else paired(deviations, which, seeds),
    )
    return measured, scale
