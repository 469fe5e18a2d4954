"""Models learning curves as Gaussian processes whose slope per doubling drifts.

Pure mathematics on arrays; `posterior` weighs several such processes. With x = log2 n, in doublings and counted from
the largest n, and z the scale of `error_scale`,

    z(x) = level + slope bent(x) + scale (integral of the slope's drift from 0 to x + wiggle(x)),
    measured z = z(x) + noise.

The slope at the largest n is normal around a mean that depends on z there. Beyond it, `bent` damps the slope, as gains
shrink. The drift is an Ornstein-Uhlenbeck process, which bends the curve slowly. The wiggle is the deviation of single
sizes from the smooth curve; its variance falls as 1/n up to the largest n. A part of it lasts, shared by all runs of
about this size; the rest is a run's own. The level is unknown.

The scale is unknown too, and differs between curves. Its square has a scaled inverse chi-squared prior; the posterior
is computed on a grid, so that forecasts are mixtures of normals, one per scale. A crooked curve has a large scale, and
therefore wide intervals. (Compare Shah, Wilson and Ghahramani, *Student-t processes as alternatives to Gaussian
processes*, 2014.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from datavol.study.curves.checks import Array

SCALES = np.geomspace(0.1, 30, 18)
"""The grid of scales, in steps of 40 %; beyond it a curve would be 10 times calmer or 30 times wilder than most."""

LEVEL_SD = 10.0  # standard deviation of the level around the last z: wide, as z = -9 is one image in 10,000
SMALLEST_VARIANCE = 1e-8  # of a mixture's normals: 1e-4 in z, below everything that is measured
WIGGLE_DECAY = 5.0
"""Rate at which the lasting wiggle is forgotten, per doubling: doublings are independent, 75 and 100 % share an eighth.
Not fitted (public curves have no neighbouring sizes); it only shapes the band between measured sizes."""

ALIKE = 0.7
"""Correlation of slope, drift and wiggle of two curves that are alike. Chosen, not fitted: 0.5 and 0.85 do as well."""


@dataclass(frozen=True)
class Prior:
    """Stores what other curves of a kind teach about a new one."""

    mean_slope: float  # mean slope per doubling, of curves that end at z = -1
    slope_by_z: float  # change of the mean slope per unit of z at the largest n
    slope_sd: float  # standard deviation of the slope around it
    damping: float  # rate at which the slope shrinks beyond the largest n, per doubling
    drift: float  # standard deviation of the drift, per unit of scale
    decay: float  # rate at which a drift is forgotten, per doubling
    wiggle: float  # standard deviation of the wiggle from the largest n on, per unit of scale
    dof: float  # degrees of freedom of the scale's prior: the fewer, the more curves differ
    lasting: float = 0.0  # share of the wiggle's variance that all runs of a size have in common

    def mean(self, x: Array, last: float) -> Array:
        """Compute the mean of z(x) less the level.

        The curve ends at z = `last`.
        """
        return (self.mean_slope + self.slope_by_z * (last + 1)) * self._bent(x)

    def slope_covariance(self, x: Array, y: Array) -> Array:
        """Compute the slope's part of the covariance, (points, others)."""
        return self.slope_sd**2 * np.multiply.outer(self._bent(x), self._bent(y))

    def drift_covariance(self, x: Array, y: Array) -> Array:
        """Compute the covariance by drift and lasting wiggle at scale 1.

        Of the average run, (points, others).
        """
        x, y = x[:, None], y[None, :]
        # The integral of a stationary drift has stationary increments, whose variance depends on the distance alone.
        # It is 0 at 0, so Cov(W(x), W(y)) = (Var W(x) + Var W(y) - Var(W(x) - W(y))) / 2
        drift = 0.5 * (self._drift_variance(x) + self._drift_variance(y) - self._drift_variance(x - y))
        # The product of both standard deviations times a correlation that decays with the distance
        wiggle = np.sqrt(self._wiggle_variance(x) * self._wiggle_variance(y)) * np.exp(-WIGGLE_DECAY * np.abs(x - y))
        return drift + self.lasting * wiggle

    def own_wiggle(self, x: Array) -> Array:
        """Compute the variance at scale 1 of a run's own wiggle, (points,)."""
        return (1 - self.lasting) * self._wiggle_variance(x)

    def _bent(self, x: Array) -> Array:
        # x up to the largest n; beyond, the integral of a slope that shrinks: (1 - exp(-damping x)) / damping
        return np.where(x > 0, -np.expm1(-self.damping * np.maximum(x, 0)) / self.damping, x)

    def _wiggle_variance(self, x: Array) -> Array:
        return self.wiggle**2 * 2 ** np.maximum(-x, 0)  # doubles with every halving of n, constant beyond the largest

    def _drift_variance(self, doublings: Array) -> Array:
        # The double integral of the drift's covariance drift^2 exp(-decay |u - v|) over [0, d] x [0, d] is
        # 2 (drift / decay)^2 (decay d - 1 + exp(-decay d)); expm1 keeps the digits where d is small
        decays = self.decay * np.abs(doublings)
        return 2 * (self.drift / self.decay) ** 2 * (decays + np.expm1(-decays))


@dataclass(frozen=True, eq=False)
class SlopeProcess:
    """Stores the process conditioned on measurements; `condition` makes it.

    Attributes:
        x: log2 n less the largest of the curve that is forecast (sizes,).
        own: Whether that curve was measured, or another that is alike (sizes,).
        last: Its z at the largest n, the prior mean of the level.
        likelihood: Log density of the measurements given each scale, but for a constant (scales,).
        prior_weights: Log prior probability of each scale (scales,).
        inverse: Inverse covariances K^-1 of the measurements, a matrix per scale (scales, sizes, sizes).
        solved: K^-1 (measured - prior mean), a vector per scale (scales, sizes).
    """

    prior: Prior
    x: Array
    own: Array
    last: float
    likelihood: Array
    prior_weights: Array
    inverse: Array
    solved: Array

    def normals(self, x: Array) -> tuple[Array, Array]:
        """Forecast z of new runs at `x`, without noise.

        Returns:
            Means and variances (scales, points).
        """
        means, cross = self._means(x)
        before = np.diag(self.prior.slope_covariance(x, x)) + LEVEL_SD**2
        scaled = np.diag(self.prior.drift_covariance(x, x)) + self.prior.own_wiggle(x)
        # The diagonal of cross K^-1 cross' alone (scales, points): points are forecast one by one
        explained = np.einsum("spn,spn->sp", cross @ self.inverse, cross)
        # Rounding may leave a variance slightly below 0 where a measured size without noise is asked for
        return means, np.maximum(before + SCALES[:, None] ** 2 * scaled - explained, SMALLEST_VARIANCE)

    def average_run(self, x: Array, scales: Array) -> tuple[Array, Array]:
        """Forecast z of the average run jointly at `x`.

        `scales` are numbers of scales.

        Returns:
            Means (scales, points) and roots L of the covariances L L' (scales, points, points), lower triangular.
        """
        means, cross = self._means(x)
        cross = cross[scales]
        drift = SCALES[scales, None, None] ** 2 * self.prior.drift_covariance(x, x)
        before = drift + self.prior.slope_covariance(x, x) + LEVEL_SD**2
        covariances = before - cross @ self.inverse[scales] @ cross.swapaxes(-1, -2)
        return means[scales], _roots(covariances + SMALLEST_VARIANCE * np.eye(len(x)))

    def _means(self, x: Array) -> tuple[Array, Array]:
        """Compute posterior means, and covariances with the measurements.

        Means are (scales, points), covariances (scales, points, sizes).
        """
        # The level is common to all points and the curve's measurements, so its variance is added to those entries
        alike = np.where(self.own, 1.0, ALIKE)
        cross = SCALES[:, None, None] ** 2 * (alike * self.prior.drift_covariance(x, self.x))
        cross = cross + alike * self.prior.slope_covariance(x, self.x) + LEVEL_SD**2 * self.own
        return self.last + self.prior.mean(x, self.last) + (cross @ self.solved[..., None])[..., 0], cross


def condition(x: Array, z: Array, noise: Array, prior: Prior, which: Array | None = None) -> SlopeProcess:
    """Condition the process on measurements.

    Args:
        x: log2 n, ascending and distinct in a curve, less the largest of the curve that is forecast (sizes,).
        z: Measured z (sizes,).
        noise: Variances of the measurement noise (sizes,), 0 where there is none beside the wiggle.
        prior: What other curves teach.
        which: Number of every measurement's curve (sizes,): 0 is forecast, others are alike. None: all are 0.
    """
    which = np.zeros(len(x), int) if which is None else which
    same = which[:, None] == which
    alike = np.where(same, 1.0, ALIKE)
    # Covariance K of the measurements, a matrix per scale (scales, sizes, sizes); slope and noise are not scaled, and
    # each curve has a level of its own
    scaled = alike * prior.drift_covariance(x, x) + np.diag(prior.own_wiggle(x))
    covariance = SCALES[:, None, None] ** 2 * scaled + alike * prior.slope_covariance(x, x) + np.diag(noise)
    covariance = covariance + LEVEL_SD**2 * same
    # Where each curve is at the largest n of the one that is forecast
    last = [float(np.interp(0.0, x[which == one], z[which == one])) for one in range(int(which.max()) + 1)]
    residual = np.concatenate([z[which == i] - at - prior.mean(x[which == i], at) for i, at in enumerate(last)])
    inverse = np.linalg.inv(covariance)
    solved = inverse @ residual
    # Log likelihood of every scale, but for a constant: -(log det K + residual' K^-1 residual) / 2
    likelihood = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * solved @ residual
    # Log prior: scale^2 ~ dof / chi-squared(dof), as a density of log scale, in which the grid is even
    scales = -prior.dof * (np.log(SCALES) + 0.5 / SCALES**2)
    return SlopeProcess(prior, x, which == 0, last[0], likelihood, scales - logsumexp(scales), inverse, solved)


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
