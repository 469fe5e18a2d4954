"""Fits learning curves and forecasts errors, gains and the images needed.

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
from datavol.study.curves.checks import Array, Numbers, check_curve, check_share, checked_input, checked_sizes
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.curves.forecasts import Gain, ImagesNeeded, settled
from datavol.study.curves.slope_process import LCDB_PRIOR, Mixture, Prior, SlopeProcess, condition

REACH = 4.0  # forecasts were validated up to this many times the largest n
DRAWS = 4000  # equally likely curves: probabilities counted from so many are within 0.016
SEARCHED = 41  # sizes between which a wanted error is interpolated: some six per doubling
RUN_NOISE = 0.01
"""The least standard deviation of z between runs, repeated or not: about 1 % of the error. At the largest size of
`benchmarks/data/fashion_mnist.csv` seeds differ by 0.2 to 1.7 %, of which the test set explains some."""

REPEATS_TO_TELL = 3
"""With so many repeats half of the wiggle's variance is taken to last (the size's, not the run's); with 0, nothing."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Stores a fitted learning curve; `fit_learning_curve` makes it.

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
        """Return the largest n."""
        return float(self.n[-1])

    @property
    def limit(self) -> float:
        """Return the n up to which forecasts are validated."""
        return REACH * self.largest

    def predict(self, n: Numbers, level: float | None = None) -> pd.DataFrame:
        """Forecast the error that one new run would measure at every `n`.

        Intervals account for the uncertainty of the curve, the noise between runs and that of the test set. They lie
        between 0 and chance, or the largest measured error where that is worse than chance.

        Returns:
            A row per n: `n`, `error` (median), `low`, `high` (shares), `beyond` (n is beyond four times the largest
            size, where nothing validates a forecast).

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
        return pd.DataFrame({"n": sizes, **errors, "beyond": sizes > self.limit * (1 + 1e-9)})

    def average_errors(self, n: Numbers, draws: int = DRAWS, seed: int = 0) -> Array:
        """Draw equally likely error curves of the average run.

        Returns:
            Errors, shares, drawn jointly at all sizes `n` (draws, sizes); equal seeds give equal curves.

        Raises:
            ConfigError: If n is out of range.
        """
        x = np.log2(checked_sizes(n) / self.largest)
        return self._scale.error(self._process.draws(x, draws, np.random.default_rng(seed)))

    def with_run(self, n: float, error: float) -> LearningCurve:
        """Fit the curve again, to these runs and one more.

        Raises:
            ConfigError: If n or error is out of range.
            InsufficientData: If the error at the largest size is at chance then.
        """
        return self._refit(np.append(self.n, n), np.append(self.error, error))

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
        here = self._process.at(np.zeros(1)).quantile(0.5)  # z at the largest n
        # The change of z is forecast as such: the unknown level is part of both ends and cancels
        change = self._process.change(np.log2([factor]))
        shares = (0.5, (1 - self.level) / 2, (1 + self.level) / 2)
        now = self._scale.error(here)
        # A low quantile of z is a low error afterwards, and therefore a high gain
        gain, high, low = (float((now - self._scale.error(here + change.quantile(share)))[0]) for share in shares)
        return Gain(factor, factor * self.largest, gain, low, high, self.level)

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
            refit = self._refit(self.n[known], self.error[known])
        except InsufficientData:
            return []
        measured, forecast = self.error[~known], refit.predict(self.n[~known])
        inside = (forecast["low"] <= measured) & (measured <= forecast["high"])
        rows = forecast.assign(measured=measured, inside=inside)[~forecast["beyond"]]
        return [(refit.largest, r.n, r.measured, r.error, r.low, r.high, r.inside) for r in rows.itertuples()]

    def _refit(self, n: Array, error: Array) -> LearningCurve:
        chance, prior = self.chance_error, self._process.prior
        return fit_learning_curve(
            n, error, chance_error=chance, test_size=self.test_size, level=self.level, prior=prior
        )

    def _new_run(self, n: Array) -> Mixture:
        """Forecast the z that one run would measure."""
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
    sizes, errors = checked_input(n, error, chance_error, test_size, level)
    order = np.lexsort((errors, sizes))
    sizes, errors = sizes[order], errors[order]
    # Repeats are averaged: a mean per distinct size (sizes,); `which` is the number of every run's size (runs,)
    distinct, which, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    means = np.bincount(which, errors) / repeats
    check_curve(distinct, means, chance_error)
    scale = ErrorScale.of(errors, chance_error, test_size)
    test_variance = scale.test_variance(means)
    # Small differences of errors become differences of z by the derivative dz/derror at the mean
    deviations = (errors - means[which]) * scale.steepness(means)[which]
    run_variance = _run_variance(deviations, repeats, test_variance)
    spare = len(errors) - len(distinct)  # repeats beyond the first run of each size
    process = condition(
        np.log2(distinct / distinct[-1]),
        scale.z(means),
        (run_variance + test_variance) / repeats,  # of a mean; test noise counts as independent between runs
        replace(prior, lasting=spare / (spare + REPEATS_TO_TELL)),
    )
    return LearningCurve(sizes, errors, chance_error, test_size, level, run_variance**0.5, scale, process)


def _run_variance(deviations: Array, repeats: Array, test_variance: Array) -> float:
    """Estimate the variance of z between runs, pooled over all sizes."""
    spare = repeats - 1  # degrees of freedom of every size
    if not spare.any():
        return RUN_NOISE**2
    # The expected sum of squares of a size is spare * (run variance + test variance)
    return max(float((deviations**2).sum() - spare @ test_variance) / float(spare.sum()), RUN_NOISE**2)
