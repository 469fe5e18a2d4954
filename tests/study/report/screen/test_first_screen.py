"""What a first screen says, against the answers that it rests on and against known truths."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import grid, power_law, saturating, simulated_study

from datavol.errors import ConfigError
from datavol.study.load.study import Study
from datavol.study.questions.answers import answers
from datavol.study.questions.verdict import verdicts
from datavol.study.report.screen.first_screen import first_screen


def test_a_study_that_wants_more_says_so_and_what_it_costs(screens):
    screen = screens["wants more"]
    assert screen.headline == "More images will help."
    assert screen.now.images == 3200
    assert screen.twice.images == 6400
    truth = power_law(np.array([3200.0])) - power_law(np.array([6400.0]))
    assert screen.twice.low < truth < screen.twice.high
    assert screen.saved.likely == 0
    assert screen.sentences[0].startswith("All of the 3,200 images are needed")


def test_a_study_that_has_enough_says_how_many_could_be_left_out(screens):
    screen = screens["has enough"]
    assert screen.headline == "You have enough images."
    assert 0 < screen.saved.sure <= screen.saved.likely < 32_000
    assert f"{32_000 - screen.saved.likely:,} of the 32,000 images" in screen.sentences[0]
    assert screen.state == "given"


def test_a_study_that_learnt_nothing_gets_reasons_instead_of_numbers(screens):
    screen = screens["learnt nothing"]
    assert screen.state == "refused"
    assert screen.headline == "No answer yet: the network does not clearly beat guessing."
    assert screen.reasons[0].remedy == "check labels and recipe, and train longer"
    assert (screen.twice, screen.saved, screen.wanted, screen.sentences) == (None, None, None, ())
    assert screen.chart.forecast == ()
    assert {one.name: one.mark for one in screen.trust}["guessing"] == "refused"


def test_its_numbers_and_its_state_are_those_of_the_answers(studies, screens):
    for name in ("wants more", "has enough"):
        study, screen = studies[name], screens[name]
        enough, twice, target, *_ = answers(study, target=0.85)
        assert screen.now.value == pytest.approx(enough.numbers["full_accuracy"])
        assert (screen.twice.gain, screen.twice.low) == (twice.numbers["gain"], twice.numbers["low"])
        assert (screen.wanted.even, screen.wanted.likely) == (target.numbers["images_50"], target.numbers["images_90"])
        (verdict,) = verdicts(study)
        assert screen.state == verdict.state


@pytest.fixture(scope="module")
def mixed() -> Study:
    """Three networks, of which the one in the middle of the alphabet is the best."""
    rng, runs = np.random.default_rng(1), grid(seeds=((0, 0), (1, 1)))
    parts = {"a": (saturating, 3200), "b": (power_law, 32_000), "c": (saturating, 6400)}
    frames = []
    for model, (truth, size) in parts.items():
        columns = {"model": model, "data": f"data{size}", "fingerprint": str(size)}
        frames.append(simulated_study(rng, runs, truth, full_size=size, columns=columns).runs)
    study = simulated_study(rng, runs)
    return replace(study, runs=pd.concat(frames, ignore_index=True))


def test_the_best_setup_is_first_and_the_others_follow_by_accuracy(mixed):
    screen = first_screen(mixed)
    assert screen.curve.startswith("b by ")
    assert screen.place == "the best of 3 setups"
    shares = [float(other.said.partition(" %")[0]) for other in screen.others]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 2


def test_another_setup_can_be_asked_for_by_name(mixed):
    name = first_screen(mixed).others[-1].curve
    screen = first_screen(mixed, curve=name)
    assert screen.curve == name
    assert screen.place == ""
    with pytest.raises(ConfigError, match=r"curve must be one of .*, got 'none'"):
        first_screen(mixed, curve="none")


def test_without_a_finished_run_it_says_what_to_do(studies):
    study = studies["two sizes"]
    waiting = replace(study, runs=study.runs.assign(state="failed", reason="the disk is full"))
    screen = first_screen(waiting)
    assert screen.headline == "No answer yet: no run has finished."
    (reason,) = screen.reasons
    assert reason.why == "no run has finished: 2 failed; the first that failed says: the disk is full"
    assert "type the command again" in reason.remedy
    assert screen.chart is None
