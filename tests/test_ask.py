"""`python -m datavol.ask`, as typed, with real trainings of seconds."""

import json
import signal
import time

import pytest
from factories.small_runs import HANG, SMALL, TINY_NETWORK, start_sweep

LITTLE = [*SMALL, *TINY_NETWORK, "logger=csv", "trainer.threads=1", "epochs=4", "plan.timing=false"]


def test_a_question_is_answered_and_asked_again_costs_nothing(command, elsewhere):
    asked = command("ask", *LITTLE, "ask.enough=0.5", "ask.delta=0.4")
    assert asked.returncode == 0, asked.stderr
    assert "Answer: 50 % of the data is enough" in asked.stdout
    assert "It takes as a rule 5 runs of full length, at most 18" in asked.stdout
    assert max(map(len, asked.stdout.partition("=" * 80)[2].splitlines())) <= 80
    assert len(list(elsewhere.glob("studies/digits/*/run.json"))) == 2
    again = command("ask", *LITTLE, "ask.enough=0.5", "ask.delta=0.4")
    ending = asked.stdout.partition("=" * 80)[2]
    assert again.stdout.partition("=" * 80)[2] == ending
    assert "run 1 of" not in again.stdout
    report = command("report", "studies/digits")  # of what a question trained, as of any study
    assert report.returncode == 0, report.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fraction=0.5"], "fraction must be left out, since the question chooses it, got fraction=0.5; leave it out"),
        (
            ["ask.enough=1.5"],
            "ask.enough must be a fraction above 0 and below 1, or null, got 1.5; try ask.enough=0.25",
        ),
        (["ask.enogh=0.5"], "ask.enough"),
        (["-m"], "-m"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(arguments, said, command, elsewhere):
    asked = command("ask", *arguments)
    assert asked.returncode == 2
    assert said in asked.stderr
    assert "Traceback" not in asked.stderr
    assert not list(elsewhere.iterdir())


def test_validation_images_that_are_in_train_are_told_before_any_training(command, elsewhere, photos):
    (photos / "val/owl/again.png").write_bytes((photos / "train/owl/00.png").read_bytes())
    asked = command("ask", "data=image_folder", f"data.root={photos}", "logger=csv")
    assert asked.returncode == 2
    assert "validation images must not be in train where an answer is to hold, got 1 of 13" in asked.stderr
    assert not (elsewhere / "studies").exists()


def test_a_difference_of_less_than_one_test_image_is_refused_if_typed_and_chosen_if_not(command, elsewhere, photos):
    given = ["data=image_folder", f"data.root={photos}", *LITTLE, "recipe.batch_size=8"]
    asked = command("ask", *given, "ask.delta=0.01")
    assert asked.returncode == 2
    assert "ask.delta must be at least one test image, 0.083 of 12, got 0.01; try ask.delta=0.25" in asked.stderr
    assert not (elsewhere / "studies").exists()


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            "ask.enough=0.0005",
            "ask.enough must leave every class at least one image, got 0.0005, which leaves none of the 139 of class 8 "
            "and of 9 more; try ask.enough=0.004",
        ),
        (
            "ask.target=0.05",
            "ask.target must be above what always guessing the commonest class gives, 10.3 % of the test images, got "
            "0.05; try ask.target=0.55",
        ),
    ],
)
def test_what_the_data_cannot_answer_is_told_before_anything_is_written(question, said, command, elsewhere):
    asked = command("ask", question, "logger=csv")
    assert asked.returncode == 2
    assert said in asked.stderr
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("door", ["run", "plan"])
def test_other_doors_refuse_a_question(door, command, elsewhere):
    told = command(door, "ask.enough=0.5")
    assert told.returncode == 2
    assert "ask.enough must be given to python -m datavol.ask" in told.stderr
    assert not list(elsewhere.iterdir())


def test_ctrl_c_ends_a_question_with_its_runs_and_the_same_command_goes_on(command, elsewhere):
    question = ["ask.enough=0.5", "ask.delta=0.4"]
    asking = start_sweep(elsewhere, *LITTLE, *question, door="ask")
    began = time.monotonic()
    while not list(elsewhere.glob("studies/digits/*/metrics.csv")) and time.monotonic() - began < HANG:
        time.sleep(0.05)
    asking.send_signal(signal.SIGINT)
    assert asking.wait(HANG) == 130
    states = [json.loads(file.read_text())["state"] for file in elsewhere.glob("studies/digits/*/run.json")]
    assert "running" not in states
    asked = command("ask", *LITTLE, *question)
    assert asked.returncode == 0, asked.stderr
    (question_kept,) = json.loads((elsewhere / "studies/digits/asked.json").read_text())["questions"]
    assert [look["number"] for look in question_kept["looks"]] == [0, 1]
