"""Reads what a set-up's runs have measured so far."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from datavol.asking.question import Rule
from datavol.asking.set_up import SetUp
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder, folders_in
from datavol.study.audit.comparability import audit
from datavol.study.audit.findings import Finding
from datavol.study.load.study import Study, load_study
from datavol.study.looks.enough import Enough
from datavol.study.looks.evidence import evidence
from datavol.study.looks.look import Look, Step
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.gates import Gate, find_gates

BEFORE_WHOLE_RUNS = ("audit", "baseline", "metric")
OF_PAIRS = (*BEFORE_WHOLE_RUNS, "guessing", "settled")
OF_CURVES = (*OF_PAIRS, "test_set", "fractions")
"""Gates that refuse an answer: from short runs alone, from pairs of whole runs, and from a whole curve."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Holds a set-up's finished runs of one length."""

    study: Study
    curve: CurveRuns


Parts = Mapping[int, Measured]
"""Finished runs by the part of the training that they took."""


def measured(set_up: SetUp) -> dict[int, Measured]:
    """Load the finished runs of a set-up, short ones by themselves.

    Raises:
        ConfigError: If the records cannot be read.
    """
    parts: dict[int, Measured] = {}
    for part in (1, *set_up.parts):
        if (study := study_of(set_up, part)) is not None:
            parts[part] = Measured(study, _curve_of(study, set_up.folder(part)))
    return parts


def _curve_of(study: Study, folder: Path) -> CurveRuns:
    """Return the one learning curve of a set-up's runs."""
    curves = curves_of_study(study)
    if len(curves) != 1:
        names = ", ".join(curve.name for curve in curves) or "none"
        raise ConfigError(
            f"the runs of a question must make one learning curve, got {names} in {folder}; try study=another_name"
        )
    return curves[0]


def study_of(set_up: SetUp, part: int = 1) -> Study | None:
    """Load the finished runs of a set-up and length; None without any."""
    folder = set_up.folder(part)
    if not folder.is_dir() or not folders_in(folder):
        return None
    study = load_study([folder])
    usable = study.runs[study.runs["state"] == "finished"]
    ours = usable[[_same(set_up, part, path) for path in usable["folder"]]]
    if ours.empty:
        return None
    epochs = study.epochs[study.epochs["run"].isin(ours.index)]
    places = {index: place for place, index in enumerate(ours.index)}
    return replace(study, runs=ours.reset_index(drop=True), epochs=epochs.assign(run=epochs["run"].map(places)))


def look(rule: Rule, parts: Parts) -> Look:
    """Let a rule judge what was measured, unless a gate refuses any answer."""
    if isinstance(rule, Enough):
        found = rule.look(evidence({part: one.curve for part, one in parts.items()}))
    else:
        found = rule.look(parts[1].curve if 1 in parts else None)
    refusing = _refusing(rule, parts) if found.number else []
    if not refusing:
        return found
    why = "; ".join(gate.why for gate in refusing)
    remedies = tuple((gate.remedy, gate.command) for gate in refusing)
    return Look(found.number, "out of reach", why, found.basis, remedies=remedies, numbers=found.numbers)


def _refusing(rule: Rule, parts: Parts) -> list[Gate]:
    """List the gates that refuse an answer from these runs."""
    if not parts:
        return []
    names = BEFORE_WHOLE_RUNS if 1 not in parts else OF_PAIRS if isinstance(rule, Enough) else OF_CURVES
    one = parts[min(parts)]
    gates = find_gates(one.curve, one.study.epochs, findings_of(one.study), delta=rule.delta, level=rule.level)
    return [gate for gate in gates if gate.refuses and gate.name in names]


def _same(set_up: SetUp, part: int, path: object) -> bool:
    return isinstance(path, str) and set_up.same(RunFolder(Path(path)), part)


def findings_of(study: Study) -> list[Finding]:
    """Audit a study, but for commits: datavol may be upgraded meanwhile."""
    return [finding for finding in audit(study) if finding.name != "commit"]


def finished(set_up: SetUp, step: Step) -> bool:
    """Return whether a run has finished."""
    try:
        return RunFolder(set_up.run(step).folder).state == "finished"
    except ConfigError:  # damaged: its own training says so
        return False


def why_unused(folder: Path) -> str:
    """Say in brackets why a study leaves a run out, if known."""
    runs = load_study([folder.parent]).runs
    there = runs[(runs["folder"] == str(folder)) & runs["reason"].notna()]
    return f" ({there['reason'].iloc[0]})" if len(there) else ""


def hours_of(parts: Parts, steps: Collection[Step] | None = None) -> float:
    """Sum the hours that runs took, or these steps, training and evaluation."""
    seconds = 0.0
    for part, one in parts.items():
        runs = one.curve.runs
        asked = [Step(fraction, seed, part) for fraction, seed in runs[["fraction", "seed"]].to_numpy()]
        runs = runs[[steps is None or step in steps for step in asked]]
        seconds += float((runs["seconds_train"].fillna(0) + runs["seconds_val"].fillna(0)).sum())
        if "trunk_seconds" in runs:  # counted by the run that they were taken over from
            seconds -= float(runs["trunk_seconds"].fillna(0).sum())
    return seconds / 3600


def full_runs(parts: Parts) -> float:
    """Count runs as runs of full length, by the part that they trained."""
    return sum(len(one.curve.runs) / part for part, one in parts.items())
