"""Looks and trains in turn until a question is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from datavol.asking.measured import Parts, finished, full_runs, hours_of, look, measured, why_unused
from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.errors import ConfigError
from datavol.study.looks.asked import Asked
from datavol.study.looks.look import Look, Step

Train = Callable[[Sequence[Step]], None]


@dataclass(frozen=True)
class Outcome:
    """Stores how a question ended."""

    look: Look
    hours: float  # of all runs that it rests on
    runs: int
    full_runs: float  # as how many runs of full length they count
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

    Raises:
        ConfigError: If a look asks for runs that have finished and cannot be used.
    """
    if open_steps := [step for step in asked.pending if not finished(set_up, step)]:
        train(open_steps)
    while True:
        parts = measured(set_up)
        found = look(rule, parts)
        runs, rests_on = _names(parts), hours_of(parts)
        spent = hours is not None and hours_of(parts, asked.steps) + _expected(found.next, parts) > hours
        # Runs for which there are no hours left are not named: what the file names is trained before the next look
        asked.add(replace(found, next=()) if spent else found, runs, rests_on)
        if found.number:
            say(f"look {found.number}{'' if found.state == 'open' else f', {found.state}'}: {found.sentence}")
        if found.state != "open":
            return Outcome(found, rests_on, len(runs), full_runs(parts))
        if spent:
            return Outcome(found, rests_on, len(runs), full_runs(parts), out_of_hours=True)
        _check_unfinished(set_up, found.next)
        train(found.next)


def _check_unfinished(set_up: SetUp, steps: Sequence[Step]) -> None:
    """Raise a ConfigError where all runs have finished, and yet the look asks for them.

    Their records are damaged then, or are copies; to train them would skip them, look, and ask for them again.
    """
    if all(finished(set_up, step) for step in steps):
        folder = set_up.run(steps[0]).folder
        raise ConfigError(
            f"a question must rest on whole records, got one that has finished and cannot be used: "
            f"{folder}{why_unused(folder)}; move its folder away, and the same command trains it again"
        )


def _names(parts: Parts) -> list[str]:
    return sorted(
        f"{study}/{run}" for one in parts.values() for study, run in one.curve.runs[["study", "run"]].to_numpy()
    )


def _expected(steps: Sequence[Step], parts: Parts) -> float:
    """Expect the hours of runs from those before; 0 before the first."""
    if not parts:
        return 0.0
    runs = parts[min(parts)].curve.runs
    seconds = float((runs["seconds_train"] + runs["seconds_val"]).median()) * min(parts)
    return sum(step.cost for step in steps) * seconds / 3600
