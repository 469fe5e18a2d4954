"""Weighs hypotheses on a learning curve: its kind, and its runs' common noise.

A curve resembles those of networks or those of LCDB; each kind has constants of its own (`KINDS`), and the measurements
say which fits. All runs of a study see the same test images: what those add to an error they add to all runs, so that
differences of runs have less of it than levels. Where its share is not known, `UNKNOWN` is weighed as well. Another
network's curve on the same data may resemble this one's; whether it does is one more hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import expit, logsumexp, ndtr

from datavol.study.curves.checks import Array
from datavol.study.curves.measured import REPEATS_TO_TELL, RUN_NOISE_DOF, Common, Measured
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

DAMPINGS = ((1.5, 0.5), (0.1, 0.5))
"""Multiples of a kind's damping and their probabilities: some curves go on as they came, as power laws do. What was
measured up to the largest n says nothing of it."""

APART = 0.5
"""Probability that no other network's curve resembles this one, before both were measured. Chosen, not fitted."""

UNKNOWN = (Common(0.0, 0.0, 0.9), Common(0.8, 0.8, 0.1))


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


def infer(
    measured: Measured,
    kinds: Kinds = KINDS,
    commons: Sequence[Common] = UNKNOWN,
    others: Sequence[Measured] = (),
) -> Posterior:
    """Weigh every kind and share in common by the measurements.

    Each of the `others`, curves of other networks on the same data, may be alike; it is weighed against being apart.
    """
    parts, logs = _hypotheses([measured], kinds, commons)
    for other in others:
        seen = other.seen_from(measured.largest)
        alike, together = _hypotheses([measured, seen], kinds, commons)
        # What both measured if they are alike, over what the other measured anyway: where they are apart, that is
        # what this curve measured alone
        anyway = logsumexp(_hypotheses([seen], kinds, commons)[1])
        parts += alike
        logs += [log - anyway + np.log((1 - APART) / APART / len(others)) for log in together]
    weights = np.concatenate(logs)
    return Posterior(tuple(parts), np.exp(weights - logsumexp(weights)))


def _hypotheses(curves: Sequence[Measured], kinds: Kinds, commons: Sequence[Common]) -> tuple[list[Part], list[Array]]:
    """Condition every hypothesis on curves; the first is forecast.

    Returns:
        The parts, and for each the log weights of its scales (scales,).
    """
    measured = curves[0]
    spare = int((measured.repeats - 1).sum())  # repeats beyond the first run of each size
    x, which = np.hstack([[one.x, np.full(len(one.x), number)] for number, one in enumerate(curves)])
    parts, logs = [], []
    for (kind, weight), common in product(kinds.weights(measured.largest), commons):
        between = measured.run_variance(common)
        z, noise = np.hstack([one.compared(common) for one in curves])
        # A variance from few runs is often too small. To some per cent this is the squared ratio of the 97.5 %
        # quantiles of Student's t with so many degrees of freedom and of the normal
        new_run = (1 + 3.4 / (RUN_NOISE_DOF + spare)) * (1 - common.runs) * between
        for times, share in DAMPINGS:
            prior = replace(kind, damping=times * kind.damping, lasting=spare / (spare + REPEATS_TO_TELL))
            process = condition(x, z, noise, prior, which)
            parts.append(Part(process, common, between, new_run, measured.level_variance(common)))
            logs.append(np.log(weight * common.weight * share) + process.prior_weights + TRUST * process.likelihood)
    return parts, logs
