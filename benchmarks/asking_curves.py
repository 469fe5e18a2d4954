"""Play the questions that a learning curve answers: what doubling buys, a target, and what to train next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.asking_worlds import TEST_IMAGES, World
from datavol.errors import InsufficientData
from datavol.study.load.points import study_of_points
from datavol.study.looks.look import Look, Step
from datavol.study.looks.more_data import START, MoreData
from datavol.study.looks.reach import Reach
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.doubling import doubling
from datavol.study.questions.next_run import next_run
from datavol.study.questions.saturation import saturation


class Told(NamedTuple):
    """What a study of a curve came to."""

    look: Look
    runs: int
    first: float | None  # width of what was asked for after three runs, where it has one
    curve: CurveRuns


@dataclass
class CurveLaboratory:
    """Trains runs of one world, and gives them as a learning curve."""

    world: World
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.errors: dict[Step, float] = {}
        # These test images' luck moves all runs alike
        accuracy = self.world.error(1.0)
        self.luck = float(self.rng.normal(0, (0.6 * accuracy * (1 - accuracy) / TEST_IMAGES) ** 0.5))

    def train(self, step: Step) -> None:
        """Train a run."""
        error = self.world.error(step.fraction) + self.luck + self.rng.normal(0, self.world.sd_of(step.fraction))
        self.errors[step] = float(np.clip(error, 0.0005, 0.9995))

    @property
    def curve(self) -> CurveRuns | None:
        """The runs as a curve; None if there are none yet."""
        if not self.errors:
            return None
        full = self.world.full_size
        rows = [(max(1, round(step.fraction * full)), 1 - error, step.seed) for step, error in self.errors.items()]
        # A study of points takes three sizes; as many that are not there are left out again
        others = [(full + more, 0.5, 0) for more in (1, 2, 3)]
        points = pd.DataFrame([*rows, *others], columns=["n", "value", "seed"])
        guess = 1 - self.world.chance_error
        study = study_of_points(points, "accuracy", guess=guess, test_size=TEST_IMAGES, full_size=full + 3)
        (curve,) = curves_of_study(study)
        runs = curve.runs[curve.runs["images"] <= full].reset_index(drop=True)
        asked = {rows[i][0]: step.fraction for i, step in enumerate(self.errors)}
        runs = runs.assign(fraction=runs["images"].map(asked), full_size=full)
        return replace(curve, runs=runs.assign(seconds_train=1.0, seconds_val=0.0, budget="iterations"))


def play(world: World, question: MoreData | Reach, rng: np.random.Generator) -> Told:
    """Play a rule that looks at a curve until it ends."""
    laboratory, first = CurveLaboratory(world, rng), None
    while (look := question.look(laboratory.curve)).state == "open":
        for step in look.next:
            laboratory.train(step)
        if first is None and isinstance(question, MoreData):
            assert laboratory.curve is not None
            first = gain_width(laboratory.curve)
    assert laboratory.curve is not None
    return Told(look, len(laboratory.errors), first, laboratory.curve)


def gain_width(curve: CurveRuns) -> float:
    """Width of the interval of what twice the data buys."""
    found = doubling(curve)
    return found.high - found.low


def whole_grid(world: World, rng: np.random.Generator, seeds: Sequence[int] = (0, 1, 2)) -> CurveRuns:
    """Train six fractions three times."""
    laboratory = CurveLaboratory(world, rng)
    for fraction in world.fractions[-6:]:
        for seed in seeds:
            laboratory.train(Step(float(fraction), seed))
    assert laboratory.curve is not None
    return laboratory.curve


def by_next_run(
    world: World, fraction: float, rng: np.random.Generator, *, delta: float = 0.01, level: float = 0.95, most: int = 18
) -> tuple[str, int]:
    """Follow the advice on the next run until the curve says whether a fraction is enough.

    Returns:
        What it says, empty if it can't be told, and how many runs it took.
    """
    laboratory = CurveLaboratory(world, rng)
    for start in {*START, fraction}:
        laboratory.train(Step(start, 0))
    while True:
        curve = laboratory.curve
        assert curve is not None
        found = saturation(curve, delta, level)
        (probability,) = [one.probability for one in found.fractions if np.isclose(one.fraction, fraction)]
        says = "enough" if probability >= level else "not enough" if probability <= 1 - level else ""
        if says or len(laboratory.errors) >= most:
            return says, len(laboratory.errors)
        try:
            advised = next_run(curve, "saturation", delta=delta, level=level)
        except InsufficientData:
            return "", len(laboratory.errors)
        laboratory.train(Step(advised.fraction, advised.seed))
