"""Converts errors to a scale on which learning curves are nearly straight.

It is z = log r - 1/4 log(1 - r) with r = error / ceiling, against log2 n. Far below the ceiling a power law is a line,
and near it the second term bends it like a plateau at guessing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

BEND = 0.25
"""Weight of the second term; of 0, 1/4, 1/2 and 1 (the logit) that under which public curves are likeliest."""

CEILING = 1.1  # the ceiling, where z is infinite, is chance, or this times the largest error if that is more
FLOOR = 1e-3
"""Least error (z = -7) as a share of the ceiling where the size of the test set is unknown, unless a smaller one was
measured: half of that, then."""


@dataclass(frozen=True)
class ErrorScale:
    """Stores the scale of one curve; all errors are shares."""

    ceiling: float  # the error at z = infinity
    floor: float  # the least error that is distinguished from 0; smaller ones count as this
    worst: float  # the larger of chance and the largest measured error; no prediction is above it
    test_size: float | None  # independent images that an error is measured on, None if unknown

    @classmethod
    def of(cls, errors: np.ndarray, chance_error: float, test_size: float | None) -> ErrorScale:
        """Choose the scale for these measured errors."""
        largest = float(errors.max())
        ceiling = max(chance_error, CEILING * largest)
        # Half a test image, but at most a tenth of the ceiling, so that a tiny test set leaves room between the two
        least = max(0.5 * float(errors[errors > 0].min(initial=1)), 1e-9 * ceiling)
        floor = min(FLOOR * ceiling, least) if test_size is None else min(0.5 / test_size, 0.1 * ceiling)
        return cls(ceiling, floor, max(chance_error, largest), test_size)

    def z(self, error: np.ndarray) -> np.ndarray:
        """Convert errors to z."""
        ratio = np.maximum(error, self.floor) / self.ceiling
        return np.log(ratio) - BEND * np.log1p(-ratio)

    def error(self, z: np.ndarray) -> np.ndarray:
        """Convert z to errors, at most `worst`."""
        # With r = expit(t), z(t) is increasing and concave, of a slope between 1/4 and 1, and z(t) <= t. From t = z on
        # Newton's steps therefore approach the root from below, without ever passing it
        t = np.asarray(z, float)
        for _ in range(6):  # to rounding: the error squares with every step
            misfit = z + np.logaddexp(0, -t) - BEND * np.logaddexp(0, t)
            t = t + misfit / (expit(-t) + BEND * expit(t))
        return np.minimum(self.ceiling * expit(t), self.worst)

    def steepness(self, error: np.ndarray) -> np.ndarray:
        """Return the derivative dz/derror."""
        # d/de (log e - log(c - e) / 4) = 1 / e + 1 / (4 (c - e)); clipped, as it is infinite at 0 and at the ceiling c
        clipped = np.clip(error, self.floor, self.ceiling / CEILING)
        return 1 / clipped + BEND / (self.ceiling - clipped)

    def test_variance(self, error: np.ndarray) -> np.ndarray:
        """Return the variance that the test set adds to z."""
        if self.test_size is None:
            return np.zeros_like(error)  # unknown
        # Delta method: Var z = (dz/de)^2 Var e, and e is a binomial share of the test images
        clipped = np.clip(error, self.floor, 1 - self.floor)
        return self.steepness(error) ** 2 * clipped * (1 - clipped) / self.test_size
