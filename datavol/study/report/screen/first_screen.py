"""Makes the first screen of a study, on its best setup.

for line in screen_lines(first_screen(load_study("studies/mine")), 80):
    print(line)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from datavol.errors import ConfigError
from datavol.study.audit.comparability import audit
from datavol.study.audit.findings import Finding
from datavol.study.load.study import STATES, Study
from datavol.study.looks.asked import endings_of
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.chance import largest_of
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.run_time import seconds_of_run
from datavol.study.questions.saturation import Saturation
from datavol.study.questions.target import Target
from datavol.study.questions.verdict import Verdict, verdicts_of
from datavol.study.report.commands import commands_of
from datavol.study.report.screen import rows
from datavol.study.report.screen.chart_points import chart_points
from datavol.study.report.screen.classes import classes
from datavol.study.report.screen.contents import FirstScreen, NextStep, OtherSetup, Reason
from datavol.study.report.screen.label_cost import LabelCost
from datavol.study.report.screen.next_step import next_step, reasons
from datavol.study.report.screen.rounding import share
from datavol.study.report.screen.rows import result_of
from datavol.study.report.screen.sentences import headline, in_short, sentences
from datavol.study.report.screen.trust import trust, unused


def first_screen(
    study: Study,
    *,
    delta: float = 0.01,
    target: float | None = None,
    label_cost: LabelCost | None = None,
    level: float = 0.95,
    curve: str | None = None,
    answered: Sequence[Answer] | None = None,
    findings: Sequence[Finding] | None = None,
    again: str | None = None,
) -> FirstScreen:
    """Make the first screen of a study.

    Args:
        study: Any number of networks, recipes and data sets, or points of another trainer.
        delta: The difference that counts, a share.
        target: The value that is wanted, a share.
        label_cost: What a label costs.
        level: Of all intervals.
        curve: The name of the learning curve to begin with; by default that of the best setup.
        answered: What `answers` says with these arguments, where it was asked already.
        findings: Those of the study's audit, where it was made already.
        again: The command that was typed to report, for what is mended by hand.

    Raises:
        ConfigError: If an argument is out of range.
    """
    curves = {one.name: one for one in curves_of_study(study) if len(one.runs)}
    if not curves:
        return _nothing_finished(study, delta, level, label_cost)
    if curve is not None and curve not in curves:
        raise ConfigError(f"curve must be one of {', '.join(curves)}, got {curve!r}")
    if findings is None:
        findings = [] if study.points else audit(study)
    if answered is None:
        answered = answers(study, delta=delta, target=target, level=level, findings=findings)
    ranked = sorted(curves.values(), key=_accuracy, reverse=True)
    best = curves[curve] if curve is not None else ranked[0]
    verdicts = {verdict.curve: verdict for verdict in verdicts_of(answered)}
    return _screen(study, ranked, best, answered, verdicts, findings, (delta, level), label_cost, again)


def _accuracy(curve: CurveRuns) -> float:
    """Average the accuracy at a curve's largest size, by which setups are ranked."""
    return 1 - float(largest_of(curve)["error"].mean())


def _screen(
    study: Study,
    ranked: Sequence[CurveRuns],
    best: CurveRuns,
    answered: Sequence[Answer],
    verdicts: dict[str, Verdict],
    findings: Sequence[Finding],
    asked: tuple[float, float],
    label_cost: LabelCost | None,
    again: str | None,
) -> FirstScreen:
    (delta, level), verdict = asked, verdicts[best.name]
    own = [answer for answer in answered if answer.curve == best.name]
    enough, twice = result_of(own, Saturation), result_of(own, Doubling)
    wanted = rows.wanted(result_of(own, Target))
    learnt = not any(gate.name == "guessing" for gate in verdict.gates)  # else classes differ by chance alone
    named = classes(best, own, delta) if learnt and not best.points else None
    seconds = seconds_of_run(best.runs, best.full_size)
    place = f"the best of {len(ranked)} setups" if len(ranked) > 1 and best is ranked[0] else ""
    return FirstScreen(
        title=_title(study) or best.name,
        curve=best.name,
        place=place,
        state=verdict.state,
        headline=headline(enough, twice, delta, verdict.gates),
        sentences=sentences(best, enough, twice),
        reasons=tuple(reasons(best, verdict.gates)),
        measure=best.measure,
        delta=delta,
        level=level,
        now=rows.now(best, enough, level),
        twice=rows.twice(twice),
        wanted=wanted,
        saved=rows.saved(best, enough),
        hours=None if seconds is None else seconds / 3600,
        hours_grow=best.runs["budget"].iloc[0] != "iterations",
        label_cost=label_cost,
        chart=chart_points(best, wanted, level, forecast=enough is not None),
        trust=tuple(trust(best, own, verdict.gates, findings, delta, level)),
        classes=named,
        next=next_step(best, own, verdict.gates, delta, named, again),
        others=tuple(_others(ranked, best, answered, verdicts)),
        test_images=best.test_images,
        asked=tuple(_asked(study)),
        notes=tuple(_notes(study, best, findings)),
    )


def _others(
    ranked: Sequence[CurveRuns], best: CurveRuns, answered: Sequence[Answer], verdicts: dict[str, Verdict]
) -> Iterator[OtherSetup]:
    """Word the other setups, each in a line."""
    for curve in ranked:
        if curve is best:
            continue
        enough = result_of([one for one in answered if one.curve == curve.name], Saturation)
        said = f"{share(curve.measure.value(_accuracy(curve)))}; {in_short(enough)}"
        yield OtherSetup(curve.name, verdicts[curve.name].state, said)


def _title(study: Study) -> str:
    return study.points.name if study.points else ", ".join(sorted(study.runs["study"].dropna().unique()))


def _asked(study: Study) -> Iterator[tuple[str, str]]:
    """List what was asked of the studies, and what came of it."""
    for folder in dict.fromkeys(Path(one).parent for one in study.runs["folder"].dropna()):
        try:
            yield from endings_of(folder)
        except ConfigError as error:  # the questions of a study are not what its report rests on
            yield "What was asked?", f"Not known: {error}"


def _notes(study: Study, best: CurveRuns, findings: Sequence[Finding]) -> Iterator[str]:
    if study.points:
        yield from study.points.notes
        return
    if left := unused(study.runs):
        yield f"runs that nothing rests on: {left}"
    names = set(best.runs["run"])
    further = [one for one in findings if one.severity != "note" and not names & set(one.runs)]
    if further:
        one = len(further) == 1
        yield f"{len(further)} further finding{'' if one else 's'} of the audit {'is' if one else 'are'} on the page"


def _nothing_finished(study: Study, delta: float, level: float, label_cost: LabelCost | None) -> FirstScreen:
    """Say what to do where no run has finished."""
    counts = study.runs["state"].value_counts()
    there = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
    failed = study.runs[study.runs["state"].isin(["failed", "unreadable"])]
    why = f"no run has finished: {there}"
    if len(failed):
        why += f"; the first that failed says: {failed['reason'].iloc[0]}"
    command = next(iter(commands_of(study.runs)), None)
    running = bool((study.runs["state"] == "running").any())
    remedy = "wait for those that run, or type the command again" if running else "type the command again"
    return FirstScreen(
        title=_title(study),
        curve=_title(study),
        place="",
        state="refused",
        headline="No answer yet: no run has finished.",
        sentences=(),
        reasons=(Reason(why, f"{remedy}: it goes on where runs ended", command, None),),
        measure=study.measure,
        delta=delta,
        level=level,
        now=None,
        twice=None,
        wanted=None,
        saved=None,
        hours=None,
        hours_grow=False,
        label_cost=label_cost,
        chart=None,
        trust=(),
        classes=None,
        next=NextStep(remedy, command, None) if command else None,
        others=(),
        test_images=None,
    )
