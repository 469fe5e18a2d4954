"""A learning curve whose slope per doubling drifts: a Gaussian process with one unknown scale per curve.

Pure mathematics on arrays; `curves` puts it to use. With x = log2 n, counted from the largest n, and z = logit(error /
ceiling),

    z(x) = level + mean_slope x + scale (integral of the drift of the slope from 0 to x + wiggle(x)),
    measured = z(x) + noise.

The drift is an Ornstein-Uhlenbeck process: a slope is remembered for some doublings and then returns to the mean, which
damps forecasts. The wiggle is what a size has of its own: its variance falls as 1/n up to the largest n. Some of it
lasts, and is shared by all runs of about this size; the rest is a run's. The level is left open.

The square of the scale has a scaled inverse chi-squared prior; its posterior is summed over a grid, so that forecasts
are mixtures of normals. A steep or crooked curve has a large scale, and therefore wide intervals. Without noise the
mixture is a Student t (Shah, Wilson and Ghahramani, *Student-t processes as alternatives to Gaussian processes*, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import logsumexp, ndtr

Array: TypeAlias = np.ndarray

SCALES = np.geomspace(0.1, 100, 25)
"""The grid of scales, in steps of a third; beyond it a curve would be 10 times calmer or 100 times wilder than most."""

LEVEL_SD = 10.0
"""Of the level around the last z: wide beside what test sets can tell (z = -9 is one image in ten thousand)."""

SMALLEST_VARIANCE = 1e-8
"""Of a mixture's normals: a ten-thousandth in z, below everything that is measured."""

WIGGLE_DECAY = 5.0
"""Rate at which the lasting wiggle is forgotten, per doubling: doublings are independent, 75 and 100 % share an eighth.
Not fitted (public curves have no neighbouring sizes); it only shapes the band between measured sizes."""


@dataclass(frozen=True)
class Prior:
    """What other curves teach about a new one.

    Attributes:
        mean_slope: Of z, per doubling of n.
        drift: Standard deviation of the slope around it, per unit of scale.
        decay: Rate at which a slope is forgotten, per doubling.
        wiggle: Standard deviation of the wiggle from the largest n on, per unit of scale.
        dof: Degrees of freedom of the scale's prior: the fewer, the more do curves differ.
        lasting: Share of the wiggle's variance that all runs of a size have in common.
    """

    mean_slope: float
    drift: float
    decay: float
    wiggle: float
    dof: float
    lasting: float = 0.0

    def covariance(self, x: Array, y: Array) -> Array:
        """Of runs at `x` (..., places) with others at `y` (..., others), at scale 1: (..., places, others)."""
        x, y = x[..., :, None], y[..., None, :]
        drift = 0.5 * (self._drift_variance(x) + self._drift_variance(y) - self._drift_variance(x - y))
        wiggle = np.sqrt(self._wiggle_variance(x) * self._wiggle_variance(y)) * np.exp(-WIGGLE_DECAY * np.abs(x - y))
        return drift + self.lasting * wiggle

    def covariance_of_runs(self, x: Array) -> Array:
        """Of one run at each of the places `x` (..., places), at scale 1: (..., places, places)."""
        own = (1 - self.lasting) * self._wiggle_variance(x)
        return self.covariance(x, x) + own[..., None] * np.eye(x.shape[-1])

    def variance(self, x: Array) -> Array:
        """Of one run at each of the places `x`, at scale 1."""
        return self._drift_variance(x) + self._wiggle_variance(x)

    def _wiggle_variance(self, x: Array) -> Array:
        return self.wiggle**2 * 2 ** np.maximum(-x, 0)

    def _drift_variance(self, doublings: Array) -> Array:
        """Of what the drift adds over so many doublings."""
        decays = self.decay * np.abs(doublings)
        return 2 * (self.drift / self.decay) ** 2 * (decays + np.expm1(-decays))


LCDB_PRIOR = Prior(mean_slope=-0.0240, drift=0.0435, decay=0.172, wiggle=0.00734, dof=2.23)
"""Maximum likelihood of forecasts on 177 data sets of LCDB 1.1: `benchmarks/learning_curve_constants.py` prints it."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normals at every place: `weights` (scales,), `means` and `sds` (scales, places)."""

    weights: Array
    means: Array
    sds: Array

    @property
    def mean(self) -> Array:
        """The mean at every place."""
        return self.weights @ self.means

    def quantile(self, share: float) -> Array:
        """The value below which a `share` of the mixture lies, at every place."""
        low, high = (self.means - 9 * self.sds).min(0), (self.means + 9 * self.sds).max(0)
        for _ in range(40):  # halvings: to 1e-12 of the bracket
            middle = (low + high) / 2
            below = self.weights @ ndtr((middle - self.means) / self.sds) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def blurred(self, variance: Array | float) -> Mixture:
        """With independent noise of this variance added, (places,) or one for all."""
        return Mixture(self.weights, self.means, np.sqrt(self.sds**2 + variance))


@dataclass(frozen=True, eq=False)
class SlopeProcess:
    """The process given what was measured; `condition` makes it.

    Attributes:
        prior: The prior.
        x: log2 n less its largest value (sizes,).
        level: z at the largest n, around which the open level lies.
        weights: Posterior of the scales (scales,).
        inverse: Inverse covariances of the measurements (scales, sizes, sizes).
        solved: Inverse covariances times residuals (scales, sizes).
    """

    prior: Prior
    x: Array
    level: float
    weights: Array
    inverse: Array
    solved: Array

    def at(self, x: Array) -> Mixture:
        """The z of new runs at the places `x` (places,), without their known noise."""
        cross = self.prior.covariance(x, self.x)
        return self._given(x, cross, self.prior.variance(x), self.level, LEVEL_SD**2)

    def change(self, x: Array) -> Mixture:
        """The z of new runs at the places `x` less that of the average run at the largest n."""
        origin = np.zeros(1)
        cross = self.prior.covariance(x, self.x) - self.prior.covariance(origin, self.x)
        shared = self.prior.covariance(origin, origin)[0] - 2 * self.prior.covariance(x, origin)[:, 0]
        before = self.prior.variance(x) + shared
        return self._given(x, cross, before, 0.0, 0.0)

    def draws(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """The z of the average run at the places `x` (places,), jointly: (count, places)."""
        squares = SCALES[:, None, None] ** 2
        cross = squares * self.prior.covariance(x, self.x) + LEVEL_SD**2
        before = squares * self.prior.covariance(x, x) + LEVEL_SD**2
        means = self.level + self.prior.mean_slope * x + (cross @ self.solved[..., None])[..., 0]
        covariances = before - cross @ self.inverse @ cross.swapaxes(-1, -2)
        roots = np.linalg.cholesky(covariances + SMALLEST_VARIANCE * np.eye(len(x)))
        # One random number for all, in equal steps: every scale gets its weight of the draws, as nearly as can be
        which = np.searchsorted(np.cumsum(self.weights), (np.arange(count) + rng.random()) / count)
        parts = np.split(rng.standard_normal((count, len(x))), np.searchsorted(which, np.arange(1, len(SCALES))))
        drawn = [mean + part @ root.T for mean, root, part in zip(means, roots, parts, strict=True)]
        return np.concatenate(drawn)

    def _given(self, x: Array, cross: Array, before: Array, level: float, level_variance: float) -> Mixture:
        """Condition on the measurements: `cross` (places, sizes) and `before` (places,) are covariances at scale 1."""
        squares = SCALES[:, None] ** 2
        cross = squares[..., None] * cross + level_variance
        explained = np.einsum("spn,spn->sp", cross @ self.inverse, cross)
        means = level + self.prior.mean_slope * x + (cross @ self.solved[..., None])[..., 0]
        # Rounding may leave a variance of 0 slightly below it, where nothing but the measured size itself is asked for
        variances = np.maximum(squares * before + level_variance - explained, SMALLEST_VARIANCE)
        return Mixture(self.weights, means, np.sqrt(variances))


def condition(x: Array, z: Array, noise: Array, prior: Prior = LCDB_PRIOR) -> SlopeProcess:
    """Condition the process on measurements.

    Args:
        x: log2 n, ascending and distinct, less the largest (sizes,); the last is 0.
        z: CurveRuns z (sizes,).
        noise: Its known variances (sizes,), 0 where nothing but the wiggle is known of.
        prior: The prior.
    """
    covariance = SCALES[:, None, None] ** 2 * prior.covariance_of_runs(x) + np.diag(noise) + LEVEL_SD**2
    residual = z - z[-1] - prior.mean_slope * x
    inverse = np.linalg.inv(covariance)
    solved = inverse @ residual
    evidence = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * solved @ residual
    # scale^2 ~ dof / chi-squared(dof), as a density of log scale: the grid is even in it
    evidence -= prior.dof * (np.log(SCALES) + 0.5 / SCALES**2)
    return SlopeProcess(prior, x, float(z[-1]), np.exp(evidence - logsumexp(evidence)), inverse, solved)
