"""Weighs hypotheses on a learning curve: its kind, and its runs' common noise.

A curve resembles those of networks or those of LCDB; each kind has constants of its own (`KINDS`), and the measurements
say which fits. All runs of a study see the same test images: what those add to an error they add to all runs, so that
differences of runs have less of it than levels. Where its share is not known, `UNKNOWN` is weighed as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import expit, logsumexp, ndtr

from datavol.study.curves.checks import Array
from datavol.study.curves.slope_process import SCALES, Prior, SlopeProcess, condition


@dataclass(frozen=True)
class Kinds:
    """Stores the two known kinds of curves, and which to expect.

    Attributes:
        networks: Curves of networks.
        lcdb: Curves of LCDB: nine learners on tables, mostly of some 1,000 rows.
        odds: Log odds that a curve whose largest n is 10,000 is one of networks; `ODDS_PER_DOUBLING` is their growth.
    """

    networks: Prior
    lcdb: Prior
    odds: float

    def weights(self, largest: float) -> tuple[tuple[Prior, float], ...]:
        """List both kinds with their probabilities, for a curve's largest n."""
        share = float(expit(self.odds + ODDS_PER_DOUBLING * np.log2(largest / 10_000)))
        return (self.networks, share), (self.lcdb, 1 - share)


ODDS_PER_DOUBLING = 0.35
"""LCDB's curves end between 100 and 10,000 samples, those of networks between 200 and millions. Chosen, not fitted, as
what a fit wants depends on which sources are at hand."""

KINDS = Kinds(
    networks=Prior(
        mean_slope=-0.112, slope_by_z=0.0382, slope_sd=0.0765, damping=0.425, drift=0.0364,
        decay=0.303, wiggle=0.00408, dof=2.76,
    ),
    lcdb=Prior(
        mean_slope=-0.109, slope_by_z=0.053, slope_sd=0.0285, damping=0.229, drift=0.0482,
        decay=0.233, wiggle=0.00574, dof=0.319,
    ),
    odds=-0.0793,
)  # fmt: skip
"""Maximum likelihood of forecasts on public curves: `benchmarks/learning_curve_constants.py` prints it."""

TRUST = 0.7
"""Power of the likelihood that weighs hypotheses: curves are no draws from the model, and three to six sizes on a line
make them look calmer than they are. With 0.7 intervals of curves that no constant has seen cover what they should."""

RUN_NOISE = 0.01
"""Standard deviation of z between runs, where none was repeated: about 1 % of the error."""

RUN_NOISE_DOF = 2  # so many repeats weigh as much: a variance from one or two of them is often far too small
DAMPINGS = ((1.5, 0.5), (0.1, 0.5))
"""Multiples of a kind's damping and their probabilities: some curves go on as they came, as power laws do. What was
measured up to the largest n says nothing of it."""

REPEATS_TO_TELL = 3
"""With so many repeats half of the wiggle's variance is taken to last (the size's, not the run's); with 0, nothing."""


@dataclass(frozen=True)
class Common:
    """Stores the share of noise variance that all runs have in common."""

    test: float  # of what the test images add
    runs: float  # of what runs differ by; above 0 where each seed has its own test images or split
    weight: float = 1.0  # probability that it is so


UNKNOWN = (Common(0.0, 0.0, 0.9), Common(0.8, 0.8, 0.1))


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


@dataclass(frozen=True, eq=False)
class Mixture:
    """Stores mixtures of normals: `weights` (normals,), `means`, `sds` (normals, points)."""

    weights: Array
    means: Array
    sds: Array

    def quantile(self, share: float) -> Array:
        """Compute the quantile at probability `share`, for every point."""
        # No closed form: bisection at all points together, from a bracket that holds all but 1e-19 of every normal
        low, high = (self.means - 9 * self.sds).min(0), (self.means + 9 * self.sds).max(0)
        for _ in range(40):  # halvings: to 1e-12 of the bracket
            middle = (low + high) / 2
            below = self.weights @ ndtr((middle - self.means) / self.sds) < share  # the mixture's distribution function
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2


@dataclass(frozen=True, eq=False)
class Part:
    """Stores one hypothesis, conditioned on the measurements."""

    process: SlopeProcess
    common: Common
    run_variance: float  # of z between runs
    new_run_variance: float  # of z of a new run, around the average one
    level_variance: float  # of z: what all runs have in common, and other test images, splits or seeds would not


@dataclass(frozen=True, eq=False)
class Posterior:
    """Stores all hypotheses with their probabilities; `infer` makes it.

    Attributes:
        parts: A hypothesis each.
        weights: Probabilities of every scale of every part (parts * scales,).
    """

    parts: tuple[Part, ...]
    weights: Array

    @property
    def run_noise(self) -> float:
        """Return the standard deviation of z between runs."""
        of_parts = self.weights.reshape(len(self.parts), -1).sum(axis=1)
        return float(np.sqrt(of_parts @ [part.run_variance for part in self.parts]))

    def new_run(self, x: Array, test_variance: Array) -> Mixture:
        """Forecast z of one new run on the same test images.

        It is forecast at every `x` (points,).
        """
        means, sds = [], []
        for part in self.parts:
            mean, variance = part.process.normals(x)
            means.append(mean)
            sds.append(np.sqrt(variance + part.new_run_variance + (1 - part.common.test) * test_variance))
        return Mixture(self.weights, np.concatenate(means), np.concatenate(sds))

    def draws(self, x: Array, count: int, rng: np.random.Generator, same_images: bool = False) -> Array:
        """Draw z of the average run jointly at `x` (points,): (count, points).

        On any test images, or on the same as those of the measurements.
        """
        # Systematic sampling of parts and scales: `count` evenly spaced points of [0, 1) with one random offset, looked
        # up in the cumulative weights. Each gets its weight of the draws to within one, which varies less than chance
        places = np.searchsorted(np.cumsum(self.weights), (np.arange(count) + rng.random()) / count)
        which = places.clip(max=len(self.weights) - 1)  # rounding may leave the last cumulative weight below 1
        normals, levels = rng.standard_normal((count, len(x))), rng.standard_normal(count)
        levels *= not same_images
        return np.concatenate(list(self._drawn(x, which, normals, levels)))

    def _drawn(self, x: Array, which: Array, normals: Array, levels: Array) -> Iterator[Array]:
        # `which` ascends, so that the draws of a part, and within it of a scale, are consecutive rows
        scales = len(SCALES)
        for number, part in enumerate(self.parts):
            rows = which // scales == number
            known, scale = np.unique(which[rows] % scales, return_inverse=True)
            if len(known):
                means, roots = part.process.average_run(x, known)
                bent = np.einsum("rpq,rq->rp", roots[scale], normals[rows])  # a root times independent normals
                yield means[scale] + bent + part.level_variance**0.5 * levels[rows, None]


def infer(measured: Measured, kinds: Kinds = KINDS, commons: Sequence[Common] = UNKNOWN) -> Posterior:
    """Weigh every kind and share in common by the measurements."""
    spare = int((measured.repeats - 1).sum())  # repeats beyond the first run of each size
    lasting = spare / (spare + REPEATS_TO_TELL)
    parts, logs = [], []
    for (kind, weight), common in product(kinds.weights(measured.largest), commons):
        between = measured.run_variance(common)
        by_seed = measured.seed_share(between, common)
        # What all sizes have in common cancels in differences, and stays in the level
        own = (1 - common.test) * measured.test_variance + (1 - common.runs) * (1 - by_seed) * between
        z = measured.z if measured.seeds is None else measured.z - by_seed * measured.seeds.shift
        process = condition(measured.x, z, own / measured.repeats, replace(kind, lasting=lasting))
        level = common.test * measured.test_variance[-1] + common.runs * between / measured.repeats[-1]
        if measured.seeds is not None:
            level += by_seed * between / measured.seeds.count
        # A variance from few runs is often too small. To some per cent this is the squared ratio of the 97.5 %
        # quantiles of Student's t with so many degrees of freedom and of the normal
        new_run = (1 + 3.4 / (RUN_NOISE_DOF + spare)) * (1 - common.runs) * between
        for times, share in DAMPINGS:  # beyond what was measured, which they leave as it is
            damped = replace(process, prior=replace(process.prior, damping=times * kind.damping))
            parts.append(Part(damped, common, between, new_run, float(level)))
            logs.append(np.log(weight * common.weight * share) + process.prior_weights + TRUST * process.likelihood)
    weights = np.concatenate(logs)
    return Posterior(tuple(parts), np.exp(weights - logsumexp(weights)))


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
