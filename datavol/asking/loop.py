"""Looks and trains in turn until a question is answered."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from datavol.asking.measured import Curves, finished, hours_of, look, measured
from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.study.looks.asked import Asked
from datavol.study.looks.look import Look, Step

Train = Callable[[Sequence[Step]], None]


@dataclass(frozen=True)
class Outcome:
    """Stores how a question ended."""

    look: Look
    hours: float  # of all runs that it rests on
    runs: int
    out_of_hours: bool = False


def ask(
    rule: Rule, set_up: SetUp, asked: Asked, train: Train, say: Callable[[str], None], hours: float | None
) -> Outcome:
    """Look, train what the look names, and look again, until it ends.

    Killed at any moment, the same call goes on: runs that a look has named are trained before the next look.

    Args:
        rule: The question.
        set_up: What is the same in all runs.
        asked: Keeps the looks.
        train: Trains runs to their end, or raises.
        say: Prints a line.
        hours: Of training, at most; None for any.
    """
    if open_steps := [step for step in asked.pending if not finished(set_up, step)]:
        train(open_steps)
    while True:
        curves = measured(set_up)
        found = look(rule, curves)
        runs, rests_on = _names(curves), hours_of(curves)
        asked.add(found, runs, rests_on)
        if found.number:
            say(f"look {found.number}: {found.sentence}")
        if found.state != "open":
            return Outcome(found, rests_on, len(runs))
        if hours is not None and hours_of(curves, asked.steps) + _expected(found.next, curves) > hours:
            return Outcome(found, rests_on, len(runs), out_of_hours=True)
        train(found.next)


def _names(curves: Curves) -> list[str]:
    return sorted(f"{study}/{run}" for one in curves.values() for study, run in one.runs[["study", "run"]].to_numpy())


def _expected(steps: Sequence[Step], curves: Curves) -> float:
    """Expect the hours of runs from those before; 0 before the first."""
    runs = curves[min(curves)].runs if curves else None
    if runs is None:
        return 0.0
    seconds = float((runs["seconds_train"] + runs["seconds_val"]).median()) * min(curves)
    return sum(step.cost for step in steps) * seconds / 3600


def stopped_by(number: int) -> SystemExit | KeyboardInterrupt:
    """Make the exception that a signal's end is told by."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
