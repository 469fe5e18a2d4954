"""Errors as z = logit(error / ceiling), the scale on which learning curves are nearly straight in log2 n, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

CEILING = 1.1
"""z is infinite at the ceiling: chance, or this times the largest error where errors come near chance or pass it."""

FLOOR = 1e-3
"""Errors below this share of the ceiling count as this, z = -7, unless the test set's size says what can be told."""


@dataclass(frozen=True)
class ErrorScale:
    """The scale of one curve; all errors are shares.

    Attributes:
        ceiling: The error at z = infinity.
        floor: The least error that is told from 0.
        worst: Chance, or the largest measured error where that is worse than chance: no error is predicted above it.
        test_size: Images that an error is measured on, None if unknown.
    """

    ceiling: float
    floor: float
    worst: float
    test_size: int | None

    @classmethod
    def of(cls, errors: np.ndarray, chance_error: float, test_size: int | None) -> ErrorScale:
        """The scale for these measured errors."""
        largest = float(errors.max())
        ceiling = max(chance_error, CEILING * largest)
        # Half an image; tiny test sets must leave room between floor and ceiling
        floor = FLOOR * ceiling if test_size is None else min(0.5 / test_size, 0.1 * ceiling)
        return cls(ceiling, floor, max(chance_error, largest), test_size)

    def z(self, error: np.ndarray) -> np.ndarray:
        """From error to z."""
        return logit(np.maximum(error, self.floor) / self.ceiling)

    def error(self, z: np.ndarray) -> np.ndarray:
        """From z to error, at most `worst`."""
        return np.minimum(self.ceiling * expit(z), self.worst)

    def steepness(self, error: np.ndarray) -> np.ndarray:
        """By how much z changes with the error, dz/derror."""
        told = np.clip(error, self.floor, self.ceiling / CEILING)
        return 1 / (told * (1 - told / self.ceiling))

    def test_variance(self, error: np.ndarray) -> np.ndarray:
        """Binomial variance that the test set adds to z at these errors; 0 if its size is unknown."""
        if self.test_size is None:
            return np.zeros_like(error)
        told = np.clip(error, self.floor, 1 - self.floor)
        return self.steepness(error) ** 2 * told * (1 - told) / self.test_size
