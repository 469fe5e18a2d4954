"""Computes training time in budget epochs, equal for every fraction.

A budget epoch is ceil(N_full / global batch) full batches, one pass over the FULL set's worth of samples. The thesis's
epochs, step sizes and warm-ups (its table 6) follow from it by dividing by the fraction; here they are derived numbers.
"""

from dataclasses import dataclass

from datavol.errors import ConfigError


@dataclass(frozen=True)
class Budget:
    """Stores the training time of a run."""

    epochs: int  # budget epochs, each followed by an evaluation
    iterations_per_epoch: int  # full batches of a budget epoch
    batch_size: int  # images of a global batch
    subset_size: int  # images of the subset, N

    @property
    def iterations(self) -> int:
        """Count the optimiser steps of the whole run."""
        return self.epochs * self.iterations_per_epoch

    @property
    def passes(self) -> float:
        """Count the passes of the whole run over its subset."""
        return self.iterations * self.batch_size / self.subset_size


def plan_budget(kind: str, epochs: int, batch_size: int, full_size: int, subset_size: int) -> Budget:
    """Plan the budget of a run.

    A budget epoch is a pass over the full set's worth of samples with `kind` = `iterations` (equal steps for all
    fractions), over the subset with `epochs` (equal passes).

    Raises:
        ConfigError: If a batch is larger than the images of a budget epoch.
    """
    images = full_size if kind == "iterations" else subset_size
    if batch_size > images:
        raise ConfigError(
            f"recipe.batch_size must be at most the {images} images of a budget epoch, got {batch_size}; "
            f"try recipe.batch_size={2 ** (images.bit_length() - 1)}"  # the largest power of two that fits
        )
    return Budget(epochs, -(-images // batch_size), batch_size, subset_size)


@dataclass(frozen=True)
class ThesisUnits:
    """Stores a schedule in passes over the subset (thesis table 6)."""

    exact: tuple[float, float, float]  # epochs, LR step size and warm-up divided by the fraction
    rounded: tuple[int, int, int]  # the same as whole epochs; a duration that was not 0 stays at least 1

    @property
    def changed(self) -> tuple[bool, bool, bool]:
        """Flag those of the three that rounding changes."""
        return tuple(abs(a - b) > 1e-9 for a, b in zip(self.exact, self.rounded, strict=True))  # type: ignore[return-value]


def thesis_units(fraction: float, epochs: float, step_size: float, warmup: float) -> ThesisUnits:
    """Derive thesis table 6 for one fraction.

    >>> thesis_units(0.75, epochs=60, step_size=30, warmup=5).rounded
    (80, 40, 7)
    """
    exact = (epochs / fraction, step_size / fraction, warmup / fraction)
    whole = [max(1, round(value)) if value > 0 else 0 for value in exact]
    return ThesisUnits(exact, (whole[0], whole[1], whole[2]))
