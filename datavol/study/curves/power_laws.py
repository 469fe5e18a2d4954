"""Power laws of learning curves: readable companions of the forecasts in `curves`, for figures and tables.

They have no intervals: bands from their parameters alone hold far fewer errors than they promise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from datavol.errors import ConfigError

EXPONENTS = np.linspace(0.01, 2, 200)
"""The slopes that are tried for a power law with a floor."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale n^-slope; call it with n, `str` of it is the formula."""

    scale: float
    slope: float
    floor: float = 0.0

    def __call__(self, n: np.ndarray) -> np.ndarray:
        """The error at n, a share."""
        return self.floor + self.scale * np.asarray(n, float) ** -self.slope

    def __str__(self) -> str:
        floor = f"{self.floor:.3g} + " if self.floor else ""
        return f"error = {floor}{self.scale:.3g} n^-{self.slope:.3g}"


def fit_power_law(n: np.ndarray, error: np.ndarray) -> PowerLaw:
    """Least squares of a straight line in log error against log n; errors of 0 are left out.

    Args:
        n: Subset sizes (runs,), at least two different ones among the errors above 0.
        error: Errors, shares (runs,).

    Raises:
        ConfigError: If fewer than two sizes have errors above 0.
    """
    n, error = np.asarray(n, float), np.asarray(error, float)
    if len(np.unique(n[error > 0])) < 2:
        raise ConfigError("a power law must have errors above 0 at 2 sizes or more, got fewer; train on more subsets")
    slope, intercept = np.polyfit(np.log(n[error > 0]), np.log(error[error > 0]), 1)
    return PowerLaw(float(np.exp(intercept)), -float(slope))


def fit_power_law_with_floor(n: np.ndarray, error: np.ndarray) -> PowerLaw:
    """Least squares of the relative residuals, floor and scale at least 0, the slope searched in `EXPONENTS`.

    Args:
        n: Subset sizes (runs,).
        error: Errors, shares (runs,); those of 0 are weighted like the smallest above it.
    """
    n, error = np.asarray(n, float), np.asarray(error, float)
    if not error.any():
        return PowerLaw(0.0, float(EXPONENTS[0]))
    relative = 1 / np.maximum(error, error[error > 0].min())
    smallest = n.min()  # sizes in units of the smallest: n^-2 stays a number that can be fitted
    fits = []
    for slope in EXPONENTS:
        columns = np.stack([np.ones_like(n), (n / smallest) ** -slope], axis=1) * relative[:, None]
        (floor, scale), misfit = nnls(columns, error * relative)
        fits.append((misfit, PowerLaw(float(scale * smallest**slope), float(slope), float(floor))))
    return min(fits, key=lambda fit: fit[0])[1]
