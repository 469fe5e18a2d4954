"""Stores what was measured at every size, and tells its noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datavol.study.curves.checks import Array

RUN_NOISE = 0.01
"""Standard deviation of z between runs, where none was repeated: about 1 % of the error."""

RUN_NOISE_DOF = 2  # so many repeats weigh as much: a variance from one or two of them is often far too small
REPEATS_TO_TELL = 3
"""With so many repeats half of the wiggle's variance is taken to last (the size's, not the run's); with 0, nothing."""


@dataclass(frozen=True)
class Common:
    """Stores the share of noise variance that all runs have in common."""

    test: float  # of what the test images add
    runs: float  # of what runs differ by; above 0 where each seed has its own test images or split
    weight: float = 1.0  # probability that it is so


@dataclass(frozen=True, eq=False)
class Seeds:
    """Stores what runs of one seed have in common at all sizes.

    Made by `paired`.

    Attributes:
        shift: Mean effect of the seeds of every size (sizes,); 0 where all sizes have the same seeds.
        squares: Sum of squared deviations of the runs from the effects of their size and seed.
        dof: Its degrees of freedom.
        count: Number of seeds.
    """

    shift: Array
    squares: float
    dof: int
    count: int


@dataclass(frozen=True, eq=False)
class Measured:
    """Stores what was measured at every size, in z.

    Attributes:
        largest: The largest n.
        x: log2 n less its largest value (sizes,).
        z: Mean over the runs (sizes,).
        repeats: Runs of every size (sizes,).
        squares: Sum of squared deviations of the runs from their mean (sizes,).
        test_variance: Variance that the test images add to one run (sizes,).
        seeds: What runs of one seed have in common, None where it is not known or nothing tells.
    """

    largest: float
    x: Array
    z: Array
    repeats: Array
    squares: Array
    test_variance: Array
    seeds: Seeds | None = None

    def run_variance(self, common: Common) -> float:
        """Estimate the variance of z between runs.

        What the test images add is no part of it.
        """
        spare = self.repeats - 1  # degrees of freedom of every size
        # The expected sum of squares of a size is spare * (run variance + test variance that is not in common)
        squares = self.squares.sum() - (1 - common.test) * (spare @ self.test_variance)
        # The mean of the posterior under a scaled inverse chi-squared prior, roughly: both variances by their dof
        return float((RUN_NOISE_DOF * RUN_NOISE**2 + max(squares, 0.0)) / (RUN_NOISE_DOF + spare.sum()))

    def seed_share(self, between: float, common: Common) -> float:
        """Estimate the share of variance between runs that their seeds explain.

        `between` is that variance.
        """
        if self.seeds is None:
            return 0.0
        test = (1 - common.test) * float(self.test_variance.mean())
        own = max(self.seeds.squares - self.seeds.dof * test, 0.0)
        # Shrunk towards no share, as the variance between runs is
        own = (RUN_NOISE_DOF * between + own) / (RUN_NOISE_DOF + self.seeds.dof)
        return max(0.0, 1 - own / between)

    def compared(self, common: Common) -> tuple[Array, Array]:
        """Return z without its seeds' effect, and what noise adds to differences.

        The noise is the variance of the mean run (sizes,): what all sizes have in common cancels.
        """
        between = self.run_variance(common)
        by_seed = self.seed_share(between, common)
        own = (1 - common.test) * self.test_variance + (1 - common.runs) * (1 - by_seed) * between
        z = self.z if self.seeds is None else self.z - by_seed * self.seeds.shift
        return z, own / self.repeats

    def level_variance(self, common: Common) -> float:
        """Return the variance of z that all sizes have in common."""
        between = self.run_variance(common)
        level = common.test * self.test_variance[-1] + common.runs * between / self.repeats[-1]
        if self.seeds is not None:
            level += self.seed_share(between, common) * between / self.seeds.count
        return float(level)

    def seen_from(self, largest: float) -> Measured:
        """Count x from another curve's largest n."""
        return replace(self, largest=largest, x=self.x + np.log2(self.largest / largest))


def paired(deviations: Array, which: Array, seed: Array) -> Seeds | None:
    """Part deviations of runs by size and seed, by least squares.

    Args:
        deviations: Of every run's z from its size's mean (runs,).
        which: Number of every run's size (runs,).
        seed: Number of every run's seed (runs,).

    Returns:
        None where the seeds leave nothing to tell what they have in common.
    """
    dummies = np.hstack([np.eye(which.max() + 1)[which], np.eye(seed.max() + 1)[seed]])
    effects, _, rank, _ = np.linalg.lstsq(dummies, deviations)
    dof, spare = len(deviations) - int(rank), len(deviations) - int(which.max()) - 1
    if not 0 < dof < spare:
        return None
    of_seeds = effects[which.max() + 1 :]
    shift = np.bincount(which, (of_seeds - of_seeds.mean())[seed]) / np.bincount(which)
    return Seeds(shift, float(((deviations - dummies @ effects) ** 2).sum()), dof, int(seed.max()) + 1)
