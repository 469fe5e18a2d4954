"""Fits power laws, the readable companions of forecasts in figures and tables.

They have no intervals: bands from their parameters alone hold far fewer errors than they promise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from datavol.errors import ConfigError

EXPONENTS = np.linspace(0.01, 2, 200)  # slopes tried for a power law with a floor


@dataclass(frozen=True)
class PowerLaw:
    """Computes error(n) = floor + scale n^-slope; its `str` is the formula."""

    scale: float
    slope: float
    floor: float = 0.0

    def __call__(self, n: np.ndarray) -> np.ndarray:
        """Return the error at n, a share."""
        return self.floor + self.scale * np.asarray(n, float) ** -self.slope

    def __str__(self) -> str:
        floor = f"{self.floor:.3g} + " if self.floor else ""
        scale, slope = f"{float(f'{self.scale:.3g}'):,}", f"{-self.slope:.3g}"  # 48,400 rather than 4.84e+04
        if self.scale == 0:
            return f"error = {self.floor:.3g}"
        return f"error = {floor}{scale.removesuffix('.0')} n^{slope}"


def fit_power_law(n: np.ndarray, error: np.ndarray) -> PowerLaw:
    """Fit a straight line to log error against log n.

    Args:
        n: Subset sizes (runs,), at least two different ones among the errors above 0.
        error: Errors, shares (runs,); those of 0 are left out, as they have no logarithm.

    Raises:
        ConfigError: If fewer than two sizes have errors above 0.
    """
    n, error = np.asarray(n, float), np.asarray(error, float)
    n, error = n[error > 0], error[error > 0]
    if len(np.unique(n)) < 2:
        raise ConfigError("a power law must have errors above 0 at 2 sizes or more, got fewer; train on more subsets")
    slope, intercept = np.polyfit(np.log(n), np.log(error), 1)
    return PowerLaw(float(np.exp(intercept)), -float(slope))


def fit_power_law_with_floor(n: np.ndarray, error: np.ndarray) -> PowerLaw:
    """Fit floor + scale n^-slope by least squares of relative residuals.

    Floor and scale are at least 0; the slope is the best of `EXPONENTS`.

    Args:
        n: Subset sizes (runs,).
        error: Errors, shares (runs,); those of 0 are weighted like the smallest above it.
    """
    n, error = np.asarray(n, float), np.asarray(error, float)
    if not error.any():
        return PowerLaw(0.0, float(EXPONENTS[0]))
    weights = 1 / np.maximum(error, error[error > 0].min())  # turn residuals into shares of the measured error
    smallest = n.min()  # sizes in units of the smallest: millions of images to the power -2 would be lost in rounding
    fits = []
    for slope in EXPONENTS:
        # With the slope fixed, floor and scale are linear: non-negative least squares on two columns (runs, 2)
        columns = np.stack([np.ones_like(n), (n / smallest) ** -slope], axis=1) * weights[:, None]
        (floor, scale), misfit = nnls(columns, error * weights)
        # scale (n / smallest)^-slope = scale smallest^slope n^-slope
        fits.append((misfit, PowerLaw(float(scale * smallest**slope), float(slope), float(floor))))
    return min(fits, key=lambda fit: fit[0])[1]
