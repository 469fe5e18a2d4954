"""What a study answers: how much data is enough, what more would buy, and how sure that is.

for answer in answers(load_study("studies/mine"), target=0.9):
    print(answer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from datavol.cli.text import per_cent, points
from datavol.errors import ConfigError, InsufficientData
from datavol.study.load.study import Study
from datavol.study.questions.curve_runs import CurveRuns, Metric, curves_of_study
from datavol.study.questions.doubling import doubling
from datavol.study.questions.next_run import ASKED, Asked, next_run
from datavol.study.questions.per_class import classes_that_gain
from datavol.study.questions.saturation import saturation
from datavol.study.questions.target import images_for_target
from datavol.study.questions.variance import seeds_needed, variance

State = Literal["answered", "cannot say"]


@dataclass(frozen=True)
class Answer:
    """One question to one learning curve; `str` of it is a few words of whose and the answer.

    Attributes:
        curve: Whose learning curve, in words.
        question: In words.
        answer: A sentence; where the state is `cannot say`, why not and what would help.
        reason: How the answer came about.
        runs: The runs that it rests on, and those left out, in words.
        numbers: What the sentence says as numbers, accuracies and fractions as shares; None beyond what was searched.
        state: `answered`, or `cannot say`.
        found: The result that the sentence is made from, such as a `Saturation`; None where the state is `cannot say`.
    """

    curve: str
    question: str
    answer: str
    reason: str
    runs: str
    numbers: Mapping[str, float | None]
    state: State
    found: object

    def __str__(self) -> str:
        because = "; ".join(text for text in (self.reason, self.runs) if text)
        return f"{self.curve}: {self.question} {_sentence(self.answer)} {_sentence(because)}"


class _Found(Protocol):
    """What every question's result has, beside a sentence as its `str`."""

    @property
    def reason(self) -> str: ...

    @property
    def numbers(self) -> dict[str, float | None]: ...


def answers(
    study: Study,
    *,
    delta: float = 0.01,
    target: float | None = None,
    metric: Metric = "top1",
    level: float = 0.95,
) -> list[Answer]:
    """Everything that a study answers, curve by curve.

    Only finished runs count, by their last evaluation; whether they are comparable at all is what the audit says. What
    the data do not allow is an answer as well, with the state `cannot say`.

    Args:
        study: What was trained; any number of networks, recipes and data sets.
        delta: What is negligible: the difference of accuracies that still counts as enough, and that seeds should tell.
        target: An accuracy to reach, a share; None asks nothing about it.
        metric: `top1` or `top5`.
        level: Of intervals and tests.

    Raises:
        ConfigError: If an argument is out of range.
    """
    if not 0 < delta < 1:
        raise ConfigError(f"delta must be a share between 0 and 1, got {delta:g}; 0.01 for one point")
    if target is not None and not 0 < target < 1:
        raise ConfigError(f"target must be an accuracy between 0 and 1, got {target:g}; give a share, 0.9 for 90 %")
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, got {level:g}; 0.95 for 95 %")
    curves = curves_of_study(study, metric)
    return [
        _asked(curve, question, ask) for curve in curves for question, ask in _questions(curve, delta, target, level)
    ]


def _questions(
    measured: CurveRuns, delta: float, target: float | None, level: float
) -> Iterator[tuple[str, Callable[[], _Found]]]:
    yield f"How much data is enough, to {points(delta)}?", lambda: saturation(measured, delta, level)
    yield "What would twice the data buy?", lambda: doubling(measured, level)
    if target is not None:
        reached = f"How many images does an accuracy of {per_cent(target)} take?"
        yield reached, lambda: images_for_target(measured, target, level)
    yield "Which classes are starved of data?", lambda: classes_that_gain(measured, level)
    yield f"How many seeds tell a difference of {points(delta)}?", lambda: seeds_needed(measured, delta, level)
    yield "Do runs differ by their subset or by their training seed?", lambda: variance(measured, level)
    asked: tuple[Asked, ...] = ("full", "saturation") if target is None else ("full", "saturation", "target")
    for which in asked:
        yield f"Which run would next tell most of {ASKED[which]}?", _next(measured, which, delta, target, level)


def _next(measured: CurveRuns, which: Asked, delta: float, target: float | None, level: float) -> Callable[[], _Found]:
    return lambda: next_run(measured, which, delta=delta, target=target, level=level)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _asked(measured: CurveRuns, question: str, ask: Callable[[], _Found]) -> Answer:
    try:
        if measured.runs.empty:
            raise InsufficientData("cannot say: no run has finished; wait, or type its command again")
        found = ask()
    except InsufficientData as no:
        return Answer(measured.whose, question, str(no), "", measured.provenance, {}, "cannot say", None)
    reason, numbers = found.reason, found.numbers
    return Answer(measured.whose, question, str(found), reason, measured.provenance, numbers, "answered", found)
