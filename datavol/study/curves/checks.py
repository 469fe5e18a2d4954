"""Checks the input of learning curves, with one-line errors."""

import warnings
from collections.abc import Hashable, Sequence
from numbers import Real
from typing import TypeAlias

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, InsufficientData, flat

Array: TypeAlias = np.ndarray
Numbers: TypeAlias = Sequence[float] | np.ndarray | pd.Series

AT_CHANCE = 0.95  # above this share of chance at the largest n, no method that was tried can forecast a curve


class RisingErrors(UserWarning):
    """Warns of errors that grow with the data."""


RISEN = 1.08  # a rise beyond this factor is not noise


def checked_input(
    n: Numbers, error: Numbers, chance_error: float, test_size: float | None, shared: float | None, level: float
) -> tuple[Array, Array]:
    """Convert sizes and errors to arrays, or raise a ConfigError."""
    sizes, errors = checked_sizes(n), _one_dimensional("error", error)
    if len(sizes) != len(errors):
        raise ConfigError(f"n and error must be equally long, got {len(sizes)} and {len(errors)}; give a pair per run")
    wrong = errors[~((errors >= 0) & (errors <= 1))]  # negated, so that NaN is wrong too
    if len(wrong):
        raise ConfigError(
            f"error must be shares in [0, 1], got {wrong[0]:g}; divide per cent by 100, drop missing runs"
        )
    if not 0 < chance_error <= 1:
        raise ConfigError(
            f"chance_error must be a share above 0 and at most 1, got {chance_error}; 0.9 for ten classes"
        )
    if test_size is not None and (not isinstance(test_size, Real) or not 1 <= test_size < np.inf):
        raise ConfigError(f"test_size must be at least 1 image, got {test_size!r}; leave it out if it is unknown")
    if shared is not None and not 0 <= shared <= 1:
        raise ConfigError(f"shared must be a share from 0 to 1, got {shared!r}; leave it out if it is unknown")
    check_share("level", level)
    return sizes, errors


def check_curve(n: Array, error: Array, chance_error: float) -> None:
    """Raise unless these distinct, ascending sizes and mean errors allow a forecast."""
    if len(n) < 3:
        named = " and ".join(f"{size:,.0f}" for size in n)
        raise ConfigError(f"n must hold at least 3 distinct sizes, got {len(n)} ({named}); train on more subsets")
    if error[-1] > AT_CHANCE * chance_error:
        raise InsufficientData(
            f"cannot say what more data would buy: the error at the largest size ({n[-1]:,.0f} images) is "
            f"{error[-1]:.3g}, above {AT_CHANCE:g} of chance ({chance_error:g}); train on more images"
        )


def warn_of_rise(error: Array) -> None:
    """Warn of mean errors that rise with n, as accuracies would."""
    if error[-1] == error.max() > RISEN * error[0] and error[0] == error.min():
        warnings.warn(
            f"error rises with n, from {error[0]:.3g} to {error[-1]:.3g}; if these are accuracies, give 1 - accuracy",
            RisingErrors,
            stacklevel=4,  # whoever called `fit_learning_curve`
        )


def checked_sizes(n: Numbers) -> Array:
    """Convert numbers of images to an array, or raise a ConfigError."""
    sizes = _one_dimensional("n", n)
    wrong = sizes[~((sizes > 0) & np.isfinite(sizes))]
    if len(wrong):
        raise ConfigError(f"n must be numbers of images above 0, got {wrong[0]:g}; drop missing runs")
    return sizes


def checked_seeds(seed: Sequence[Hashable] | Array | None, n: Array) -> Array | None:
    """Number the seeds of runs, (runs,); None without seeds.

    Raises:
        ConfigError: If there is not one seed per run.
    """
    if seed is None:
        return None
    if len(seed) != len(n):
        raise ConfigError(f"seed must be as long as n ({len(n)}), got {len(seed)}; give one per run")
    numbers: Array = pd.factorize(pd.Index([str(one) for one in seed]), use_na_sentinel=False)[0]
    return numbers


def _one_dimensional(name: str, values: Numbers) -> Array:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be numbers, got {flat(repr(values))}; give one per run") from None
    if array.ndim != 1:
        raise ConfigError(f"{name} must have one dimension, got {array.ndim}; give one number per run")
    return array


SHARES = {
    "level": ("between 0 and 1", "0.95 for 95 %"),
    "delta": ("a share between 0 and 1", "0.01 for one point"),
    "target": ("an accuracy between 0 and 1", "give a share, 0.9 for 90 %"),
}


def check_share(name: str, value: float) -> None:
    """Raise a ConfigError unless an argument lies between 0 and 1."""
    rule, remedy = SHARES[name]
    if not 0 < value < 1:
        raise ConfigError(f"{name} must be {rule}, got {value:g}; {remedy}")
