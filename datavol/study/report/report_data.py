"""Collects a report's contents before anything is drawn or laid out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd

from datavol.cli.text import per_cent, shown
from datavol.data.sources.files.found import few, plural
from datavol.errors import ConfigError
from datavol.runs.guessing import GUESSING
from datavol.study.audit.comparability import audit
from datavol.study.audit.findings import Finding, list_fractions
from datavol.study.figures.names import NAMED, stand_ins
from datavol.study.load.measure import Measure
from datavol.study.load.study import STATES, PointsRead, Study, finished_of
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.label_errors import LabelErrors
from datavol.study.questions.verdict import Verdict, verdicts_of
from datavol.study.report.commands import commands_of
from datavol.study.report.mistaken_images import Sheet
from datavol.study.report.report_tables import ReportTable, fate_table, report_tables
from datavol.study.report.screen.contents import FirstScreen
from datavol.study.report.screen.first_screen import first_screen
from datavol.study.report.screen.label_cost import LabelCost
from datavol.study.tables.confidence import class_names
from datavol.study.tables.image_fates import learned_images
from datavol.study.tables.run_tables import runs_table
from datavol.study.tables.summaries import (
    guesses_of,
    points_table,
)

TELL = "please report this at datavol's issues, with the study's folder"


@dataclass(frozen=True)
class ReportData:
    """Stores a report's contents."""

    title: str  # the names of the studies
    summary: str  # what was measured, in a sentence
    pending: str | None  # why there is no conclusion, or None where a run has finished
    answers: list[Answer]  # learning curve by learning curve
    findings: list[Finding]  # of the audit, the gravest first
    tables: list[ReportTable]  # those that are not empty
    csv_tables: dict[str, pd.DataFrame]  # by name; for programs, not on the page
    runs: pd.DataFrame  # every run, whatever its state (`summaries.runs_table`)
    missing: list[str]  # tables and figures that could not be made, each with the reason
    commands: list[str]  # those that train the runs
    versions: dict[str, str]  # of the libraries, by name
    provenance: dict[str, list[str]]  # the commits (`code`) and machines of the runs
    screen: FirstScreen  # what is said first, of the best setup
    sheets: tuple[Sheet, ...] = ()  # pictures of mistaken images, where they were asked for
    notes: tuple[str, ...] = ()  # of points of another trainer: what was taken for what

    @property
    def points(self) -> bool:
        """Return whether points of another trainer are reported."""
        return bool(self.notes)

    @property
    def curves(self) -> dict[str, list[Answer]]:
        """Group the answers by learning curve."""
        names = dict.fromkeys(answer.curve for answer in self.answers)
        return {name: [answer for answer in self.answers if answer.curve == name] for name in names}

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Give every learning curve its verdict, by name."""
        return {verdict.curve: verdict for verdict in verdicts_of(self.answers)}

    @property
    def unused(self) -> pd.DataFrame:
        """Select the runs that answers leave out, each with a reason."""
        unused = self.runs[self.runs["state"] != "finished"]
        return unused.assign(reason=unused["reason"].fillna(unused["done"] + " budget epochs done"))


def report_data(
    study: Study,
    *,
    delta: float = 0.01,
    target: float | None = None,
    miss: float | None = None,
    label_cost: LabelCost | None = None,
    again: str | None = None,
) -> ReportData:
    """Collect a study's report.

    `delta`, `target` and `miss` are those of `answers`, `label_cost` and `again` those of `first_screen`.
    """
    if study.points:
        return _points_data(study, study.points, delta, target, miss, label_cost, again)
    runs, missing, pending = study.runs, list[str](), _pending(study)
    audited = audit(study)
    found = [] if pending else answers(study, delta=delta, target=target, miss=miss, findings=audited)
    screen = partial(first_screen, study, delta=delta, target=target, label_cost=label_cost, again=again)
    try:
        images = learned_images(runs)
    except ConfigError:
        images = pd.DataFrame()  # the figure of image fates fails in the same way, and gives the reason
    return ReportData(
        title=", ".join(sorted(runs["study"].dropna().unique())),
        summary=_summary(runs),
        pending=pending,
        answers=found,
        findings=[*audited, *_failed(found), *_unshown(runs)],
        tables=[*report_tables(runs, missing), *fate_table(runs, images)],
        csv_tables=({"learned_images": images} if len(images) else {}) | _suspects(found),
        runs=runs_table(runs),
        missing=missing,
        commands=commands_of(runs),
        versions=_versions(runs),
        provenance={"code": _distinct(runs["commit"]), "machine": _distinct(runs["machine"])},
        screen=screen(answered=found, findings=audited),
    )


def _points_data(
    study: Study,
    points: PointsRead,
    delta: float,
    target: float | None,
    miss: float | None,
    label_cost: LabelCost | None,
    again: str | None,
) -> ReportData:
    runs, measure = study.runs, study.measure
    found = answers(study, delta=delta, target=target, miss=miss)
    sizes, curves = runs["images"], runs["model"].nunique()
    summary = f"{len(runs)} points of {measure.title} on {sizes.min():,} to {sizes.max():,} training images"
    summary += f", {curves} curves" if curves > 1 else ""
    caption = "Means over the points of one size, and their standard deviation. The last row is what guessing gives."
    return ReportData(
        title=points.name,
        summary=f"{summary}, measured by another trainer",
        pending=None,
        answers=found,
        findings=[*_failed(found)],
        tables=[ReportTable("values", f"{measure.title} by data volume", caption, points_table(runs, measure))],
        csv_tables={},
        runs=_each_point(runs, measure),
        missing=[],
        commands=[],
        versions={},
        provenance={},
        screen=first_screen(study, delta=delta, target=target, label_cost=label_cost, answered=found, again=again),
        notes=points.notes,
    )


def _each_point(runs: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    values = 100 * measure.value(runs["top1"].astype(float))
    columns = {"place": runs["run"], "curve": runs["model"], "images": runs["images"], "repeat": runs["seed"]}
    return pd.DataFrame({**columns, f"{measure.title} (%)": values})


def _suspects(found: list[Answer]) -> dict[str, pd.DataFrame]:
    """List the labels that may be wrong, curve by curve."""
    tables = [one.result.suspects.assign(curve=one.curve) for one in found if isinstance(one.result, LabelErrors)]
    suspects = pd.concat(tables) if tables else pd.DataFrame()
    return {"label_errors": suspects} if len(suspects) else {}


def _failed(found: list[Answer]) -> Iterator[Finding]:
    """List the questions that failed, each with its error."""
    for answer in found:
        if answer.state == "failed":
            yield Finding("minor", "question", f"{answer.curve}: {answer.question} {answer.answer}", (), TELL)


def _unshown(runs: pd.DataFrame) -> Iterator[Finding]:
    finished = finished_of(runs)
    classes = class_names(finished) if len(finished) else None
    if written := stand_ins(names_of(runs), classes or ()):
        what = f"{plural(len(written), 'name')} cannot be written in figures, as no font here has the letters: "
        what += few([f"{shown(name)} is {text}" for name, text in written.items()])
        yield Finding("note", "names", what, (), "install a font that has them, such as fonts-noto-cjk")


def names_of(runs: pd.DataFrame) -> list[str]:
    """List the names that a report's figures write, including classes."""
    finished = finished_of(runs)
    classes = class_names(finished) if len(finished) else None
    return [*(str(name) for column in NAMED for name in runs[column].dropna().unique()), *(classes or [])]


def _pending(study: Study) -> str | None:
    if len(finished_of(study.runs)):
        return None
    counts = study.runs["state"].value_counts()
    return "no run has finished: " + ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)


def _summary(runs: pd.DataFrame) -> str:
    finished = finished_of(runs)
    summary = f"{len(finished)} of {len(runs)} runs finished"
    if finished.empty:
        return summary
    networks = ", ".join(sorted(finished["model"].unique()))
    sizes = finished.groupby("data")["full_size"].max()
    data = ", ".join(f"{name} ({full:,} training images)" for name, full in sizes.items())
    seeds = finished["seed"].nunique()
    fractions = list_fractions(finished["fraction"].tolist())
    summary += f": {networks} on {fractions} of {data}, {seeds} seed{'s' * (seeds > 1)}"
    pairs = finished[["validation_images", "listed_images"]].drop_duplicates().sort_values("validation_images")
    whole = pairs.fillna(0).astype(int).to_numpy()
    each = [f"{counted:,}" + (f" of {listed:,}" if counted < listed else "") for counted, listed in whole]
    validation = " or ".join(dict.fromkeys(each))
    summary += f"; every accuracy is that of the last evaluation, on {validation} validation images"
    guesses = guesses_of(runs)
    right = [per_cent(one.top1) + (f" on {one.data}" if len(guesses) > 1 else "") for one in guesses]
    return summary + (f"; {GUESSING} would get {' and '.join(right)} of them right" if right else "")


def _versions(runs: pd.DataFrame) -> dict[str, str]:
    """List the distinct versions of every library."""
    versions: dict[str, dict[str, None]] = {}  # by library, an ordered set of versions
    for text in _distinct(runs["versions"]):
        for name, version in json.loads(text).items():
            versions.setdefault(name, {})[version] = None
    return {name: ", ".join(distinct) for name, distinct in sorted(versions.items())}


def _distinct(column: pd.Series) -> list[str]:
    """List distinct values, also of sessions of one run (`a then b`)."""
    return list(dict.fromkeys(part for text in column.dropna() for part in text.split(" then ")))
