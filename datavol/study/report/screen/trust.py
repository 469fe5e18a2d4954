"""Judges what the verdict of a first screen rests on."""

from collections.abc import Iterator, Sequence

import pandas as pd

from datavol.cli.text import per_cent
from datavol.errors import InsufficientData
from datavol.study.audit.findings import Finding
from datavol.study.load.study import STATES
from datavol.study.questions.answers import Answer
from datavol.study.questions.chance import largest_of, shown_difference
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.gates import Gate
from datavol.study.questions.variance import SeedsNeeded
from datavol.study.report.screen.contents import Mark, Trust
from datavol.study.report.screen.rounding import points
from datavol.study.report.screen.rows import result_of

ELSEWHERE = {"test_set", "guessing", "one_seed", "audit"}
"""Gates that the four lines tell which are always there."""
LONG = 120  # letters of a finding, of which more would be no half sentence: the page has the whole
NAMES = {"settled": "training", "worse": "direction", "fractions": "sizes", "full_set": "sizes"}


def trust(
    curve: CurveRuns,
    answered: Sequence[Answer],
    gates: Sequence[Gate],
    findings: Sequence[Finding],
    delta: float,
    level: float,
) -> Iterator[Trust]:
    """Judge test set, guessing, seeds and audit, and what else gates tell."""
    by_name = {gate.name: gate for gate in gates}
    yield Trust("test images", _mark(by_name.get("test_set")), _test_images(curve, delta, level))
    yield Trust("guessing", _mark(by_name.get("guessing")), _guessing(curve, by_name.get("guessing")))
    yield Trust("seeds", _mark(by_name.get("one_seed")), _seeds(curve, answered, by_name.get("one_seed"), delta))
    yield _audit(curve, findings, by_name.get("audit"))
    for gate in gates:
        if gate.name not in ELSEWHERE:
            yield Trust(NAMES.get(gate.name, "records"), _mark(gate), _shortened(gate))


def _mark(gate: Gate | None) -> Mark:
    return "ok" if gate is None else "refused" if gate.refuses else "weak"


def _test_images(curve: CurveRuns, delta: float, level: float) -> str:
    if (images := curve.test_images) is None:
        return "their number is not known" if curve.measure.counted else "not counted: no share of test images"
    shown = points(max(shown_difference(curve, level), 1 / images))
    groups = f" of {curve.grouped.groups:,} groups" if curve.grouped else ""
    return f"{images:,}{groups} show differences of {shown} or more; you ask about {points(delta)}"


def _guessing(curve: CurveRuns, gate: Gate | None) -> str:
    try:
        guess = curve.measure.value(1 - curve.chance_error)
    except InsufficientData as no:
        return str(no).removeprefix("cannot say: ").partition(";")[0]
    if gate is None:
        return f"the network clearly does better than guessing, which gives {per_cent(guess)}"
    value = curve.measure.value(1 - float(largest_of(curve)["error"].mean()))
    return f"{per_cent(value)} with {int(curve.largest):,} images, where guessing gives {per_cent(guess)}"


def _seeds(curve: CurveRuns, answered: Sequence[Answer], gate: Gate | None, delta: float) -> str:
    if gate is not None:
        once = "no size was measured twice" if curve.points else "one seed of each size"
        return f"{once}, so luck was not measured"
    counts = curve.runs["fraction"].value_counts()
    low, high = int(counts.min()), int(counts.max())
    many = f"{low}" if low == high else f"{low} to {high}"
    needed = result_of(answered, SeedsNeeded)
    if needed is None:
        return f"{many} of each size"
    return f"{many} of each size; by luck runs differ by {points(needed.sd)}"


def _audit(curve: CurveRuns, findings: Sequence[Finding], gate: Gate | None) -> Trust:
    if curve.points:
        return Trust("audit", "weak", "not possible: numbers alone do not tell how they came about")
    if gate is not None:
        return Trust("audit", "refused", gate.why.removeprefix("the audit found runs that are not comparable: "))
    names = set(curve.runs["run"])
    minor = [one for one in findings if one.severity == "minor" and names & set(one.runs)]
    if minor:
        more = f", and {len(minor) - 1} more" if len(minor) > 1 else ""
        what = minor[0].what if len(minor[0].what) <= LONG else minor[0].what.partition(": ")[0]
        return Trust("audit", "weak", f"{what}{more}")
    return Trust("audit", "ok", "nothing makes the runs not comparable")


def _shortened(gate: Gate) -> str:
    return gate.why.partition(": trained ")[0]


def unused(runs: pd.DataFrame) -> str:
    """Say which runs nothing rests on; empty where there are none."""
    counts = runs.loc[runs["state"] != "finished", "state"].value_counts()
    return ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
