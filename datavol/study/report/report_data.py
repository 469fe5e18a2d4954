"""What a report says of a study, before anything is drawn or laid out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from datavol.errors import ConfigError
from datavol.study.audit.comparability import audit
from datavol.study.audit.findings import Finding, list_fractions
from datavol.study.load.study import STATES, Study, finished_of
from datavol.study.questions.answers import Answer, answers
from datavol.study.report.commands import commands_of
from datavol.study.tables.confidence import class_names
from datavol.study.tables.image_fates import learned_images, learned_table
from datavol.study.tables.summaries import (
    benchmark_table,
    full_data_table,
    overlap_table,
    runs_table,
    schedule_table,
    training_time_table,
    volume_table,
)
from datavol.study.tables.thesis import thesis_accuracies

WIDEST = 14
"""Columns; a wider table is in its files alone."""


@dataclass(frozen=True)
class ReportTable:
    """A table of the report.

    Attributes:
        name: Of its files.
        title: What it holds.
        caption: How to read it.
        table: The table.
    """

    name: str
    title: str
    caption: str
    table: pd.DataFrame

    @property
    def fits(self) -> bool:
        """Whether a page has room for it."""
        return len(self.table.columns) <= WIDEST


@dataclass(frozen=True)
class ReportData:
    """What a report says.

    Attributes:
        title: The names of the studies.
        summary: What was measured, in a sentence.
        pending: Why there is no conclusion, or None where a run has finished.
        answers: What the study answers, learning curve by learning curve.
        findings: Of the audit.
        tables: Those that the study holds.
        lists: Tables for programs alone, by name.
        runs: Every run, whatever its state (`tables.runs_table`).
        missing: What could not be made, and why.
        commands: Those that trained the runs.
        versions: Of the libraries, by name.
        places: The commits and machines that the runs were trained with.
    """

    title: str
    summary: str
    pending: str | None
    answers: list[Answer]
    findings: list[Finding]
    tables: list[ReportTable]
    lists: dict[str, pd.DataFrame]
    runs: pd.DataFrame
    missing: list[str]
    commands: list[str]
    versions: dict[str, str]
    places: dict[str, list[str]]

    @property
    def curves(self) -> dict[str, list[Answer]]:
        """The answers by learning curve."""
        names = dict.fromkeys(answer.curve for answer in self.answers)
        return {name: [answer for answer in self.answers if answer.curve == name] for name in names}

    @property
    def unused(self) -> pd.DataFrame:
        """The runs on which nothing rests, as rows of `runs`; where there is no reason, how far it got."""
        unused = self.runs[self.runs["state"] != "finished"]
        return unused.assign(reason=unused["reason"].fillna(unused["done"] + " budget epochs done"))


def report_data(study: Study, *, delta: float = 0.01, target: float | None = None) -> ReportData:
    """What a report says of a study; `delta` and `target` are shares, as `answers` takes them."""
    runs, missing, pending = study.runs, list[str](), _pending(study)
    images = _learned(runs)
    return ReportData(
        title=", ".join(sorted(runs["study"].dropna().unique())),
        summary=_summary(runs),
        pending=pending,
        answers=[] if pending else answers(study, delta=delta, target=target),
        findings=audit(study),
        tables=[*_tables(runs, missing), *_fates(runs, images)],
        lists={"learned_images": images} if len(images) else {},
        runs=runs_table(runs),
        missing=missing,
        commands=commands_of(runs),
        versions=_versions(runs),
        places={"code": _each(runs["commit"]), "machine": _each(runs["machine"])},
    )


def _pending(study: Study) -> str | None:
    if len(finished_of(study.runs)):
        return None
    counts = study.runs["state"].value_counts()
    return "no run has finished: " + ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)


def _summary(runs: pd.DataFrame) -> str:
    finished = finished_of(runs)
    told = f"{len(finished)} of {len(runs)} runs finished"
    if finished.empty:
        return told
    networks = ", ".join(sorted(finished["model"].unique()))
    sizes = finished.groupby("data")["full_size"].max()
    data = ", ".join(f"{name} ({full:,} training images)" for name, full in sizes.items())
    seeds = finished["seed"].nunique()
    on = list_fractions(finished["fraction"].tolist())
    told += f": {networks} on {on} of {data}, {seeds} seed{'s' * (seeds > 1)}"
    return f"{told}; every accuracy is that of the last evaluation, on {_validation(finished)} validation images"


def _validation(finished: pd.DataFrame) -> str:
    return " or ".join(f"{images:,}" for images in sorted(finished["validation_images"].unique()))


def _tables(runs: pd.DataFrame, missing: list[str]) -> Iterator[ReportTable]:
    """The tables that hold something; `missing` takes down why one could not be made."""
    made: tuple[tuple[str, str, str, Callable[[pd.DataFrame], pd.DataFrame]], ...] = (
        (
            "accuracy",
            "Accuracy and confidence by data volume",
            "Means over the runs of one volume, and their standard deviation. The best is picked on the validation "
            "images and therefore flatters; conclusions use the last. The margin is (C1 - C2) / C1 of the two "
            "likeliest classes: near 1 the network is sure, near 0 it wavers.",
            volume_table,
        ),
        (
            "full_data",
            "The full training set",
            "What smaller volumes are held against: means over seeds at 100 %.",
            full_data_table,
        ),
        (
            "training_time",
            "Training time",
            "Small subsets are trained for as many iterations as the full set, so that times are alike on one machine.",
            training_time_table,
        ),
        (
            "schedule",
            "Schedules in passes over the subset",
            "One schedule for all fractions, told in passes: a tenth of the images is passed over ten times as often.",
            schedule_table,
        ),
    )
    for name, title, caption, make in made:
        table = make(runs)
        if len(table):
            yield ReportTable(name, title, caption, table)
    yield from _benchmarks(runs)
    yield from _overlaps(runs, missing)


def _benchmarks(runs: pd.DataFrame) -> Iterator[ReportTable]:
    """Per network the longest training on the full ImageNet against PyTorch's published accuracies."""
    imagenet = finished_of(runs).query("data == 'imagenet' and fraction == 1")
    for model in sorted(set(imagenet["model"]) & set(thesis_accuracies()["model"])):
        caption = "The longest training on the full set, beside PyTorch's published weights as the thesis quotes them."
        table = benchmark_table(imagenet, model, thesis_accuracies())
        yield ReportTable(f"benchmark_{model}", f"{model} against published weights", caption, table)


def _overlaps(runs: pd.DataFrame, missing: list[str]) -> Iterator[ReportTable]:
    """How much the subsets of each data set share."""
    below = finished_of(runs).query("fraction < 1")
    sets = below.groupby("fingerprint")
    for fingerprint, subsets in sets:
        apart = f"_{str(fingerprint)[:8]}" if sets.ngroups > 1 else ""
        title = "What the subsets share" + (f": {subsets['data'].iloc[0]} {apart[1:]}" if apart else "")
        try:
            table = overlap_table(subsets)
        except ConfigError as error:
            missing.append(f"{title}: {error}")
            continue
        caption = "Common images, in per cent of the smaller subset. Independent draws share about the larger fraction."
        if len(table) > 1:
            yield ReportTable(f"overlap{apart}", title, caption, table)


def _learned(runs: pd.DataFrame) -> pd.DataFrame:
    """The fate of every validation image; empty where there is none to tell, for which the figure says the reason."""
    try:
        return learned_images(runs)
    except ConfigError:
        return pd.DataFrame()


def _fates(runs: pd.DataFrame, images: pd.DataFrame) -> Iterator[ReportTable]:
    """From which fraction on the validation images are recognised."""
    if images.empty:
        return
    caption = (
        "How many validation images are recognised from which fraction on, by more than half of the runs there and at "
        "every larger one; forgotten: at a smaller fraction and not at the largest; never: at none. "
        "tables/learned_images.csv has the fate of every image, by its place in the validation set."
    )
    table = learned_table(images, class_names(finished_of(runs)))
    yield ReportTable("learned", "Images that only larger subsets learn", caption, table)


def _versions(runs: pd.DataFrame) -> dict[str, str]:
    """The versions of every library, each once."""
    said: dict[str, list[str]] = {}
    for text in _each(runs["versions"]):
        for name, version in json.loads(text).items():
            said.setdefault(name, []).append(version)
    return {name: ", ".join(dict.fromkeys(versions)) for name, versions in sorted(said.items())}


def _each(column: pd.Series) -> list[str]:
    """What runs say, each once; sessions of one run are apart."""
    return list(dict.fromkeys(part for text in column.dropna() for part in text.split(" then ")))
