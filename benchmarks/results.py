"""What was measured, row by row: `results.json` keeps it, `RESULTS.md` is written from it."""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from datavol.runs import provenance
from datavol.runs.files import write_whole
from datavol.runs.folder import now

FOLDER = Path(__file__).parent
HEAD = """# Results

Written by `make bench` and `make bench-study`; how each is measured stands in [README.md](README.md).
Ratios are of medians, datavol to peer: more is better. Their spread is the repeats' smallest and largest ratio.
"""
QUIET = 1.0
"""The seeds' deviation in points of top-1 above which a task says too little about a default."""
COLUMNS = ("row", "what", "peer", "target")  # and one for each processor
SAMPLES = ("row", "on", "datavol", "the peer", "repeats")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: What `--only` calls it.
        title: What is measured.
        peer: What it is measured against.
        target: What it should reach, in words, or nothing.
        measured: What it reached, in words.
        spread: How much that varies, in words.
        ours: datavol's samples, in `unit`.
        theirs: The peer's samples.
        unit: Of the samples.
        reached: Whether the target is reached; None without a target.
        note: What to know besides.
    """

    name: str
    title: str
    peer: str
    target: str
    measured: str
    spread: str
    ours: list[float]
    theirs: list[float]
    unit: str
    reached: bool | None
    note: str = ""
    place: dict[str, Any] = field(default_factory=lambda: place())


def ratio_row(
    name: str,
    title: str,
    peer: str,
    target: float | None,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str = "images/s",
    note: str = "",
) -> Row:
    """A row of throughputs; with the unit `s` of durations, whose ratio is the peer's to datavol's.

    >>> row = ratio_row("a", "A", "B", 2.0, [300, 310, 290], [100, 110, 100])
    >>> row.measured, row.spread, row.reached
    ('3.00', '2.82 to 3.00', True)
    """
    upper, lower = (theirs, ours) if unit == "s" else (ours, theirs)
    ratio = statistics.median(upper) / statistics.median(lower)
    each = [one / other for one, other in zip(upper, lower, strict=True)]
    wanted = "" if target is None else f"{target:g}"
    reached = None if target is None else ratio >= target
    spread = f"{min(each):.2f} to {max(each):.2f}"
    return Row(name, title, peer, wanted, f"{ratio:.2f}", spread, [*ours], [*theirs], unit, reached, note)


def accuracy_row(
    name: str, title: str, peer: str, ours: Sequence[float], theirs: Sequence[float], note: str = ""
) -> Row:
    """A row of top-1 accuracies, in per cent, of the same seeds with a default and without it.

    The interval is the 95 % one of Student's t over the seeds' differences; the seeds' spread is the deviation over
    seeds, pooled over both sides. The mean difference is to stay within it, on a task on which it is small itself: any
    difference is within enough noise.
    """
    differences = np.subtract(ours, theirs)
    mean = float(differences.mean())
    half = (
        float(stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)) if len(differences) > 1 else math.nan
    )
    seeds = math.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / 2) if len(differences) > 1 else math.nan
    interval = f"95 % interval {mean - half:+.2f} to {mean + half:+.2f}"
    return Row(
        name, title, peer, f"within the seeds' {seeds:.2f} points, at most {QUIET:g}", f"{mean:+.2f} points", interval,
        [*ours], [*theirs], "%", abs(mean) <= seeds <= QUIET, note,
    )  # fmt: skip


@cache
def place() -> dict[str, Any]:
    """Machine, versions, day and code of a measurement, as they are before this process writes its first result."""
    return {
        "date": now()[:10],
        "machine": f"{provenance.processor()}, {provenance.cores()} cores, {platform.system()}",
        "versions": provenance.versions(),
        "code": provenance.commit(),
    }


def read(folder: Path = FOLDER) -> dict[tuple[str, str], Row]:
    """The rows measured so far, by name and machine."""
    file = folder / "results.json"
    rows = [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []
    return {(row.name, row.place["machine"]): row for row in rows}


def record(row: Row, order: Sequence[str], folder: Path = FOLDER) -> None:
    """Put a row in place of the last of its name and machine, and write both files anew.

    Args:
        row: What was measured.
        order: The names of all rows there can be, as the table is to list them.
        folder: Where the two files lie.
    """
    rows = read(folder) | {(row.name, row.place["machine"]): row}
    ordered = [one for name in order for one in rows.values() if one.name == name]
    text = json.dumps([asdict(one) for one in ordered], indent=1)
    write_whole(folder / "results.json", text.encode() + b"\n")
    write_whole(folder / "RESULTS.md", render(ordered).encode())


def render(rows: Sequence[Row]) -> str:
    """The page: ratios by processor, the samples behind them, where they were measured, and what to know besides."""
    machines = list(dict.fromkeys(row.place["machine"] for row in rows))
    places = list(dict.fromkeys(_where(row.place) for row in rows))
    where = [f"- **{number}**: {text}" for number, text in enumerate(places, start=1)]
    names = list(dict.fromkeys(row.name for row in rows))
    ratios = [_ratios([row for row in rows if row.name == name], machines) for name in names]
    samples = [_samples(row, places.index(_where(row.place)) + 1) for row in rows]
    notes = [f"- {', '.join(row.name for row in rows if row.note == note)}: {note}" for note in _notes(rows)]
    parts = [HEAD, *_table((*COLUMNS, *machines), ratios), "", "Medians, and where:", "", *_table(SAMPLES, samples)]
    return "\n".join([*parts, "", "Measured on", "", *where, *(["", *notes] if notes else [])]) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]


def _ratios(rows: Sequence[Row], machines: Sequence[str]) -> list[str]:
    """A line of one row's ratios, machine by machine."""
    by_machine = {row.place["machine"]: row for row in rows}
    newest = rows[-1]
    return [newest.name, newest.title, newest.peer, newest.target, *(_reached(by_machine.get(one)) for one in machines)]


def _reached(row: Row | None) -> str:
    if row is None:
        return ""
    verdict = "" if row.reached is None else " reached" if row.reached else " **missed**"
    return f"{row.measured}{verdict} ({row.spread})"


def _samples(row: Row, where: int) -> list[str]:
    medians = [f"{statistics.median(values):.4g} {row.unit}" for values in (row.ours, row.theirs)]
    return [row.name, str(where), *medians, str(len(row.ours))]


def _notes(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.note for row in rows if row.note))


def _where(place: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
    commit = (place["code"]["commit"] or "no checkout")[:12] + (" with changes" if place["code"]["changed"] else "")
    return f"{place['date']}, {place['machine']}; {versions}; commit {commit}"
