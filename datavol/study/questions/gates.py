"""Finds what weakens or refuses a verdict on a learning curve.

Each gate is a reason that somebody outside the field can read, with a remedy. Gates that refuse keep the questions that
rest on the whole curve from an answer; gates that weaken are said beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10

import pandas as pd

from datavol.cli.text import per_cent, points
from datavol.errors import InsufficientData
from datavol.runs.columns import COLUMNS
from datavol.study.audit.findings import Finding, list_fractions
from datavol.study.curves.learning_curve import REACH
from datavol.study.questions.chance import largest_of, p_of_guessing, rise_at_the_end, shown_difference
from datavol.study.questions.curve_runs import RANKS, SEEDS, Column, CurveRuns
from datavol.study.questions.remedies import longer_command, report_command, round_up, train_command

FAR = 6.5
"""How many times the asked difference test images may show at least. So it is with one point and 200 images, the fewest
on which `benchmarks/` checks probabilities of "enough" on real curves. Beyond, a verdict is refused, unless the two
largest fractions differ by more than that anyway."""
NEAR = 0.85
"""Share of the error of guessing above which verdicts are refused: between it and 0.9 intervals held the truth in 69 to
79 % on the curves of `benchmarks/`, which take off from there, below it in 92 to 100 %."""
STEEP = 5.0
"""From so many asked differences on, a rise at the end says that accuracies tell more of the time than of the data."""
WIDEST = 0.2  # a larger difference is not proposed to ask about
COMPARED = frozenset(column.name for column in COLUMNS if column.audit)  # findings by these names compare runs


@dataclass(frozen=True)
class Gate:
    """Stores a reason to weaken or to refuse a verdict.

    Attributes:
        name: In a word: `guessing`, `test_set`, `one_seed`, `full_set`, `fractions`, `worse`, `settled`, `audit`;
            `no_run`, `metric` and `baseline` where there is nothing to judge yet; `target`, `searched`, `one_run` and
            `seconds` of single questions.
        why: The reason, in a sentence.
        remedy: What to do.
        refuses: Whether it refuses the verdict, instead of weakening it.
        command: What to type, or None where no command does it.
    """

    name: str
    why: str
    remedy: str
    refuses: bool
    command: str | None = None

    def __str__(self) -> str:
        return f"{self.why} ({self.remedy})"


class Refused(InsufficientData):
    """Reports a question that a gate of its own refuses."""

    def __init__(self, *gates: Gate) -> None:
        super().__init__(f"cannot say: {'; '.join(map(str, gates))}")
        self.gates = gates


def find_gates(
    curve: CurveRuns, epochs: pd.DataFrame, findings: Sequence[Finding], *, delta: float = 0.01, level: float = 0.95
) -> tuple[Gate, ...]:
    """Find a curve's gates, those that refuse first.

    Args:
        curve: The curve.
        epochs: `Study.epochs`.
        findings: Those of the study's audit.
        delta: The asked difference of accuracies, a share.
        level: Of the tests.
    """
    if curve.runs.empty:
        return (Gate("no_run", "no run has finished", "wait, or type its command again", refuses=True),)
    gates = [*_basis(curve)]
    if not gates:  # else there are no accuracies to compare
        gates += [*_guessing(curve, level), *_test_set(curve, delta, level), *_fractions(curve), *_full_set(curve)]
        gates += [*_worse(curve, delta, level), *_settled(curve, epochs, delta, level), *_one_seed(curve)]
    gates += _audit(curve, findings)
    if not any(gate.refuses for gate in gates):
        gates += _too_near_guessing(curve, level)
    return tuple(sorted(gates, key=lambda gate: not gate.refuses))


def _basis(curve: CurveRuns) -> Iterator[Gate]:
    if curve.runs[["error", "best_error"]].isna().any(axis=None):
        yield Gate("metric", f"not every run recorded {curve.metric}", "ask of top1", refuses=True)
        return
    try:
        _ = curve.chance_error
    except InsufficientData as no:
        why, _, remedy = str(no).removeprefix("cannot say: ").partition("; ")
        yield Gate("baseline", why, remedy, refuses=True)


def _guessing(curve: CurveRuns, level: float) -> Iterator[Gate]:
    if p_of_guessing(curve) > 1 - level:
        yield _near_guessing(curve, "that is not clearly better than guessing")


def _too_near_guessing(curve: CurveRuns, level: float) -> Iterator[Gate]:
    """Refuse what the estimator does, whose forecasts hold away from guessing alone."""
    columns: tuple[Column, ...] = ("error", "best_error")
    near = largest_of(curve)["error"].mean() > NEAR * curve.chance_error
    try:
        for column in columns:
            curve.fit(level, column)
    except InsufficientData:
        near = True
    if near:
        yield _near_guessing(curve, "so near guessing no forecast is known to hold")


def _near_guessing(curve: CurveRuns, judged: str) -> Gate:
    largest, rank, images = largest_of(curve), RANKS[curve.metric], curve.test_images
    fraction, accuracy = float(largest["fraction"].iloc[0]), 1 - float(largest["error"].mean())
    if curve.points:
        value, guessed = (curve.measure.written(one) for one in (accuracy, 1 - curve.chance_error))
        size, name = largest["images"].iloc[0], curve.measure.name
        why = f"with {size:,} images the {name} is {value}, and guessing gives {guessed}"
        remedy = "train on more of the data" if fraction < 1 else "check labels and training, and what guessing gives"
        return Gate("guessing", f"{why}: {judged}", remedy, refuses=True)
    guess = "the commonest class" if rank == 1 else f"the {rank} commonest classes"
    why = (
        f"with {per_cent(fraction)} of the data the network is right on {per_cent(accuracy)} of the "
        f"{'' if images is None else f'{images:,} '}test images, and always naming {guess} is right on "
        f"{per_cent(1 - curve.chance_error)}: {judged}"
    )
    if fraction < 1:
        return Gate("guessing", why, "train on more of the data", True, train_command(curve.runs, fraction=[1.0]))
    return Gate("guessing", why, "check labels and recipe, and train longer", True, longer_command(curve.runs))


def _test_set(curve: CurveRuns, delta: float, level: float) -> Iterator[Gate]:
    if (images := curve.test_images) is None:
        why = "how many test images there are is not known, so nothing tells a difference from chance"
        remedy = "load the study's folder, whose records have the number, or give it"
        if curve.measure.counted:
            yield Gate("test_set", why, "give it with --test-size" if curve.points else remedy, refuses=False)
        return
    one, shown = 1 / images, shown_difference(curve, level)
    if below_one := delta < one * (1 - 1e-9):
        why = f"one of your {images:,} test images is {points(one)}, and you ask about {points(delta)}"
    elif shown > delta:
        why = (
            f"on {images:,} test images{_of_groups(curve)} two {_sizes(curve)} have to differ by "
            f"{points(round_up(shown))} before it is more than chance, and you ask about {points(delta)}"
        )
    else:
        return
    ask = round_up(max(shown, one))
    # The difference that is shown falls with the root of the number of images
    enough = max(1 / delta, images * (shown / delta) ** 2)
    there = images + curve.full_size
    remedy = f"use about {_about(enough)} test images"
    if enough > there and not curve.points:
        remedy = f"use more test images, as data.folds=5 does with all {there:,}"
    remedy += f" of about {_about(enough * curve.grouped.groups / images)} groups" if curve.grouped else ""
    hidden = shown > FAR * delta and _last_gain(curve) < shown + delta
    refuses, command = hidden or below_one, None
    if ask <= WIDEST:
        remedy += f", or ask about {points(ask)}" + (" with --delta" if curve.points else "")
        command = report_command(curve.runs, ask)
    yield Gate("test_set", why, remedy, refuses, command)


def _of_groups(curve: CurveRuns) -> str:
    return f" of {curve.grouped.groups:,} groups" if curve.grouped else ""


def _sizes(curve: CurveRuns) -> str:
    return "sizes" if curve.points else "fractions"


def _last_gain(curve: CurveRuns) -> float:
    """Compute how far apart the two largest fractions are; 0 for one."""
    errors = curve.runs.groupby("images")["error"].mean().to_numpy()[-2:]
    return float(abs(errors[0] - errors[-1]))


def _about(number: float) -> str:
    """Round a number up to two digits."""
    unit = 10 ** max(0, int(log10(number)) - 1)
    return f"{unit * ceil(number / unit):,}"


def _fractions(curve: CurveRuns) -> Iterator[Gate]:
    fractions = curve.runs["fraction"].unique().tolist()
    if (count := min(len(fractions), curve.runs["images"].nunique())) < 3:
        there = "is 1" if count == 1 else f"are {count}"
        found = f" ({list_fractions(fractions)})"
        if curve.points:
            found = f": {' and '.join(f'{size:,}' for size in sorted(curve.runs['images'].unique()))} images"
        why = f"a curve takes three measured {_sizes(curve)}, there {there}{found}"
        more = train_command(curve.runs, fraction=sorted({*fractions, 0.25, 0.5, 1.0}))
        yield Gate("fractions", why, "train on more of them", True, more)


def _full_set(curve: CurveRuns) -> Iterator[Gate]:
    if (largest := float(curve.runs["fraction"].max())) >= 1:
        return
    beyond = 1 / largest > REACH * (1 + 1e-9)
    why = f"not more than {per_cent(largest)} of the data was trained on, so what all of it gives is a forecast"
    if beyond:
        why = (
            f"all of the data is {1 / largest:.3g} times the most that was trained on ({per_cent(largest)}), and "
            f"nothing validates forecasts beyond {REACH:g} times"
        )
    whole = train_command(curve.runs, fraction=[1.0])
    yield Gate("full_set", why, "train on all of it" + ("" if curve.points else ", fraction=1"), beyond, whole)


def _worse(curve: CurveRuns, delta: float, level: float) -> Iterator[Gate]:
    errors = curve.runs.groupby("images")["error"].mean()
    if errors.iloc[-1] - errors.iloc[0] <= max(delta, shown_difference(curve, level)):
        return
    first, last = (f"{curve.measure.written(1 - errors[n])} with {n:,} images" for n in errors.index[[0, -1]])
    why = f"more data made it worse: the {curve.measure.name} is {first} and {last}, so small sizes count as enough"
    remedy = "look for wrong labels, and for training that had not settled"
    if curve.points:
        other = "higher" if curve.measure.lower else "lower"
        remedy = f"look for wrong values; if {other} is better, name another metric"
    yield Gate("worse", why, remedy, refuses=False)


def _one_seed(curve: CurveRuns) -> Iterator[Gate]:
    if not curve.runs.drop_duplicates(["fraction", *SEEDS]).duplicated("fraction").any():
        once = "no size was measured twice" if curve.points else "no fraction was trained with a second seed"
        why = f"{once}, so how much runs differ by chance was not measured"
        remedy = "repeat a size or two with other seeds" if curve.points else "train with seed=0,1,2"
        yield Gate("one_seed", why, remedy, False, train_command(curve.runs, seed=[0, 1, 2]))


def _settled(curve: CurveRuns, epochs: pd.DataFrame, delta: float, level: float) -> Iterator[Gate]:
    # Two evaluations of one run differ by chance no more than two runs do
    clear = max(delta, shown_difference(curve, level))
    rises = rise_at_the_end(curve, epochs)
    falls = (curve.runs["error"] - curve.runs["best_error"]).groupby(curve.runs["fraction"]).mean()
    if len(rises) and rises.max() > clear:
        why = (
            f"accuracy still rose by {points(rises.max())} in the last quarter of training, at "
            f"{per_cent(_where(rises))} of the data: trained longer, fractions may compare otherwise"
        )
        steep = bool(rises.max() > STEEP * clear)
        yield Gate("settled", why, "train longer", steep, longer_command(curve.runs))
    elif falls.max() > clear:
        why = (
            f"training ended {points(falls.max())} below its best evaluation, at {per_cent(_where(falls))} of "
            "the data: trained otherwise, fractions may compare otherwise"
        )
        yield Gate("settled", why, "lower recipe.optimiser.lr, or train shorter", refuses=False)


def _where(by_fraction: pd.Series) -> float:
    """Find the fraction with the largest value."""
    return float(by_fraction.index.to_numpy(float)[by_fraction.to_numpy().argmax()])


def _audit(curve: CurveRuns, findings: Sequence[Finding]) -> Iterator[Gate]:
    for finding in findings:
        # The audit takes draws for one curve, so that what differs between them may be alike along this one
        alike = finding.name in COMPARED and curve.runs[finding.name].nunique(dropna=False) == 1
        if finding.severity == "major" and not alike and curve.runs["run"].isin(finding.runs).any():
            why = f"the audit found runs that are not comparable: {finding.what}"
            yield Gate("audit", why, finding.remedy, refuses=True)
