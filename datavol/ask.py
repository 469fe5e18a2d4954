"""Answers a question with few runs: `python -m datavol.ask ask.enough=0.25`.

    ask.enough=0.25 ask.delta=0.01     is a quarter of the data enough, to a point?
    ask.target=0.9                     how many images does an accuracy of 90 % take?
    ask.doubling=0.01                  what would twice the data buy, to a point either way?
    (none of them)                     would twice the data help?

Keys are those of datavol.run, but for fraction and seed, which the question chooses. After each look at what was
measured it stops, or trains the runs that tell most. Killed at any moment, the same command goes on. In Python
`datavol.ask(...)` does the same: see `datavol.api.ask`.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from datavol import CallableModule
from datavol.cli.boundary import cli_errors
from datavol.cli.console import announce, say
from datavol.cli.text import points
from datavol.config.command_line.arguments import KeyParser

if TYPE_CHECKING:
    from datavol.asking.ending import Answered
    from datavol.asking.set_up import SetUp
    from datavol.asking.training import StepTrainer
    from datavol.config.run import Run

GROUPS = ("ask", "", "model", "data", "recipe", "trainer", "sweep")
PAIR = 2  # runs at once on a cluster, whose free devices nobody knows


@cli_errors
def main() -> None:
    """Ask the question of the command line, and print what came of it."""
    parser = KeyParser(
        GROUPS,
        prog="python -m datavol.ask",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments = parser.parse()
    for line in answer(arguments.overrides).lines:
        say(line)


def answer(overrides: list[str]) -> Answered:
    """Train what a question needs; return what came of it.

    Raises:
        ConfigError: For a mistake, in one line, before anything is trained.
        SystemExit: With a sweep's exit code, if a run failed, is trained elsewhere, or a signal came.
    """
    from datavol.asking.set_up import SetUp

    SetUp.of(overrides)  # a mistake is told before the slow imports
    from datavol.asking.cost import cost_of
    from datavol.asking.ending import Answered
    from datavol.asking.loop import ask
    from datavol.asking.measured import measured
    from datavol.asking.question import check_target, key_of, rule_of
    from datavol.asking.training import StepTrainer
    from datavol.study.looks.asked import Asked
    from datavol.sweep.devices import run_environments

    set_up = chosen_set_up(overrides)
    environments = run_environments(set_up.config.sweep.parallel, [set_up.config, set_up.config])
    places = len(environments) if set_up.cluster is None else PAIR
    train = StepTrainer(set_up, set_up.cluster)
    first = prepared_first(set_up, train, places)
    check_target(set_up.config.ask, train.guess)
    set_up = with_shown_delta(set_up, train.test_images)
    keys = set_up.config.ask
    rule = rule_of(keys, set_up, places)
    say(f"{rule.text} It takes {cost_of(rule, first, measured(set_up), places, environments[0])}.")
    asked = Asked(set_up.study, key_of(keys) | {"set_up": first.config.run_hash}, rule.text)
    return Answered(ask(rule, set_up, asked, train, say, keys.hours), rule, set_up)


def prepared_first(set_up: SetUp, train: StepTrainer, places: int) -> Run:
    """Check the first runs and their data; return the one on all."""
    from datavol.asking.measured import look, measured
    from datavol.asking.question import rule_of
    from datavol.study.looks.look import Step

    # What a first look will name is checked as well: a fraction too small for a class is told before a run is timed
    named = () if measured(set_up) else look(rule_of(set_up.config.ask, set_up, places), {}).next
    return train.prepared(list(dict.fromkeys([Step(1.0, 0), *named])))[0]


def with_shown_delta(set_up: SetUp, test_images: int) -> SetUp:
    """Choose a difference that test images can show, unless one was typed."""
    from datavol.asking.question import shown_delta

    asked = set_up.config.ask
    delta = shown_delta(asked, test_images, given=any(one.startswith("ask.delta=") for one in set_up.typed))
    if delta != asked.delta:
        announce([f"ask.delta={delta:g}, as one of {test_images:,} test images is {points(1 / test_images)}"])
    return set_up.with_delta(delta)


def chosen_set_up(overrides: list[str]) -> SetUp:
    """Compose the set-up, with what the data leave open chosen and said."""
    from datavol.asking.set_up import SetUp
    from datavol.training.own_images import compose_own, overrides_in

    _, chosen = compose_own([*overrides, "fraction=1", "seed=0"], multirun=True)
    announce(map(str, chosen))
    return SetUp.of(overrides, overrides_in(chosen))


sys.modules[__name__].__class__ = CallableModule

if __name__ == "__main__":
    main()
