"""Chooses what to type next."""

from collections.abc import Iterator, Sequence

from datavol.study.questions.answers import Answer
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.gates import Gate
from datavol.study.questions.next_run import NextRun
from datavol.study.questions.remedies import train_command
from datavol.study.questions.run_time import hours_of_command
from datavol.study.report.screen.contents import NextStep, Reason
from datavol.study.report.screen.rows import result_of

FIRST = ("settled", "one_seed", "fractions", "full_set", "test_set", "worse")
"""Gates that weaken, by what is best mended first."""


def reasons(curve: CurveRuns, gates: Sequence[Gate]) -> Iterator[Reason]:
    """Say why a verdict is refused, and what to do."""
    for gate in gates:
        if gate.refuses:
            yield Reason(gate.why, gate.remedy, gate.command, _hours(curve, gate.command))


def next_step(
    curve: CurveRuns, answered: Sequence[Answer], gates: Sequence[Gate], again: str | None
) -> NextStep | None:
    """Choose the step that mends most; None where nothing is known to help.

    Args:
        curve: The curve.
        answered: Its answers.
        gates: Its gates.
        again: The command that was typed to report, for what is mended by hand.
    """
    ordered = sorted(gates, key=lambda gate: (not gate.refuses, FIRST.index(gate.name) if gate.name in FIRST else -1))
    for gate in ordered:
        if gate.command:
            return NextStep(gate.remedy.partition(", or")[0], gate.command, _hours(curve, gate.command))
    if ordered:
        return NextStep(ordered[0].remedy, again, None)
    if (best := result_of(answered, NextRun)) is not None:
        command = train_command(curve.runs, fraction=[best.fraction], seed=[best.seed])
        what = "to be surer, train the one run that tells most"
        return NextStep(what, command, best.hours) if command else None
    single = (gate for answer in answered for gate in answer.gates if gate.name == "one_run" and gate.command)
    if (several := next(single, None)) is not None:
        what = f"to be surer, {several.remedy}: no single run tells much more"
        return NextStep(what, several.command, _hours(curve, several.command))
    return None


def _hours(curve: CurveRuns, command: str | None) -> float | None:
    return None if command is None else hours_of_command(command, curve.runs, curve.full_size)
