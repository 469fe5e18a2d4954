"""Adaptive studies on made-up records: to their end, and through kills at every moment."""

import json
from dataclasses import replace

import numpy as np
import pytest
from factories.worlds import World, gap

from datavol.asking.ending import ending_lines
from datavol.asking.loop import Outcome, ask
from datavol.asking.question import Rule, key_of, rule_of
from datavol.asking.set_up import SetUp
from datavol.config.identity import canonical
from datavol.errors import ConfigError
from datavol.study.looks.asked import Asked
from datavol.study.looks.evidence import Evidence
from datavol.study.looks.look import Step

LITTLE = ["logger=csv", "epochs=40"]


class Killed(BaseException):
    """Stands for a signal."""


class Studies:
    """Asks in an empty folder; training writes records of a made-up world."""

    def __init__(self, world: World, *overrides: str, places: int = 2) -> None:
        self.world = world
        self.set_up = SetUp.of([*LITTLE, *overrides])
        self.rule: Rule = rule_of(self.set_up.config.ask, self.set_up, places)
        self.asked = Asked(self.set_up.study, key_of(self.set_up.config.ask), self.rule.text)
        self.said: list[str] = []

    def ask(self, hours: float | None = None, budget: float = np.inf) -> Outcome:
        """Ask; killed before so many further runs are written."""

        def train(steps):
            for step in steps:
                if len(self.world.trained) >= budget:
                    raise Killed
                self.world.write(self.set_up, [step])

        return ask(self.rule, self.set_up, self.asked, train, self.said.append, hours)


def test_a_question_is_answered_from_records_alone(elsewhere):
    studies = Studies(World(gap(0.0)), "ask.enough=0.25")
    outcome = studies.ask()
    assert outcome.look.says == "enough"
    assert {path.name for path in elsewhere.glob("studies/*")} == {"digits", "digits_5_epochs"}
    trained = len(studies.world.trained)
    assert outcome.runs == trained == len(list(elsewhere.glob("studies/*/*/run.json")))
    assert outcome.hours > 0
    again = studies.ask()
    assert (again.look, len(studies.world.trained)) == (outcome.look, trained)
    kept = json.loads((elsewhere / "studies/digits/asked.json").read_text())["questions"]
    assert [len(one["looks"]) for one in kept] == [outcome.look.number + 1]  # and the one before anything was trained
    assert kept[0]["looks"][-1]["says"] == "enough"


@pytest.mark.parametrize("question", ["ask.enough=0.25", "ask.target=0.86", "ask.doubling=0.05", "ask.delta=0.02"])
def test_killed_before_any_run_the_same_command_comes_to_the_same_end(question, elsewhere, monkeypatch):
    error = lambda step: 0.1 + 0.04 * step.fraction**-0.5 / step.part**0.1  # noqa: E731
    places = 4  # several runs a look, so that kills fall between two of one
    whole = Studies(World(error), question, places=places)
    outcome = whole.ask()
    looks = whole.asked.looks
    for budget in range(len(whole.world.trained)):
        place = elsewhere / f"killed{budget}"
        place.mkdir()
        monkeypatch.chdir(place)
        killed = Studies(World(error), question, places=places)
        with pytest.raises(Killed):
            killed.ask(budget=budget)
        assert killed.ask().look == outcome.look
        assert [one["number"] for one in killed.asked.looks] == [one["number"] for one in looks]


def test_deleting_the_file_resets_no_look(elsewhere):
    studies = Studies(World(gap(0.011), noise=0.004), "ask.enough=0.25", "ask.most=8")
    outcome = studies.ask()
    (elsewhere / "studies/digits/asked.json").unlink()
    trained = len(studies.world.trained)
    again = studies.ask()
    assert again.look == outcome.look
    assert again.look.number > 2
    assert len(studies.world.trained) == trained


def test_other_setups_in_the_same_folder_do_not_count(elsewhere):
    first = Studies(World(gap(0.0)), "ask.enough=0.25")
    first.ask()
    longer = Studies(World(gap(0.0)), "ask.enough=0.25", "epochs=48", "study=digits")
    assert longer.ask().look.number > 0
    assert len(longer.world.trained) == len(first.world.trained)  # nothing of the other length was taken for its own


def test_hours_are_a_limit_and_more_of_them_go_on(elsewhere):
    studies = Studies(World(gap(0.008), noise=0.005), "ask.enough=0.25")
    outcome = studies.ask(hours=1e-9)
    assert outcome.out_of_hours
    assert outcome.look.state == "open"
    assert len(studies.world.trained) == 2
    assert studies.ask().look.state != "open"


def test_earlier_runs_of_a_grid_are_used(elsewhere):
    studies = Studies(World(gap(0.0)), "ask.enough=0.25")
    studies.world.write(studies.set_up, [Step(f, s) for f in (0.25, 0.5, 1.0) for s in range(3)])
    outcome = studies.ask()
    assert len(studies.world.trained) == 9
    assert (outcome.look.says, outcome.look.number) == ("enough", 3)


def test_a_report_begins_with_what_was_asked(elsewhere):
    from datavol.study.load.study import load_study
    from datavol.study.report.screen.first_screen import first_screen
    from datavol.study.report.screen.terminal import screen_lines

    studies = Studies(World(gap(0.0)), "ask.enough=0.25")
    outcome = studies.ask()
    screen = first_screen(load_study([elsewhere / "studies/digits"]))
    assert screen.asked == ((studies.rule.text, f"Answer: {outcome.look.sentence}"),)
    assert f"Asked: {studies.rule.text}" in "\n".join(screen_lines(screen, 200))


def test_an_upgrade_of_datavol_between_two_looks_ends_no_question(elsewhere):
    """Records of two commits; everything else is the same."""
    studies = Studies(World(gap(0.0)), "ask.enough=0.25")
    with pytest.raises(Killed):
        studies.ask(budget=3)
    (file,) = elsewhere.glob("studies/digits/*/run.json")
    file.write_text(file.read_text().replace("a" * 40, "b" * 40))
    assert studies.ask().look.says == "enough"


def test_hours_that_are_spent_stay_spent_when_the_command_is_typed_again(elsewhere):
    studies = Studies(World(gap(0.008), noise=0.005), "ask.enough=0.25")
    studies.ask(hours=1e-9)
    again = studies.ask(hours=1e-9)
    assert again.out_of_hours
    assert len(studies.world.trained) == 2


@pytest.mark.parametrize("fraction", [1 / 3, 0.1 + 0.2])
def test_a_fraction_of_many_digits_is_that_of_its_runs(fraction, elsewhere):
    """Else the look would ask for a run that has finished at another fraction, for ever."""
    studies = Studies(World(gap(0.0)), f"ask.enough={fraction!r}", "ask.rungs=[]")
    assert canonical(fraction) in {step.fraction for step in studies.rule.look(Evidence([])).next}
    assert studies.ask(budget=20).look.says == "enough"


def test_a_finished_run_that_cannot_be_used_ends_a_question_in_one_line(elsewhere):
    studies = Studies(World(gap(0.008), noise=0.005), "ask.enough=0.25", "ask.rungs=[]")
    studies.ask(hours=1e-9)
    damaged = studies.set_up.run(Step(0.25, 0)).folder
    (damaged / "metrics.csv").write_text("iteration\n1\n")
    with pytest.raises(
        ConfigError, match=r"finished and cannot be used: .*metrics\.csv.*; move its folder away"
    ) as told:
        studies.ask(budget=20)
    assert "\n" not in str(told.value)


def test_runs_whose_seeds_were_given_one_by_one_are_no_pair(elsewhere):
    studies = Studies(World(gap(0.0)), "ask.enough=0.25", "ask.rungs=[]")
    other = SetUp.of([*LITTLE, "ask.enough=0.25", "ask.rungs=[]"])
    other = replace(other, overrides=(*other.overrides, "init_seed=7"))
    studies.world.write(other, [Step(0.25, 0), Step(1.0, 0)])
    found = studies.ask(budget=2 + 6)
    assert found.look.numbers["pairs"] == found.look.number


def test_a_grid_is_compared_where_all_its_runs_cost_the_same(elsewhere):
    """With equal passes smaller fractions cost less, in a grid as well."""
    for budget, compared in (("iterations", True), ("epochs", False)):
        studies = Studies(World(gap(0.0)), "ask.enough=0.5", f"budget={budget}", f"study={budget}")
        lines = [*ending_lines(studies.ask(), studies.rule, studies.set_up, 80)]
        assert ("a grid of 18 runs" in " ".join(" ".join(lines).split())) == compared


def test_a_damaged_list_of_questions_costs_a_report_no_more_than_that(elsewhere):
    from datavol.study.load.study import load_study
    from datavol.study.report.screen.first_screen import first_screen

    studies = Studies(World(gap(0.0)), "ask.enough=0.25")
    studies.ask()
    (elsewhere / "studies/digits/asked.json").write_text('{"questions": [')
    ((question, ending),) = first_screen(load_study([elsewhere / "studies/digits"])).asked
    assert question == "What was asked?"
    assert "move it away; the runs are kept" in ending
