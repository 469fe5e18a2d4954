"""Budget epochs: the arithmetic of training time, the same for every fraction.

A budget epoch is ceil(N_full / global batch) full batches, one pass over the FULL set's worth of samples. The thesis's
epochs, step sizes and warm-ups (its table 6) follow from it by dividing by the fraction; here they are derived numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from datavol.errors import ConfigError


@dataclass(frozen=True)
class Budget:
    """How long a run trains.

    Attributes:
        epochs: Budget epochs, each followed by an evaluation.
        iterations_per_epoch: Full batches of a budget epoch.
        batch_size: Images of a global batch.
        subset_size: Images of the subset, N.
    """

    epochs: int
    iterations_per_epoch: int
    batch_size: int
    subset_size: int

    @property
    def iterations(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.iterations_per_epoch

    @property
    def passes(self) -> float:
        """How often the run sees each image of its subset."""
        return self.iterations * self.batch_size / self.subset_size


def plan_budget(kind: str, epochs: int, batch_size: int, full_size: int, subset_size: int) -> Budget:
    """The budget of a run.

    Args:
        kind: `iterations` (equal steps for all fractions: a budget epoch is a pass over the full set's worth of
            samples) or `epochs` (equal passes: it is a pass over the subset).
        epochs: Budget epochs.
        batch_size: Images of a global batch.
        full_size: Images of the full training set.
        subset_size: Images of the subset.

    Raises:
        ConfigError: If a batch is larger than the images of a budget epoch.
    """
    images = full_size if kind == "iterations" else subset_size
    if batch_size > images:
        raise ConfigError(
            f"recipe.batch_size must be at most the {images} images of a budget epoch, got {batch_size}; "
            f"try recipe.batch_size={2 ** (images.bit_length() - 1)}"
        )
    return Budget(epochs, -(-images // batch_size), batch_size, subset_size)


@dataclass(frozen=True)
class ThesisUnits:
    """A schedule in passes over the subset, as the thesis states it (its table 6): whole and as they would divide.

    Attributes:
        exact: Epochs, LR step size and warm-up divided by the fraction.
        rounded: The same as whole epochs; a duration that was not 0 stays at least 1.
    """

    exact: tuple[float, float, float]
    rounded: tuple[int, int, int]

    @property
    def changed(self) -> tuple[bool, bool, bool]:
        """Which of the three the rounding changes."""
        return tuple(abs(a - b) > 1e-9 for a, b in zip(self.exact, self.rounded, strict=True))  # type: ignore[return-value]


def thesis_units(fraction: float, epochs: float, step_size: float, warmup: float) -> ThesisUnits:
    """Thesis table 6 for one fraction.

    >>> thesis_units(0.75, epochs=60, step_size=30, warmup=5).rounded
    (80, 40, 7)
    """
    exact = (epochs / fraction, step_size / fraction, warmup / fraction)
    whole = [max(1, round(value)) if value > 0 else 0 for value in exact]
    return ThesisUnits(exact, (whole[0], whole[1], whole[2]))
