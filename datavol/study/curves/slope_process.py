"""Models learning curves as Gaussian processes whose slope per doubling drifts.

Pure mathematics on arrays; `learning_curve` uses it. With x = log2 n, in doublings and counted from the largest n, and
z = logit(error / ceiling),

    z(x) = level + mean_slope x + scale (integral of the slope's drift from 0 to x + wiggle(x)),
    measured z = z(x) + noise.

The drift is an Ornstein-Uhlenbeck process: a slope persists for some doublings, then returns to the mean, which damps
forecasts. The wiggle is the deviation of single sizes from the smooth curve; its variance falls as 1/n up to the
largest n. A part of it lasts, shared by all runs of about this size; the rest is a run's own. The level is unknown.

The scale is unknown too, and differs between curves. Its square has a scaled inverse chi-squared prior; the posterior
is computed on a grid, so that forecasts are mixtures of normals, one per scale. A steep or crooked curve has a large
scale, and therefore wide intervals. Without noise the mixture is a Student t (Shah, Wilson and Ghahramani, *Student-t
processes as alternatives to Gaussian processes*, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from datavol.study.curves.checks import Array

SCALES = np.geomspace(0.1, 100, 25)
"""The grid of scales, in steps of a third; beyond it a curve would be 10 times calmer or 100 times wilder than most."""

LEVEL_SD = 10.0  # standard deviation of the level around the last z: wide, as z = -9 is one image in 10,000
SMALLEST_VARIANCE = 1e-8  # of a mixture's normals: 1e-4 in z, below everything that is measured
WIGGLE_DECAY = 5.0
"""Rate at which the lasting wiggle is forgotten, per doubling: doublings are independent, 75 and 100 % share an eighth.
Not fitted (public curves have no neighbouring sizes); it only shapes the band between measured sizes."""


@dataclass(frozen=True)
class Prior:
    """Stores what other curves teach about a new one."""

    mean_slope: float  # mean slope of z, per doubling of n
    drift: float  # standard deviation of the slope around it, per unit of scale
    decay: float  # rate at which a slope is forgotten, per doubling
    wiggle: float  # standard deviation of the wiggle from the largest n on, per unit of scale
    dof: float  # degrees of freedom of the scale's prior: the fewer, the more curves differ
    lasting: float = 0.0  # share of the wiggle's variance that all runs of a size have in common

    def covariance(self, x: Array, y: Array) -> Array:
        """Compute the average run's covariance, at scale 1, without the level.

        Points `x` (..., points) with `y` (..., others) give (..., points, others).
        """
        x, y = x[..., :, None], y[..., None, :]
        # The integral of a stationary drift has stationary increments, whose variance depends on the distance alone.
        # It is 0 at 0, so Cov(W(x), W(y)) = (Var W(x) + Var W(y) - Var(W(x) - W(y))) / 2
        drift = 0.5 * (self._drift_variance(x) + self._drift_variance(y) - self._drift_variance(x - y))
        # The product of both standard deviations times a correlation that decays with the distance
        wiggle = np.sqrt(self._wiggle_variance(x) * self._wiggle_variance(y)) * np.exp(-WIGGLE_DECAY * np.abs(x - y))
        return drift + self.lasting * wiggle

    def covariance_of_runs(self, x: Array) -> Array:
        """Compute single runs' covariance at `x` (..., points): (..., points, points)."""
        own = (1 - self.lasting) * self._wiggle_variance(x)  # what does not last is independent: on the diagonal only
        return self.covariance(x, x) + own[..., None] * np.eye(x.shape[-1])

    def variance(self, x: Array) -> Array:
        """Compute single runs' variance at `x`, the diagonal of `covariance_of_runs`."""
        return self._drift_variance(x) + self._wiggle_variance(x)

    def _wiggle_variance(self, x: Array) -> Array:
        return self.wiggle**2 * 2 ** np.maximum(-x, 0)  # doubles with every halving of n, constant beyond the largest

    def _drift_variance(self, doublings: Array) -> Array:
        # The double integral of the drift's covariance drift^2 exp(-decay |u - v|) over [0, d] x [0, d] is
        # 2 (drift / decay)^2 (decay d - 1 + exp(-decay d)); expm1 keeps the digits where d is small
        decays = self.decay * np.abs(doublings)
        return 2 * (self.drift / self.decay) ** 2 * (decays + np.expm1(-decays))


LCDB_PRIOR = Prior(mean_slope=-0.0240, drift=0.0435, decay=0.172, wiggle=0.00734, dof=2.23)
"""Maximum likelihood of forecasts on 177 data sets of LCDB 1.1: `benchmarks/learning_curve_constants.py` prints it."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Stores mixtures of normals: `weights` (scales,), `means`, `sds` (scales, points)."""

    weights: Array
    means: Array
    sds: Array

    @property
    def mean(self) -> Array:
        """Return the mean at every point."""
        return self.weights @ self.means

    def quantile(self, share: float) -> Array:
        """Compute the quantile at probability `share`, for every point."""
        # No closed form: bisection at all points together, from a bracket that holds all but 1e-19 of every normal
        low, high = (self.means - 9 * self.sds).min(0), (self.means + 9 * self.sds).max(0)
        for _ in range(40):  # halvings: to 1e-12 of the bracket
            middle = (low + high) / 2
            below = self.weights @ ndtr((middle - self.means) / self.sds) < share  # the mixture's distribution function
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def blurred(self, variance: Array | float) -> Mixture:
        """Add independent noise of this variance, (points,) or one for all."""
        return Mixture(self.weights, self.means, np.sqrt(self.sds**2 + variance))


@dataclass(frozen=True, eq=False)
class SlopeProcess:
    """Stores the process conditioned on measurements; `condition` makes it.

    Attributes:
        x: log2 n less its largest value (sizes,).
        level: z at the largest n, the prior mean of the level.
        weights: Posterior probabilities of the scales (scales,).
        inverse: Inverse covariances K^-1 of the measurements, a matrix per scale (scales, sizes, sizes).
        solved: K^-1 (measured - prior mean), a vector per scale (scales, sizes).
    """

    prior: Prior
    x: Array
    level: float
    weights: Array
    inverse: Array
    solved: Array

    def at(self, x: Array) -> Mixture:
        """Forecast z of new runs at `x` (points,), without their measurement noise."""
        cross = self.prior.covariance(x, self.x)
        return self._given(x, cross, self.prior.variance(x), self.level, LEVEL_SD**2)

    def change(self, x: Array) -> Mixture:
        """Forecast z of new runs minus that of the average largest run."""
        origin = np.zeros(1)  # the largest n
        # Covariances of a difference: Cov(a - b, c) = Cov(a, c) - Cov(b, c), Var(a - b) = Var a + Var b - 2 Cov(a, b).
        # The level is in both runs and cancels, and with it its mean and variance
        cross = self.prior.covariance(x, self.x) - self.prior.covariance(origin, self.x)
        at_origin = self.prior.covariance(origin, origin)[0] - 2 * self.prior.covariance(x, origin)[:, 0]
        return self._given(x, cross, self.prior.variance(x) + at_origin, 0.0, 0.0)

    def draws(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw z of the average run jointly at `x` (points,): (count, points)."""
        # Prior covariances for every scale s: s^2 times that at scale 1. The level is common to all points and
        # measurements, so its variance is added to every entry. `cross` is (scales, points, sizes)
        squares = SCALES[:, None, None] ** 2
        cross = squares * self.prior.covariance(x, self.x) + LEVEL_SD**2
        before = squares * self.prior.covariance(x, x) + LEVEL_SD**2
        # Posterior of the points given the measurements, for every scale:
        # mean = prior mean + cross K^-1 residual (scales, points), covariance = before - cross K^-1 cross'
        means = self.level + self.prior.mean_slope * x + (cross @ self.solved[..., None])[..., 0]
        covariances = before - cross @ self.inverse @ cross.swapaxes(-1, -2)
        roots = _roots(covariances + SMALLEST_VARIANCE * np.eye(len(x)))  # L e of normals e are correlated
        # Systematic sampling of the scales: `count` evenly spaced points of [0, 1) with one random offset, looked up in
        # the cumulative weights. Every scale gets its weight of the draws to within one, which varies less than chance
        which = np.searchsorted(np.cumsum(self.weights), (np.arange(count) + rng.random()) / count)
        # `which` ascends, so the draws of a scale are consecutive rows: cut the normals into a part (rows, points) per
        # scale, empty where a scale has no draws
        parts = np.split(rng.standard_normal((count, len(x))), np.searchsorted(which, np.arange(1, len(SCALES))))
        return np.concatenate([m + part @ root.T for m, root, part in zip(means, roots, parts, strict=True)])

    def _given(self, x: Array, cross: Array, before: Array, level: float, level_variance: float) -> Mixture:
        """Condition on the measurements, for every point and scale."""
        # At scale 1, `cross` (points, sizes) is the covariance with the measurements, `before` (points,) the variance
        squares = SCALES[:, None] ** 2
        cross = squares[..., None] * cross + level_variance  # (scales, points, sizes)
        # The diagonal of cross K^-1 cross' alone (scales, points): points are forecast one by one
        explained = np.einsum("spn,spn->sp", cross @ self.inverse, cross)
        means = level + self.prior.mean_slope * x + (cross @ self.solved[..., None])[..., 0]
        # Rounding may leave a variance slightly below 0 where a measured size without noise is asked for
        variances = np.maximum(squares * before + level_variance - explained, SMALLEST_VARIANCE)
        return Mixture(self.weights, means, np.sqrt(variances))


def _roots(covariances: Array) -> Array:
    """Compute lower triangular L with L L' = covariance, (scales, points, points)."""
    # Cholesky's, where there is one. Rounding leaves eigenvalues of a covariance that is almost singular (many sizes,
    # little noise) below 0, where there is none; clipped at 0, V sqrt(values) is a root, and QR makes it triangular
    values, vectors = np.linalg.eigh(covariances)
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    upper = np.linalg.qr(root.swapaxes(-1, -2), mode="r")
    signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)  # QR leaves them open
    lower: Array = (signs[..., None] * upper).swapaxes(-1, -2)
    return lower


def condition(x: Array, z: Array, noise: Array, prior: Prior = LCDB_PRIOR) -> SlopeProcess:
    """Condition the process on measurements.

    Args:
        x: log2 n, ascending and distinct, less the largest (sizes,); the last is 0.
        z: Measured z (sizes,).
        noise: Variances of the measurement noise (sizes,), 0 where there is none beside the wiggle.
        prior: What other curves teach.
    """
    # Covariance K of the measurements, a matrix per scale (scales, sizes, sizes); noise is independent and not scaled
    covariance = SCALES[:, None, None] ** 2 * prior.covariance_of_runs(x) + np.diag(noise) + LEVEL_SD**2
    residual = z - z[-1] - prior.mean_slope * x
    inverse = np.linalg.inv(covariance)
    solved = inverse @ residual
    # Log likelihood of every scale, but for a constant: -(log det K + residual' K^-1 residual) / 2
    evidence = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * solved @ residual
    # Plus the log prior: scale^2 ~ dof / chi-squared(dof), as a density of log scale, in which the grid is even
    evidence -= prior.dof * (np.log(SCALES) + 0.5 / SCALES**2)
    return SlopeProcess(prior, x, float(z[-1]), np.exp(evidence - logsumexp(evidence)), inverse, solved)
