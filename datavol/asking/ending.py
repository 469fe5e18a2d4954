"""Says what came of a question, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from datavol.asking.cost import duration
from datavol.asking.loop import Outcome
from datavol.asking.measured import findings_of, study_of
from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.cli.text import chance, level_text
from datavol.config.ask import QUESTIONS
from datavol.study.looks.enough import Enough
from datavol.study.looks.look import HEADS, Look
from datavol.study.looks.more_data import MoreData
from datavol.study.report.screen.first_screen import first_screen
from datavol.study.report.screen.lines import command_lines, paragraph
from datavol.study.report.screen.terminal import screen_lines

GRID = 18  # runs: six fractions, three seeds
WIDTH = 80


@dataclass(frozen=True, eq=False)
class Answered:
    """Stores how a question ended; prints as the lines that a command prints.

    Attributes:
        outcome: The last look, and what was trained for it.
        rule: The question.
        set_up: What was the same in all runs.
    """

    outcome: Outcome
    rule: Rule
    set_up: SetUp

    @property
    def look(self) -> Look:
        """Return the last look: state, sentence, probability, numbers."""
        return self.outcome.look

    @property
    def lines(self) -> list[str]:
        """Write how the question ended, in lines of at most 80 letters."""
        return [*ending_lines(self.outcome, self.rule, self.set_up, WIDTH)]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def ending_lines(outcome: Outcome, rule: Rule, set_up: SetUp, width: int) -> Iterator[str]:
    """Write how a question ended, in lines of at most `width` letters.

    Where three sizes were measured the study's first screen follows.
    """
    look, asked = outcome.look, set_up.config.ask
    yield "=" * width
    yield from paragraph(f"{set_up.config.model.name} on {set_up.config.data.name}: {rule.text}", width)
    yield ""
    yield from paragraph(f"{HEADS[look.state]}: {look.sentence}.", width)
    yield ""
    for text in _trust(outcome, rule, set_up):
        yield from paragraph(text, width, "  ", "    ")
    remedies = [(f"What to do: {remedy}", command) for remedy, command in look.remedies]
    for what, command in (*remedies, *_next(outcome, rule, set_up)):
        yield ""
        yield from paragraph(f"{what[:1].upper()}{what[1:]}{':' if command else '.'}", width)
        yield from command_lines(command, width) if command else ()
    study = study_of(set_up)
    if (
        study is not None
        and not look.remedies
        and not isinstance(rule, Enough)
        and study.runs["fraction"].nunique() > 2
    ):
        yield "=" * width
        screen = first_screen(
            study, delta=asked.delta, target=asked.target, level=asked.level, findings=findings_of(study)
        )
        yield from screen_lines(replace(screen, asked=()), width)


def _trust(outcome: Outcome, rule: Rule, set_up: SetUp) -> Iterator[str]:
    look, hours = outcome.look, set_up.config.ask.hours
    if look.probability is not None and look.threshold is not None and look.state == "answered":
        sure = look.probability if look.says != "not enough" else 1 - look.probability
        yield (
            f"Certainty: {chance(sure)}; {100 * look.threshold:.1f} % had to be reached, so that at most "
            f"{level_text(round(1 - rule.level, 6))} of answers like this are wrong."
        )
    if look.basis:
        yield f"How: {look.basis}."
    runs = f"{outcome.runs} run{'s' * (outcome.runs != 1)}"
    cost, share = f"Cost: {runs}, {duration(3600 * outcome.hours)} of training and evaluation", outcome.full_runs / GRID
    yield (
        f"{cost}; a grid of {GRID} runs would take {1 / share:.0f} times as much."
        if share < 0.5 and look.state == "answered" and set_up.config.budget == "iterations"
        else f"{cost}."
    )
    if outcome.out_of_hours:
        yield f"ask.hours={hours:g} is spent; the same command with more hours goes on."


def _next(outcome: Outcome, rule: Rule, set_up: SetUp) -> Iterator[tuple[str, str]]:
    """Name what to ask next, as commands that can be typed."""
    look = outcome.look
    if isinstance(rule, Enough):
        yield from _after_pairs(look, rule, set_up)
    elif look.state == "answered" and isinstance(rule, MoreData):
        yield "How many images does an accuracy of 90 % take", _ask(set_up, target=0.9)
    report = ["python -m datavol.report", shlex.quote(str(set_up.study))]
    if set_up.config.ask.target is not None:
        report.append(f"--target {100 * set_up.config.ask.target:g}")
    if study_of(set_up) is not None:
        yield "The page with figures and tables", " ".join(report)


def _after_pairs(look: Look, rule: Enough, set_up: SetUp) -> Iterator[tuple[str, str]]:
    if look.says in ("enough", "either"):
        yield "Is half of that enough, too", _ask(set_up, enough=rule.fraction / 2)
    if look.says == "not enough":
        yield "Is more of the data enough", _ask(set_up, enough=min(2 * rule.fraction, (1 + rule.fraction) / 2))
        yield "Would more than all of it help", _ask(set_up)
    if look.state == "cannot be told":
        yield "Is it enough, if twice the gap is allowed", _ask(set_up, enough=rule.fraction, delta=2 * rule.delta)


def _ask(set_up: SetUp, **asked: float) -> str:
    """Build the command that asks another question of the set-up."""
    kept = [
        one for one in set_up.typed if one.partition("=")[0] not in {f"ask.{name}" for name in (*QUESTIONS, *asked)}
    ]
    return " ".join(
        ["python -m datavol.ask", *(f"ask.{name}={value:.6g}" for name, value in asked.items()), *_quoted(kept)]
    )


def _quoted(overrides: Sequence[str]) -> list[str]:
    return [shlex.quote(one) for one in overrides]
