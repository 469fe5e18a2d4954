"""Weighs what a curve may be: of which kind, and how much of its noise its runs have in common.

A curve resembles those of networks or those of LCDB; each kind has constants of its own (`KINDS`), and the measurements
say which fits. All runs of a study see the same test images: what those add to an error they add to all runs, so that
differences of runs have less of it than levels. Where its share is not known, `UNKNOWN` is weighed as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import logsumexp, ndtr

from datavol.study.curves.checks import Array
from datavol.study.curves.slope_process import Prior, SlopeProcess, condition

NETWORKS = Prior(
    weight=0.495, mean_slope=-0.1096, slope_by_z=0.0385, slope_sd=0.0722, damping=0.482, drift=0.0209, decay=0.39,
    wiggle=0.0052, dof=3.25,
)  # fmt: skip
LCDB = Prior(
    weight=0.505, mean_slope=-0.1163, slope_by_z=0.0476, slope_sd=0.0362, damping=0.1866, drift=0.0533, decay=0.192,
    wiggle=0.0059, dof=0.42,
)  # fmt: skip
KINDS = (NETWORKS, LCDB)
"""Maximum likelihood of forecasts on public curves: `benchmarks/learning_curve_constants.py` prints it."""

TRUST = 0.7
"""Power of the likelihood that weighs hypotheses: curves are no draws from the model, and three to six sizes on a line
make them look calmer than they are. With 0.7 intervals of curves that no constant has seen cover what they should."""

RUN_NOISE = 0.01
"""Standard deviation of z between runs, where none was repeated: about 1 % of the error."""

RUN_NOISE_DOF = 4  # repeats that outweigh it: a variance from one or two repeats is often far too small
REPEATS_TO_TELL = 3
"""With so many repeats half of the wiggle's variance is taken to last (the size's, not the run's); with 0, nothing."""


@dataclass(frozen=True)
class Common:
    """Stores which share of the variance of noise all runs have in common."""

    test: float  # of what the test images add
    runs: float  # of what runs differ by; above 0 where each seed has its own test images or split
    weight: float = 1.0  # probability that it is so


UNKNOWN = (Common(0.0, 0.0, 0.8), Common(0.8, 0.8, 0.2))


@dataclass(frozen=True, eq=False)
class Measured:
    """Stores what was measured at every size, in z.

    Attributes:
        x: log2 n less its largest value (sizes,).
        z: Mean over the runs (sizes,).
        repeats: Runs of every size (sizes,).
        squares: Sum of squared deviations of the runs from their mean (sizes,).
        test_variance: Variance that the test images add to one run (sizes,).
    """

    x: Array
    z: Array
    repeats: Array
    squares: Array
    test_variance: Array

    def run_variance(self, common: Common) -> float:
        """Estimate the variance of z between runs, without what the test images add."""
        spare = self.repeats - 1  # degrees of freedom of every size
        # The expected sum of squares of a size is spare * (run variance + test variance that is not in common)
        squares = self.squares.sum() - (1 - common.test) * (spare @ self.test_variance)
        # The mean of the posterior under a scaled inverse chi-squared prior, roughly: both variances by their dof
        return float((RUN_NOISE_DOF * RUN_NOISE**2 + max(squares, 0.0)) / (RUN_NOISE_DOF + spare.sum()))


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
    weights: Array  # posterior probabilities of its scales (scales,); those of all parts add up to 1
    common: Common
    run_variance: float  # of z between runs
    level_variance: float  # of z: what all runs have in common, and other test images or splits would not


@dataclass(frozen=True, eq=False)
class Posterior:
    """Stores all hypotheses with their probabilities; `infer` makes it."""

    parts: tuple[Part, ...]

    @property
    def run_noise(self) -> float:
        """Return the standard deviation of z between runs."""
        return float(np.sqrt(sum(part.weights.sum() * part.run_variance for part in self.parts)))

    def new_run(self, x: Array, test_variance: Array) -> Mixture:
        """Forecast the z that one run on the same test images would measure at `x` (points,)."""
        normals = [part.process.normals(x) for part in self.parts]
        noise = [
            (1 - part.common.runs) * part.run_variance + (1 - part.common.test) * test_variance for part in self.parts
        ]
        weights = np.concatenate([part.weights for part in self.parts])
        sds = np.concatenate([np.sqrt(var + own) for (_, var), own in zip(normals, noise, strict=True)])
        return Mixture(weights, np.concatenate([means for means, _ in normals]), sds)

    def draws(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw z of the average run on any images jointly at `x` (points,): (count, points)."""
        # Systematic sampling of parts and scales: `count` evenly spaced points of [0, 1) with one random offset, looked
        # up in the cumulative weights. Each gets its weight of the draws to within one, which varies less than chance
        weights = np.concatenate([part.weights for part in self.parts])
        which = np.searchsorted(np.cumsum(weights), (np.arange(count) + rng.random()) / count).clip(
            max=len(weights) - 1
        )
        normals, levels = rng.standard_normal((count, len(x))), rng.standard_normal(count)
        return np.concatenate(list(self._drawn(x, which, normals, levels)))

    def _drawn(self, x: Array, which: Array, normals: Array, levels: Array) -> Iterator[Array]:
        # `which` ascends, so that the draws of a part, and within it of a scale, are consecutive rows
        first = 0
        for part in self.parts:
            rows = (first <= which) & (which < first + len(part.weights))
            scales, scale = np.unique(which[rows] - first, return_inverse=True)
            if len(scales):
                means, roots = part.process.average_run(x, scales)
                bent = np.einsum("rpq,rq->rp", roots[scale], normals[rows])  # a root times independent normals
                yield means[scale] + bent + part.level_variance**0.5 * levels[rows, None]
            first += len(part.weights)


def infer(measured: Measured, kinds: Sequence[Prior] = KINDS, commons: Sequence[Common] = UNKNOWN) -> Posterior:
    """Weigh every kind and share in common by the measurements."""
    spare = int((measured.repeats - 1).sum())  # repeats beyond the first run of each size
    lasting = spare / (spare + REPEATS_TO_TELL)
    hypotheses, evidences = [*product(kinds, commons)], []
    for kind, common in hypotheses:
        between = measured.run_variance(common)
        own = (1 - common.test) * measured.test_variance + (1 - common.runs) * between
        process = condition(measured.x, measured.z, own / measured.repeats, replace(kind, lasting=lasting))
        evidences.append(
            (process, TRUST * process.likelihood + process.prior_weights + np.log(common.weight * kind.weight), between)
        )
    total = logsumexp(np.concatenate([evidence for _, evidence, _ in evidences]))
    parts = []
    for (_, common), (process, evidence, between) in zip(hypotheses, evidences, strict=True):
        shared = common.test * measured.test_variance[-1] + common.runs * between / measured.repeats[-1]
        parts.append(Part(process, np.exp(evidence - total), common, between, float(shared)))
    return Posterior(tuple(parts))
