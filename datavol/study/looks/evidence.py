"""Pairs up finished runs, and measures the noise of their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datavol.study.curves.grouped_noise import Groups, standard_error
from datavol.study.looks.look import Step
from datavol.study.questions.common_mistakes import SHARED, kept_of, right_images
from datavol.study.questions.curve_runs import RANKS, SEEDS, CurveRuns

HINT_TIMES = 2.0
"""Noise of a run in noise of single test images: .8 to 3.3 in what was measured, see `benchmarks/asking.py`."""
HINT_DOF = 4.0  # as many degrees of freedom has a noise that one pair's test images hint at
MOST_DOF = 12.0  # and at most so many one that earlier repeats tell: they are of other fractions
GROWTH = 0.33  # a run's standard deviation grows with fraction ** -0.33, as measured on small networks
COMMON = 0.1
"""Share of a difference's noise of single test images that further runs on them do not average out, where it was not
measured: 0 to 12 % on 18 runs of MobileNetV2."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Describes a finished run."""

    step: Step
    error: float
    right: NDArray[np.bool_] | None = None  # image by image (test images,)
    groups: Groups | None = None  # the images' groups (test images,)


@dataclass(frozen=True, eq=False)
class Pair:
    """Pairs two runs of one seed, on a smaller and a larger fraction."""

    small: Trained
    large: Trained

    @property
    def gap(self) -> float:
        """Return how much better the larger fraction is, a share."""
        return self.small.error - self.large.error

    @property
    def signs(self) -> NDArray[np.float64] | None:
        """Return by image who is right alone: 1 the larger, -1 the smaller (images,)."""
        if self.small.right is None or self.large.right is None or len(self.small.right) != len(self.large.right):
            return None
        return self.large.right.astype(float) - self.small.right

    @property
    def groups(self) -> Groups | None:
        """Return the groups of the test images."""
        return self.small.groups


@dataclass(frozen=True)
class Noise:
    """Stores what is known of noise before pairs repeat each other.

    Attributes:
        variance: Of the difference of one pair of runs, over seeds.
        dof: Its degrees of freedom.
        test_variance: Of the difference of mean runs, over test images: no number of runs averages it out.
        source: What it was taken from, in words.
    """

    variance: float
    dof: float
    test_variance: float
    source: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """Holds the finished runs of one set-up."""

    runs: Sequence[Trained]
    test_images: int | None = None

    def trained(self, step: Step) -> Trained | None:
        """Find a run."""
        return next((run for run in self.runs if run.step == step), None)

    def pairs(self, small: float, large: float = 1.0, part: int = 1) -> list[Pair]:
        """List the pairs of two fractions, by seed."""
        by_step = {run.step: run for run in self.runs}
        firsts = sorted(step.seed for step in by_step if (step.fraction, step.part) == (small, part))
        both = ((by_step[Step(small, seed, part)], by_step.get(Step(large, seed, part))) for seed in firsts)
        return [Pair(first, second) for first, second in both if second is not None]

    def noise(self, pairs: Sequence[Pair]) -> Noise:
        """Tell how much the differences of pairs vary by chance.

        From repeats of other fractions where there are any, else from the test images on which two runs differ.
        """
        fraction, part = pairs[0].small.step.fraction, pairs[0].small.step.part
        hint = self._hint(pairs)
        test_variance = _common_variance(pairs, hint)
        ends = {fraction, pairs[0].large.step.fraction}
        variance, dof = self._repeats([run for run in self.runs if run.step.part == part], ends)
        if dof >= 2:
            large = variance * pairs[0].large.step.fraction ** (-2 * GROWTH)
            of_pair = large + variance * fraction ** (-2 * GROWTH)
            source = f"{int(dof) + 1} repeats of other fractions"
            return Noise(of_pair, min(MOST_DOF, HINT_DOF + dof / 2), test_variance, source)
        source = "the test images that the runs of a pair judge differently"
        return Noise(HINT_TIMES**2 * hint, HINT_DOF, test_variance, source)

    def _hint(self, pairs: Sequence[Pair]) -> float:
        """Compute the variance of differences over test images, as McNemar's test."""
        known = [(signs, pair.groups) for pair in pairs if (signs := pair.signs) is not None]
        if known:
            each = [_variance_over_images(signs, groups) for signs, groups in known]
            return float(np.mean(each))
        if not self.test_images:
            return 0.01**2  # a point, where nothing is known
        errors = np.array([run.error for pair in pairs for run in (pair.small, pair.large)])
        binomial = float((errors * (1 - errors)).mean()) / self.test_images
        return max(2 * (1 - SHARED) * binomial, self.test_images**-2)

    def _repeats(self, runs: Sequence[Trained], without: set[float]) -> tuple[float, float]:
        """Pool the variance of repeated fractions, as a full run would have it.

        Returns:
            The variance and its degrees of freedom.
        """
        squares = dof = 0.0
        for fraction in {run.step.fraction for run in runs} - without:
            errors = np.array([run.error for run in runs if run.step.fraction == fraction])
            squares += float(((errors - errors.mean()) ** 2).sum()) * fraction ** (2 * GROWTH)
            dof += len(errors) - 1
        return (squares / dof if dof else 0.0), dof


def _variance_over_images(signs: NDArray[np.float64], groups: Groups | None) -> float:
    """Compute a mean's variance; of no image at all the next might differ."""
    if groups is not None:
        return max(standard_error(signs, groups) ** 2, float(len(np.unique(groups))) ** -2)
    return max(float(np.var(signs)) / len(signs), float(len(signs)) ** -2)


def _common_variance(pairs: Sequence[Pair], hint: float) -> float:
    """Compute the variance over test images that all pairs have in common.

    Of two pairs it is the covariance of who is right alone, image by image: what their runs differ by is independent.
    """
    known = [signs for pair in pairs if (signs := pair.signs) is not None]
    if len(known) < 2 or len({len(signs) for signs in known}) > 1 or pairs[0].groups is not None:
        return COMMON * hint
    every = np.array(known)  # (pairs, images)
    covariance = np.atleast_2d(np.cov(every))
    count = len(every)
    between = (covariance.sum() - np.trace(covariance)) / (count * (count - 1))
    return max(float(between), 0.0) / every.shape[1]


def evidence_of(curve: CurveRuns, part: int = 1) -> list[Trained]:
    """List the runs of a curve, with their predictions where they were kept.

    All were trained for the `part` of a budget.
    """
    runs = []
    for _, run in curve.runs.iterrows():
        if any(run[name] != run["seed"] for name in SEEDS):
            continue  # seeds given one by one: no step names it, and another run may have its fraction and seed
        kept = kept_of(run)
        right = None if kept is None else right_images(kept, RANKS[curve.metric])
        step = Step(float(run["fraction"]), int(run["seed"]), part)
        runs.append(Trained(step, float(run["error"]), right, None if kept is None else kept.groups))
    return runs


def evidence(curves: Mapping[int, CurveRuns]) -> Evidence:
    """Collect the runs of a set-up, by their part of the budget."""
    full = curves.get(1)
    runs = [run for part, curve in curves.items() for run in evidence_of(curve, part)]
    return Evidence(runs, next((one.test_images for one in (full, *curves.values()) if one is not None), None))
