"""The rules of twice the data and of a target, on points of known curves."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from datavol.study.load.points import study_of_points
from datavol.study.looks.look import Look, Step
from datavol.study.looks.more_data import MoreData
from datavol.study.looks.reach import Reach
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study

FULL = 10_000


def power_law(n: float, floor: float = 0.05) -> float:
    return floor + 1.2 * n**-0.35


def curve_of(runs: list[tuple[Step, float]]) -> CurveRuns | None:
    if not runs:
        return None
    rows = [(round(step.fraction * FULL), 1 - error, step.seed, step.fraction) for step, error in runs]
    padded = [*rows, *((n, 0.5, 99, 0.0) for n in (101, 102, 103))]  # points want three sizes
    frame = pd.DataFrame(padded, columns=["n", "value", "seed", "fraction"]).astype({"seed": str})
    study = study_of_points(frame[["n", "value", "seed"]], "accuracy", test_size=10_000, full_size=FULL, guess=0.1)
    (curve,) = curves_of_study(study)
    kept = curve.runs[curve.runs["images"] > 103].reset_index(drop=True)
    kept = kept.assign(fraction=(kept["images"] / FULL).round(4), seconds_train=1.0, seconds_val=0.0)
    return replace(curve, runs=kept.assign(budget="iterations"))


def played(rule: MoreData | Reach, error=power_law, noise: float = 0.002) -> tuple[Look, list[Step]]:
    rng, runs = np.random.default_rng(0), []
    while (look := rule.look(curve_of(runs))).state == "open":
        runs += [(step, error(step.fraction * FULL) + noise * rng.standard_normal()) for step in look.next]
    return look, [step for step, _ in runs]


def test_twice_the_data_is_told_after_three_runs():
    look, steps = played(MoreData(delta=0.05))
    assert (look.state, look.says, len(steps)) == ("answered", "no", 3)
    true = power_law(FULL) - power_law(2 * FULL)
    assert look.numbers["low"] <= true <= look.numbers["high"]
    steep = played(MoreData(delta=0.005), lambda n: 3 * n**-0.3)[0]
    assert (steep.state, steep.says) == ("answered", "yes")


def test_a_width_that_no_run_can_reach_is_refused_at_once():
    look, steps = played(MoreData(width=0.001))
    assert (look.state, len(steps)) == ("out of reach", 3)
    assert "tells it closer than" in look.sentence
    assert played(MoreData(width=0.05))[0].state == "answered"


def test_an_open_question_names_as_many_runs_as_devices_train():
    first = MoreData(at_once=4).look(None)
    assert [step.fraction for step in first.next] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("target", [0.85, 0.87, 0.9])
def test_a_target_within_the_data_is_found(target):
    look, steps = played(Reach(target))
    (true,) = [n for n in range(100, 10_001) if power_law(n) <= 1 - target][:1]
    assert look.state == "answered"
    assert look.numbers["low"] * 0.9 <= true <= look.numbers["high"] * 1.1
    assert look.numbers["high"] <= 2 * look.numbers["low"]
    assert len(steps) <= 9


def test_a_target_that_no_data_reach_is_said_as_soon_as_it_is_known():
    look, steps = played(Reach(0.97))
    assert (look.state, len(steps)) == ("out of reach", 3)
    assert "even four times" in look.sentence


def test_a_target_that_little_data_reach_asks_for_smaller_sizes():
    look, steps = played(Reach(0.5))
    assert look.state == "answered"
    assert "or fewer" in look.sentence
    assert min(step.fraction for step in steps) < 0.1


def test_the_most_runs_end_a_question_with_how_near_it_came():
    look, steps = played(Reach(0.93, most=5), noise=0.01)
    assert look.state in ("cannot be told", "out of reach")
    assert len(steps) <= 5


@pytest.mark.parametrize("near", [0.99, 0.999])
def test_two_sizes_that_nearly_agree_are_no_dead_end(near):
    """The size between them would be one of them again, which has finished."""
    look = Reach(0.9).look(curve_of([(Step(near, 0), 0.1), (Step(1.0, 0), 0.1)]))
    assert [0.3 < step.fraction < near for step in look.next] == [True]
