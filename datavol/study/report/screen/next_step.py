"""Chooses what to type next."""

from collections.abc import Iterator, Sequence

from datavol.study.questions.answers import Answer
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.gates import Gate
from datavol.study.questions.next_run import NextRun
from datavol.study.questions.remedies import train_command
from datavol.study.questions.run_time import hours_of_command, seconds_of_run
from datavol.study.report.screen.contents import Classes, NextStep, Reason
from datavol.study.report.screen.rows import result_of
from datavol.study.report.screen.sentences import chance_of_gain

FIRST = ("settled", "one_seed", "fractions", "full_set", "worse", "test_set")
"""Gates that weaken, by what is best mended first."""
LIKELY, UNLIKELY = 0.8, 0.1
"""Probabilities that more images help: from which on they are proposed, up to which none need be labelled."""


def reasons(curve: CurveRuns, gates: Sequence[Gate]) -> Iterator[Reason]:
    """Say why a verdict is refused, and what to do."""
    for gate in gates:
        if gate.refuses:
            yield Reason(gate.why, gate.remedy, gate.command, _hours(curve, gate.command))


def next_step(
    curve: CurveRuns,
    answered: Sequence[Answer],
    gates: Sequence[Gate],
    delta: float,
    classes: Classes | None,
    again: str | None,
) -> NextStep | None:
    """Choose the step that mends or buys most; None where nothing is known to help.

    Args:
        curve: The curve.
        answered: Its answers.
        gates: Its gates.
        delta: The difference that counts, a share.
        classes: Those to label first.
        again: The command that was typed to report, for what is mended by hand.
    """
    twice = result_of(answered, Doubling)
    if (mend := _mended(curve, gates, twice, delta, again)) is not None:
        return mend
    likely = None if twice is None else chance_of_gain(twice, delta)
    if likely is not None and likely >= LIKELY and not curve.points:
        return _more_images(curve, classes)
    first = "nothing has to be labelled; " if likely is not None and likely < UNLIKELY else ""
    return _surer(curve, answered, first)


def _mended(
    curve: CurveRuns, gates: Sequence[Gate], twice: Doubling | None, delta: float, again: str | None
) -> NextStep | None:
    """Choose the gate to mend: one that refuses, or the first that matters."""
    # Where more images surely help by what counts, test images showed what they had to
    shown = {"test_set"} if twice is not None and twice.low >= delta else set()
    open_gates = [gate for gate in gates if gate.name not in shown]
    order = {name: place for place, name in enumerate(FIRST)}
    for gate in sorted(open_gates, key=lambda gate: (not gate.refuses, order.get(gate.name, -1))):
        if gate.command:
            return NextStep(gate.remedy, gate.command, _hours(curve, gate.command))
        if again:
            return NextStep(f"{gate.remedy}; put what it gives beside the rest, and type again", again, None)
    return NextStep(open_gates[0].remedy, None, None) if open_gates else None


def _more_images(curve: CurveRuns, classes: Classes | None) -> NextStep:
    """Propose to label, and to train on more as another study."""
    named = " and ".join(one.name for one in classes.first[:2]) if classes else ""
    what = f"label more images{f', first of {named}' if named else ''}; once they are beside the others, train on all"
    command = train_command(curve.runs, study=[f"{curve.runs['study'].iloc[0]}_more"])
    seconds = [seconds_of_run(curve.runs, images) for images in curve.runs["images"]]
    known = [one for one in seconds if one is not None]
    return NextStep(what, command, sum(known) / 3600 if known and command else None)


def _surer(curve: CurveRuns, answered: Sequence[Answer], first: str) -> NextStep | None:
    """Propose the runs that tell most."""
    if (best := result_of(answered, NextRun)) is not None:
        command = train_command(curve.runs, fraction=[best.fraction], seed=[best.seed])
        what = f"{first}to be surer, train the one run that tells most"
        return NextStep(what, command, best.hours) if command else None
    single = (gate for answer in answered for gate in answer.gates if gate.name == "one_run" and gate.command)
    if (several := next(single, None)) is not None:
        what = f"{first}to be surer, {several.remedy}: no single run tells much more"
        return NextStep(what, several.command, _hours(curve, several.command))
    return NextStep(first.removesuffix("; "), None, None) if first else None


def _hours(curve: CurveRuns, command: str | None) -> float | None:
    return None if command is None else hours_of_command(command, curve.runs, curve.full_size)
