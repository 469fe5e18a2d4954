"""What a run or a sweep ends with: what came out, and a command that works."""

import re
import shlex
from pathlib import Path

import pytest

from datavol.config.compose import compose
from datavol.config.run import Run
from datavol.data.prepare import prepare
from datavol.runs.folder import RunFolder
from datavol.sweep.outcome import after_run, after_sweep, outcome


def runs_with(top1: dict[tuple[str, ...], float]) -> list[Run]:
    """Compose runs by their overrides, each with a record of its accuracy."""
    made = [compose(["logger=csv", *overrides])[0] for overrides in top1]
    for run, value in zip(made, top1.values(), strict=True):
        RunFolder(run.folder).update(state="finished", last={"val/top1": value}, subset={"size": 70})
    return made


def test_a_sweep_says_the_mean_accuracy_at_each_fraction_in_order(elsewhere):
    values = {("1", "0"): 0.9, ("0.05", "0"): 0.5, ("0.05", "1"): 0.6, ("0.125", "0"): 0.7, ("1", "1"): 0.8}
    runs = runs_with({(f"fraction={fraction}", f"seed={seed}"): top1 for (fraction, seed), top1 in values.items()})
    assert outcome(runs) == [
        "top-1 55.0 % with 5 %, 70.0 % with 12.5 %, 85.0 % with 100 % of the training images (means of 1 to 2 runs)"
    ]


def test_settings_have_a_line_each_by_what_sets_them_apart(elsewhere):
    shared = ("epochs=7", "fraction=0.5")
    runs = runs_with({("model=resnet50", *shared): 0.9, ("model=mobilenet_v2", *shared): 0.8})
    assert outcome(runs) == [
        "model=resnet50: top-1 90.0 % with 50 % of the training images",
        "model=mobilenet_v2: top-1 80.0 % with 50 % of the training images",
    ]
    many = runs_with({(f"recipe.optimiser.lr={lr}",): 0.5 for lr in range(1, 9)})
    assert len(outcome(many)) == 7
    assert outcome(many)[-1] == "and 2 more settings, in the report"


def test_listed_subsets_are_named_by_their_images_and_what_measured_nothing_is_left_out(elsewhere):
    Path("list.txt").write_text("0\n")
    (run,) = runs_with({("subset_file=list.txt",): 0.25})
    assert outcome([run]) == ["top-1 25.0 % with 70 images"]
    assert outcome([compose(["seed=5"])[0]]) == []


def test_the_studies_of_a_sweep_are_reported_on_each_once():
    runs = [compose(["study=a"])[0], compose(["study=b"])[0], compose(["study=a", "seed=1"])[0]]
    assert after_sweep(runs) == ["next: python -m datavol.report studies/a studies/b"]


@pytest.fixture
def finished(elsewhere):
    """Ends a run on the digits; gives its last lines."""

    def end(*typed: str) -> list[str]:
        run = compose(["logger=csv", *typed])[0]
        facts = {"state": "finished", "last": {"val/top1": 0.75}, "guess": {"val/top1": 0.1}}
        RunFolder(run.folder).update(**facts)
        return after_run(run, prepare(run.config), typed)

    return end


def test_a_run_ends_with_its_accuracy_its_record_and_the_sweep_that_makes_it_a_curve(finished):
    accuracy, record, command = finished("fraction=0.3", "study=mine", "+metrics.f1={_target_: x.Y}")
    assert re.fullmatch(
        r"finished: top-1 75\.0 % of 359 validation images, after training on 43\d images \(30 %\); "
        r"guessing gives 10\.0 %",
        accuracy,
    )
    assert record.startswith("record: studies/mine/mobilenet_v2-30pct-seed0-")
    # the run itself is among the runs that the command asks for, which it then skips
    *program, multirun, first, second, third = shlex.split(command.partition(": ")[2])
    overrides = [first, second, third]
    assert (program, multirun) == (["python", "-m", "datavol.run"], "-m")
    assert overrides == ["fraction=0.125,0.25,0.3,0.5,1", "study=mine", "+metrics.f1={_target_: x.Y}"]


def test_once_a_study_has_a_curve_the_report_is_next(finished):
    for fraction in (0.1, 0.2):
        assert "-m fraction=" in finished(f"fraction={fraction}")[-1]
    assert finished("fraction=0.4")[-1] == "next: python -m datavol.report studies/digits"


def test_an_agent_gets_no_command(finished, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run")
    assert len(finished("fraction=0.3")) == 2
