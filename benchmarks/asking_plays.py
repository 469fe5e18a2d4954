"""Play the question whether a fraction is enough, in worlds of measured curves, by the product's rule and by others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.asking_worlds import TEST_IMAGES, World
from datavol.study.looks.enough import Enough, posterior
from datavol.study.looks.evidence import COMMON, Evidence, Trained
from datavol.study.looks.look import Step

GRID_SEEDS = 3
GRID_RUNS = 18
COOL_DOWN = 0.2  # share of a branch that is its own


class Outcome(NamedTuple):
    """What a study came to, and what it took."""

    says: str  # empty: it can't be told
    cost: float  # full runs
    pairs: int


@dataclass
class Laboratory:
    """Trains the runs of one study, and remembers them.

    Pairs of a fraction with all of the data come with the test images that each gets right, so that the rule reads its
    hint of noise off them as it would off kept predictions.
    """

    world: World
    fraction: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.runs: dict[Step, Trained] = {}
        self.paid: dict[Step, float] = {}
        hint = self.world.hint(self.fraction)
        self.order = self.rng.permutation(TEST_IMAGES)
        # What these test images add to every difference, beside others
        self.luck = float(self.rng.normal(0, COMMON**0.5 * hint))
        self.usual = round(COMMON * hint**2 * TEST_IMAGES**2 / 2)  # images that every pair judges differently, each way

    def train(self, step: Step) -> None:
        """Train a run, if it is not there yet."""
        if step in self.paid:
            return
        if step not in self.runs:
            pair = step.fraction in (self.fraction, 1.0)
            made = self._pair(step.seed, step.part) if pair else [Trained(step, self._error(step))]
            self.runs |= {run.step: run for run in made}
        self.paid[step] = self._cost(step)

    @property
    def evidence(self) -> Evidence:
        """The runs that were trained."""
        return Evidence([self.runs[step] for step in self.paid], TEST_IMAGES)

    @property
    def cost(self) -> float:
        """What they took, in full runs."""
        return sum(self.paid.values())

    def _error(self, step: Step) -> float:
        noise = self.rng.normal(0, self.world.sd_of(step.fraction))
        return float(np.clip(self.world.error(step.fraction, step.part) + noise, 0.0005, 0.9995))

    def _pair(self, seed: int, part: int) -> list[Trained]:
        """Train a fraction and all of the data; which images each gets right has the errors and the hint."""
        steps = Step(self.fraction, seed, part), Step(1.0, seed, part)
        small, large = (self._error(step) for step in steps)
        small = float(np.clip(small + self.luck, 0, 1))
        gap, images = small - large, TEST_IMAGES
        # How many only the one or only the other gets right: their difference is the gap, their sum the hint's. The
        # larger set's runs can't be wrong alone more often than they are wrong
        ones = max(images * (self.world.hint(self.fraction) ** 2 * images + gap**2), abs(gap) * images)
        lost = min(round((ones - gap * images) / 2), round(large * images))
        won = lost + round(gap * images)
        if won < 0:
            won, lost = 0, -round(gap * images)
        # The first images are judged differently by every pair; the others come in a new order
        usual = min(self.usual, won, lost)
        rest = self.rng.permutation(self.order[2 * usual :])
        by_large = np.concatenate([self.order[:usual], rest[: won - usual]])
        by_small = np.concatenate([self.order[usual : 2 * usual], rest[won - usual : won + lost - 2 * usual]])
        neither = rest[won + lost - 2 * usual :][: round(large * images) - lost]
        right = np.ones((2, images), bool)  # of the fraction, of all of the data
        right[0, by_large] = right[1, by_small] = False
        right[:, neither] = False
        return [Trained(step, 1 - float(of.mean()), of) for step, of in zip(steps, right, strict=True)]

    def _cost(self, step: Step) -> float:
        if not self.world.branches:
            return step.cost
        longer = [one for one in self.paid if (one.fraction, one.seed) == (step.fraction, step.seed)]
        trunk = max((1 / one.part for one in longer if one.part > step.part), default=0.0)
        return step.cost - (1 - COOL_DOWN) * trunk


def ask(
    world: World, fraction: float, rng: np.random.Generator, *, rungs: bool, finished: Sequence[Step] = (), **of: float
) -> Outcome:
    """Play the product's rule until it ends.

    `finished` runs cost nothing; `of` are further fields of the question.
    """
    laboratory = Laboratory(world, fraction, rng)
    for step in finished:
        laboratory.train(step)
    before = laboratory.cost
    question = Enough(fraction, 0.01, parts=world.parts if rungs else ())
    question = replace(question, **of)
    while (look := question.look(laboratory.evidence)).state == "open":
        for step in look.next:
            laboratory.train(step)
    return Outcome(look.says, laboratory.cost - before, len(laboratory.evidence.pairs(fraction)))


def fixed_pairs(world: World, fraction: float, rng: np.random.Generator, *, delta: float = 0.01) -> Outcome:
    """Train three pairs whatever they show."""
    steps = [Step(one, seed) for seed in range(GRID_SEEDS) for one in (fraction, 1.0)]
    return _at_once(world, fraction, rng, steps, delta)


def grid(world: World, fraction: float, rng: np.random.Generator, *, delta: float = 0.01) -> Outcome:
    """Train every fraction three times, and decide by the same posterior."""
    others = [one for one in world.fractions[:-1] if one != fraction][-4:]  # of six fractions in all
    fractions = [*others, fraction, 1.0]
    return _at_once(world, fraction, rng, [Step(one, seed) for one in fractions for seed in range(GRID_SEEDS)], delta)


def _at_once(
    world: World, fraction: float, rng: np.random.Generator, steps: Sequence[Step], delta: float, level: float = 0.95
) -> Outcome:
    laboratory = Laboratory(world, fraction, rng)
    for step in steps:
        laboratory.train(step)
    pairs = laboratory.evidence.pairs(fraction)
    gaps = np.array([pair.gap for pair in pairs])
    probability = posterior(gaps, laboratory.evidence.noise(pairs)).below(delta)
    says = "enough" if probability >= level else "not enough" if probability <= 1 - level else ""
    return Outcome(says, laboratory.cost, len(pairs))
