"""The file of what was asked: what is damaged is told in one line."""

import json

import pytest

from datavol.errors import ConfigError
from datavol.study.looks.asked import FILE, Asked, endings_of
from datavol.study.looks.look import Look, Step

OPEN = Look(1, "open", "nothing is certain yet", next=(Step(0.25, 1), Step(1.0, 1)))


@pytest.fixture
def asked(tmp_path) -> Asked:
    return Asked(tmp_path, {"enough": 0.25, "delta": 0.01}, "Is 25 % enough?")


def test_runs_of_the_last_look_are_named_again(asked):
    asked.add(OPEN, ["a"], 1.0)
    assert asked.pending == [Step(0.25, 1), Step(1.0, 1)]
    other = Asked(asked.study, {"target": 0.9}, "How many images?")
    assert other.looks == []
    assert endings_of(asked.study) == [("Is 25 % enough?", "Not finished: nothing is certain yet")]


@pytest.mark.parametrize("lost", ["question", "asked", "looks"])
def test_a_question_without_a_part_is_told_in_one_line(lost, asked):
    asked.add(OPEN, ["a"], 1.0)
    _changed(asked, lambda entry: entry.pop(lost))


@pytest.mark.parametrize("lost", ["state", "sentence", "runs", "next"])
def test_a_look_without_a_part_is_told_in_one_line(lost, asked):
    asked.add(OPEN, ["a"], 1.0)
    _changed(asked, lambda entry: entry["looks"][0].pop(lost))


def test_a_step_without_a_part_and_a_state_that_is_none_are_told_in_one_line(asked):
    asked.add(OPEN, ["a"], 1.0)
    whole = (asked.study / FILE).read_text()
    _changed(asked, lambda entry: entry["looks"][0]["next"][0].pop("part"))
    (asked.study / FILE).write_text(whole)
    _changed(asked, lambda entry: entry["looks"][0].update(state="half"))


def _changed(asked: Asked, change) -> None:
    content = json.loads((asked.study / FILE).read_text())
    change(content["questions"][0])
    (asked.study / FILE).write_text(json.dumps(content))
    for read in (lambda: asked.pending, lambda: endings_of(asked.study)):
        with pytest.raises(ConfigError, match="must be a file that datavol wrote, got another; move it away") as told:
            read()
        assert "\n" not in str(told.value)
