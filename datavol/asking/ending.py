"""Says what came of a question, what it rests on, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from datavol.asking.cost import duration
from datavol.asking.loop import Outcome
from datavol.asking.measured import study_of
from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.cli.text import chance, level_text
from datavol.config.ask import QUESTIONS
from datavol.study.looks.enough import Enough
from datavol.study.looks.more_data import MoreData
from datavol.study.report.screen.first_screen import first_screen
from datavol.study.report.screen.lines import command_lines, paragraph
from datavol.study.report.screen.terminal import screen_lines

HEADS = {
    "answered": "Answer",
    "out of reach": "No run on these data can tell",
    "cannot be told": "This cannot be told",
    "open": "Not finished",
}
GRID = 18  # runs: six fractions, three seeds


def ending_lines(outcome: Outcome, rule: Rule, set_up: SetUp, width: int = 80) -> Iterator[str]:
    """Write how a question ended, in lines of at most `width` letters.

    Where three sizes were measured the study's first screen follows.
    """
    look = outcome.look
    yield "=" * width
    yield from paragraph(rule.text, width)
    yield ""
    yield from paragraph(f"{HEADS[look.state]}: {look.sentence}.", width)
    yield ""
    for text in _trust(outcome, rule):
        yield from paragraph(text, width, "  ", "    ")
    if outcome.out_of_hours:
        spent = f"ask.hours={set_up.config.ask.hours:g} is spent; the same command with more hours goes on."
        yield from paragraph(spent, width, "  ", "    ")
    for remedy, command_of_it in look.remedies:
        yield ""
        yield from paragraph(f"What to do: {remedy}{':' if command_of_it else '.'}", width)
        yield from command_lines(command_of_it, width) if command_of_it else ()
    for what, command in _next(outcome, rule, set_up):
        yield ""
        yield from paragraph(f"{what}:", width)
        yield from command_lines(command, width)
    study = study_of(set_up)
    if study is not None and not isinstance(rule, Enough) and study.runs["fraction"].nunique() > 2:
        yield "=" * width
        asked = set_up.config.ask
        yield from screen_lines(first_screen(study, delta=asked.delta, target=asked.target, level=asked.level), width)


def _trust(outcome: Outcome, rule: Rule) -> Iterator[str]:
    look = outcome.look
    if look.probability is not None and look.threshold is not None and look.state == "answered":
        sure = look.probability if look.says != "not enough" else 1 - look.probability
        yield (
            f"Certainty: {chance(sure)}. Of answers like this at most {level_text(round(1 - rule.level, 6))} may be "
            f"wrong, which takes {100 * look.threshold:.1f} % here."
        )
    if look.basis:
        yield f"How: {look.basis}."
    runs = f"{outcome.runs} runs" if outcome.runs != 1 else "1 run"
    share = outcome.full_runs / GRID
    cost = f"Cost: {runs}, {duration(3600 * outcome.hours)} of training and evaluation"
    yield (
        f"{cost}; a grid of {GRID} runs would have taken {1 / share:.0f} times as much." if share < 0.5 else f"{cost}."
    )


def _next(outcome: Outcome, rule: Rule, set_up: SetUp) -> Iterator[tuple[str, str]]:
    """Name what to ask next, as commands that can be typed."""
    look = outcome.look
    if isinstance(rule, Enough):
        if look.says in ("enough", "either"):
            yield "Is half of that enough, too", _ask(set_up, enough=rule.fraction / 2)
        elif look.says == "not enough" and rule.fraction <= 0.5:
            yield (
                "Is twice as much enough",
                _ask(set_up, enough=2 * rule.fraction) if rule.fraction < 0.5 else _ask(set_up, enough=0.75),
            )
        if look.says == "not enough":
            yield "Would more than all of it help", _ask(set_up)
        if look.state == "cannot be told":
            yield "To allow twice the gap", _ask(set_up, enough=rule.fraction, delta=2 * rule.delta)
    elif isinstance(rule, MoreData) and look.state != "open":
        yield "To ask how many images an accuracy takes, here 90 %", _ask(set_up, target=0.9)
    report = ["python -m datavol.report", shlex.quote(str(set_up.study))]
    if set_up.config.ask.target is not None:
        report.append(f"--target {100 * set_up.config.ask.target:g}")
    if study_of(set_up) is not None:
        yield "The page with figures and tables", " ".join(report)


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
