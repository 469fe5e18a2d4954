"""Answers how much data is enough, and what more would buy.

for answer in answers(load_study("studies/mine"), target=0.9):
    print(answer)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal, Protocol

from datavol.cli.text import points
from datavol.errors import ConfigError, InsufficientData, flat
from datavol.study.audit.comparability import audit
from datavol.study.audit.findings import Finding
from datavol.study.curves.checks import check_share
from datavol.study.curves.forecasts import check_miss
from datavol.study.load.labels import DRAWN
from datavol.study.load.study import Study
from datavol.study.questions.curve_runs import CurveRuns, Metric, curves_of_study
from datavol.study.questions.doubling import Doubling, doubling
from datavol.study.questions.gates import Gate, Refused, find_gates
from datavol.study.questions.groups_or_images import counterpart, groups_or_images
from datavol.study.questions.label_errors import label_errors
from datavol.study.questions.next_run import ASKED, Asked, next_run
from datavol.study.questions.saturation import saturation
from datavol.study.questions.starved_classes import classes_that_gain
from datavol.study.questions.target import images_for_target
from datavol.study.questions.variance import SeedsNeeded, seeds_needed, variance

State = Literal["answered", "cannot say", "failed"]


@dataclass(frozen=True)
class Answer:
    """Stores the answer to one question about one learning curve.

    Attributes:
        curve: Name of the learning curve.
        question: In words.
        answer: A sentence; where the state is `cannot say`, why not and what would help; where `failed`, the error.
        reason: How the answer was derived.
        runs: The runs that it rests on, and those left out, in words.
        numbers: The numbers of the sentence, accuracies and fractions as shares; None beyond what was searched.
        state: `answered`, `cannot say`, or `failed`: by an error, which the other questions survive.
        result: The object that the sentence is made from, such as a `Saturation`; None unless the state is `answered`.
        gates: What weakens or refuses it; empty for questions that do not rest on the whole curve.
    """

    curve: str
    question: str
    answer: str
    reason: str
    runs: str
    numbers: Mapping[str, float | None]
    state: State
    result: object
    gates: tuple[Gate, ...] = ()

    def __str__(self) -> str:
        because = "; ".join(text for text in (self.reason, self.runs) if text)
        return f"{self.curve}: {self.question} {_sentence(self.answer)} {_sentence(because)}"


class _Result(Protocol):
    """Defines results of questions; their `str` is a sentence."""

    @property
    def reason(self) -> str: ...

    @property
    def numbers(self) -> dict[str, float | None]: ...


@dataclass(frozen=True)
class _Question:
    """Stores a question and the function that answers it."""

    text: str
    ask: Callable[[], _Result]
    gated: bool = False  # it rests on the whole curve, so that its gates hold
    within_reach: bool = False  # it asks about sizes within reach of a forecast only, the full set among them or not


def answers(
    study: Study,
    *,
    delta: float = 0.01,
    target: float | None = None,
    miss: float | None = None,
    metric: Metric = "top1",
    level: float = 0.95,
    findings: Sequence[Finding] | None = None,
) -> list[Answer]:
    """Answer every question about every learning curve of a study.

    Only finished runs count, by their last evaluation. A question that the data do not allow, or that a gate refuses,
    is an answer as well, with the state `cannot say`.

    Args:
        study: Any number of networks, recipes and data sets.
        delta: Negligible difference of accuracies: up to it a fraction is enough, from it on seeds should detect it.
        target: An accuracy to reach (of a study of points, a value), a share; None asks nothing about it.
        miss: What missing the target costs, in images' worth of labelling; asks which number of images costs least.
        metric: `top1` or `top5`.
        level: Of intervals and tests.
        findings: Those of the study's audit, where it was made already.

    Raises:
        ConfigError: If an argument is out of range.
    """
    for name, value in (("delta", delta), ("target", target), ("level", level)):
        if value is not None:
            check_share(name, value)
    if miss is not None:
        check_miss(miss)
        if target is None:
            raise ConfigError(f"miss must come with a target, got {miss:g} alone; give target=0.9 for 90 %")
    if target is not None:
        target = study.measure.value(target)  # as an accuracy, which a metric that is better when lower is not
    curves = curves_of_study(study, metric)
    if findings is None:
        findings = () if study.points else audit(study)  # points have no records to compare
    gates_of = {
        curve.name: cache(partial(find_gates, curve, study.epochs, findings, delta=delta, level=level))
        for curve in curves
    }
    said = []
    for curve in curves:
        gates = gates_of[curve.name]
        said += [_answer(curve, question, gates) for question in _questions(curve, gates, delta, target, miss, level)]
        if curve.runs["drawn_groups"].notna().any():
            said += [*_of_groups(curve, curves, gates_of, level)]
    return said


def _of_groups(
    curve: CurveRuns, curves: Sequence[CurveRuns], gates_of: Mapping[str, Callable[[], tuple[Gate, ...]]], level: float
) -> Iterator[Answer]:
    """Ask, of two curves at once, whether groups or images buy more.

    The answer is given once: with the curve of whole groups, if both are there.
    """
    other = counterpart(curve, curves)
    if other is not None and curve.runs["draw_by"].iloc[0] != "groups":
        return
    text = "More groups, or more images of each?"
    question = _Question(text, lambda: groups_or_images(curve, other, level), gated=True)
    both = [one for one in (curve, other) if one is not None]

    def gates() -> tuple[Gate, ...]:
        # Gates compare by what they say: those of one reason count once
        return tuple(dict.fromkeys(gate for one in both for gate in gates_of[one.name]()))

    runs = "; ".join(f"{DRAWN[one.runs['draw_by'].iloc[0]]} {one.provenance}" for one in both)
    yield replace(_answer(curve, question, gates), runs=runs)


def _questions(
    curve: CurveRuns,
    gates: Callable[[], tuple[Gate, ...]],
    delta: float,
    target: float | None,
    miss: float | None,
    level: float,
) -> Iterator[_Question]:
    enough = f"How much data is enough, to {points(delta)}?"
    yield _Question(enough, lambda: saturation(curve, delta, level), gated=True)
    yield _Question("What would twice the data buy?", lambda: doubling(curve, level), gated=True)
    if target is not None:
        reached = f"How many images does {curve.measure.of(target)} take?"
        yield _Question(reached, lambda: images_for_target(curve, target, level, miss), gated=True, within_reach=True)
    seeds = f"How many seeds tell a difference of {points(delta)}?"
    if curve.points:
        yield _Question(seeds, lambda: _seeds_of_points(curve, delta, level))
        return
    yield _Question("Which classes are starved of data?", lambda: classes_that_gain(curve, level))
    yield _Question(seeds, lambda: seeds_needed(curve, delta, level))
    yield _Question("Do runs differ by their subset or by their training seed?", lambda: variance(curve, level))
    asked: tuple[Asked, ...] = ("full", "saturation") if target is None else ("full", "saturation", "target")
    for which in asked:
        best = partial(next_run, curve, which, delta=delta, target=target, level=level)  # keeps this `which`
        text = f"Which run would next tell most of {ASKED[which]}?"
        yield _Question(text, best, gated=True, within_reach=which == "target")
    clean = "Should labels be cleaned before more are bought?"
    yield _Question(clean, lambda: label_errors(curve, partial(_forecast, curve, gates, level), level))


def _forecast(curve: CurveRuns, gates: Callable[[], tuple[Gate, ...]], level: float) -> Doubling | None:
    """Forecast what twice the data buys, if gates and data allow.

    None where they do not.
    """
    try:
        return None if any(gate.refuses for gate in gates()) else doubling(curve, level)
    except InsufficientData:
        return None


def _seeds_of_points(curve: CurveRuns, delta: float, level: float) -> SeedsNeeded:
    if not curve.runs["images"].duplicated().any():
        raise InsufficientData("cannot say how much runs differ: no size was measured twice; add repeats of one")
    return replace(seeds_needed(curve, delta, level), between="two sizes or curves")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."  # `capitalize` would write names in lower case


def _answer(curve: CurveRuns, question: _Question, gates_of_curve: Callable[[], tuple[Gate, ...]]) -> Answer:
    gates: tuple[Gate, ...] = ()
    rests_on = "; ".join(text for text in (curve.provenance, curve.help if question.gated else "") if text)
    try:
        gates = gates_of_curve() if question.gated else ()
        # Images for a target are searched within reach of a forecast, whether the full set lies there or not
        refusing = [gate for gate in gates if gate.refuses and not (question.within_reach and gate.name == "full_set")]
        if curve.runs.empty:
            raise InsufficientData("cannot say: no run has finished; wait, or type its command again")
        if refusing:
            raise Refused(*refusing)
        result = question.ask()
        sentence, reason, numbers = str(result), result.reason, result.numbers
    except InsufficientData as no:
        own = [gate for gate in no.gates if gate not in gates] if isinstance(no, Refused) else []
        return Answer(curve.name, question.text, str(no), "", rests_on, {}, "cannot say", None, (*own, *gates))
    except Exception as error:  # of this question alone: the report and the audit say so, and the others are answered
        what = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {flat(error)}"
        failed = f"this question failed, and is left out ({what})"
        return Answer(curve.name, question.text, failed, "", rests_on, {}, "failed", None, gates)
    return Answer(curve.name, question.text, sentence, reason, rests_on, numbers, "answered", result, gates)
