"""Reads what a set-up's runs have measured so far."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder, folders_in
from datavol.study.load.study import Study, load_study
from datavol.study.looks.enough import Enough
from datavol.study.looks.evidence import evidence
from datavol.study.looks.look import Look, Step
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study

Curves = Mapping[int, CurveRuns]
"""Finished runs by the part of the training that they took."""


def measured(set_up: SetUp) -> dict[int, CurveRuns]:
    """Load the finished runs of a set-up, short ones by themselves.

    Raises:
        ConfigError: If the records cannot be read.
    """
    curves: dict[int, CurveRuns] = {}
    for part in (1, *set_up.parts):
        study = study_of(set_up, part)
        if study is None:
            continue
        (curve,) = curves_of_study(study)
        if len(curve.runs):
            curves[part] = curve
    return curves


def study_of(set_up: SetUp, part: int = 1) -> Study | None:
    """Load the finished runs of a set-up and length; None without any."""
    folder = set_up.folder(part)
    if not folder.is_dir() or not folders_in(folder):
        return None
    study = load_study([folder])
    finished = study.runs["state"] == "finished"
    ours = study.runs[finished & study.runs["folder"].map(lambda path: _same(set_up, part, path))]
    if ours.empty:
        return None
    return replace(study, runs=ours.reset_index(drop=True), epochs=study.epochs.iloc[:0])


def _same(set_up: SetUp, part: int, path: object) -> bool:
    return isinstance(path, str) and set_up.same(RunFolder(Path(path)), part)


def look(rule: Rule, curves: Curves) -> Look:
    """Let a rule judge what was measured."""
    if isinstance(rule, Enough):
        return rule.look(evidence(curves))
    return rule.look(curves.get(1))


def finished(set_up: SetUp, step: Step) -> bool:
    """Return whether a run has finished."""
    try:
        return RunFolder(set_up.run(step).folder).state == "finished"
    except ConfigError:  # damaged: its own training says so
        return False


def hours_of(curves: Curves, steps: Collection[Step] | None = None) -> float:
    """Sum the hours that runs took, or these steps, training and evaluation."""
    seconds = 0.0
    for part, curve in curves.items():
        all_steps = [Step(fraction, seed, part) for fraction, seed in curve.runs[["fraction", "seed"]].to_numpy()]
        runs = curve.runs[[steps is None or step in steps for step in all_steps]]
        seconds += float((runs["seconds_train"].fillna(0) + runs["seconds_val"].fillna(0)).sum())
        if "trunk_seconds" in runs:  # counted by the run that they were taken over from
            seconds -= float(runs["trunk_seconds"].fillna(0).sum())
    return seconds / 3600
