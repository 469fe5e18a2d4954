"""Set-ups: what varies, what is refused, how long short runs are."""

import pytest

from datavol.asking.set_up import SetUp
from datavol.config.ask import without_question
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.looks.look import Step


def test_runs_differ_by_fraction_seed_and_length_alone():
    set_up = SetUp.of(["epochs=40", "model=resnet50", "ask.enough=0.25"])
    short, whole = set_up.run(Step(0.25, 3, 8)), set_up.run(Step(0.25, 3))
    assert (short.config.epochs, whole.config.epochs) == (5, 40)
    assert (short.config.study, whole.config.study) == ("digits_5_epochs", "digits")
    assert short.config.model_copy(update={"epochs": 40, "study": "digits"}) == whole.config
    assert {whole.config.draw_seed, whole.config.init_seed, whole.config.order_seed} == {3}
    assert not any("ask" in one for one in whole.overrides)


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["epochs=40"], (8, 4, 2)),
        (["epochs=20"], (4, 2)),  # five budget epochs at least
        (["epochs=9"], ()),
        (["epochs=40", "recipe.schedule.warmup_epochs=4"], (4, 2)),  # and twice the warm-up
        (["epochs=40", "budget=epochs"], ()),  # where short runs have no direction
        (
            [
                "epochs=40",
                "recipe.schedule.name=exponential",
                "recipe.schedule.interval=epoch",
                "recipe.schedule.warmup_epochs=0",
            ],
            (),
        ),
        (["epochs=40", "ask.enough=0.5", "ask.rungs=[4,16]", "recipe.schedule.warmup_epochs=0"], None),
        (["epochs=80", "ask.enough=0.5", "ask.rungs=[4,16]"], (16, 4)),
        (["epochs=40", "ask.enough=0.5", "ask.rungs=[]"], ()),
    ],
)
def test_short_runs_are_long_enough_to_be_annealed(overrides, parts):
    set_up = SetUp.of(overrides)
    if parts is None:
        with pytest.raises(ConfigError, match=r"ask\.rungs must leave short runs of at least 5 budget epochs, got 16"):
            _ = set_up.parts
        return
    assert set_up.parts == parts


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["epochs=40", "budget=epochs", "ask.enough=0.5", "ask.rungs=[8,4]"],
            r"ask\.rungs must be auto with budget=epochs",
        ),
        (
            ["epochs=320", "ask.enough=0.5", "ask.rungs=[64,63]"],
            r"ask\.rungs must be lengths that differ, got 64 and 63, both of 5",
        ),
    ],
)
def test_short_runs_that_would_tell_nothing_are_refused(overrides, said):
    with pytest.raises(ConfigError, match=said):
        _ = SetUp.of(overrides).parts


def test_a_step_schedule_is_shortened_with_the_run():
    set_up = SetUp.of(["epochs=90", "recipe.schedule.name=step", "recipe.schedule.step_size=30"])
    assert set_up.run(Step(1.0, 0, 2)).config.recipe.schedule.step_size == 15


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("fraction=0.5", "fraction must be left out, since the question chooses it"),
        ("seed=1", "seed must be left out"),
        ("draw_seed=1", "draw_seed must be left out"),
        ("model=resnet50,mobilenet_v2", "one set-up, got model=resnet50 and model=mobilenet_v2"),
        ("sweep.rerun=true", "sweep.rerun must be false"),
        ("ask.enough=25", "ask.enough must be a fraction above 0 and below 1, or null, got 25"),
        ("ask.level=0.5", "ask.level must be a certainty from 0.8 to 0.99, got 0.5"),
        ("ask.zone=0.01", "ask.zone must be left out without ask.enough, got 0.01"),
        ("ask.most=2", "ask.most must be a number of runs, at least 4, got 2"),
    ],
)
def test_what_a_question_cannot_take_is_told_in_one_line(override, said):
    with pytest.raises(ConfigError) as told:
        SetUp.of([override])
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_two_questions_at_once_are_refused():
    with pytest.raises(ConfigError, match=r"one question must be asked at a time, got ask\.enough and ask\.target"):
        SetUp.of(["ask.enough=0.25", "ask.target=0.9"])


def test_only_runs_that_differ_by_fraction_and_seeds_are_the_same_set_up(tmp_path):
    from factories.run_folders import write_run

    set_up = SetUp.of(["epochs=40", "logger=csv"])
    kept = {"overrides": ("epochs=40", "logger=csv"), "epochs": 40}
    assert set_up.same(write_run(tmp_path, fraction=0.3, seed=7, **kept), 1)
    assert not set_up.same(write_run(tmp_path, fraction=0.3, epochs=20, overrides=kept["overrides"]), 1)
    other = write_run(tmp_path, model="resnet50", fraction=0.3, **kept)
    assert not set_up.same(RunFolder(other.path), 1)


def test_other_commands_refuse_a_question():
    with pytest.raises(ConfigError, match=r"ask\.enough must be given to python -m datavol\.ask"):
        without_question(["model=resnet50", "ask.enough=0.25"])


def test_short_runs_of_a_constant_rate_branch_off_one_trunk(elsewhere):
    set_up = SetUp.of(["epochs=40", "recipe=small_wsd", "logger=csv"])
    eighth, quarter, whole = (Step(0.5, 0, part) for part in (8, 4, 1))
    first = set_up.to_train(eighth).config
    assert (first.checkpoint.trunk, first.trunk) == (True, None)
    trunk = RunFolder(set_up.run(eighth).folder).checkpoint("trunk")
    trunk.parent.mkdir(parents=True)
    trunk.touch()
    second, last = set_up.to_train(quarter).config, set_up.to_train(whole).config
    assert (second.checkpoint.trunk, second.trunk) == (True, str(set_up.run(eighth).folder))
    assert (last.checkpoint.trunk, last.trunk) == (False, str(set_up.run(eighth).folder))  # the longest there is
    assert set_up.to_train(Step(0.5, 1)).config.trunk is None  # of another seed
    assert set_up.to_train(quarter).folder == set_up.run(quarter).folder  # it is the same run with and without


def test_short_runs_of_a_cosine_begin_anew(elsewhere):
    set_up = SetUp.of(["epochs=40", "logger=csv"])
    assert set_up.to_train(Step(0.5, 0, 4)) == set_up.run(Step(0.5, 0, 4))
