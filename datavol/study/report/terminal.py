"""Writes the report of a CSV file for a terminal."""

import textwrap
from collections.abc import Iterator
from itertools import groupby

import pandas as pd

from datavol.study.questions.gates import Refused
from datavol.study.report.page import columns
from datavol.study.report.report_data import ReportData


def points_lines(report: ReportData, width: int) -> Iterator[str]:
    """Write notes, answers and values in lines of at most `width` letters."""
    yield from _paragraph(f"{report.title}: {report.summary}.", width)
    for note in report.notes:
        yield from _paragraph(note, width, "  ")
    for curve, answers in report.curves.items():
        yield ""
        yield from _paragraph(f"{curve} ({answers[0].runs})", width)
        verdict = report.verdicts[curve]
        told, *gates = verdict.lines
        yield from _paragraph(told.removeprefix(f"{curve}: "), width, "  ")
        for gate in gates:
            yield from _paragraph(gate.strip(), width, "    ")
        refused = str(Refused(*(gate for gate in verdict.gates if gate.refuses)))
        for said, alike in groupby(answers, key=lambda answer: answer.answer):  # one reason may hold for several
            for answer in alike:
                yield from _paragraph(answer.question, width, "  ")
            yield from _paragraph("cannot say, as the verdict says" if said == refused else said, width, "    ")
    for table in report.tables:
        yield ""
        yield from _table(table.table, width)


def _paragraph(text: str, width: int, indent: str = "") -> list[str]:
    more = indent + ("  " if indent == "  " else "")
    joined = text.replace(" %", "\u00a0%")  # a number and its unit stay on one line
    lines = textwrap.wrap(joined, width, initial_indent=indent, subsequent_indent=more, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def _table(table: pd.DataFrame, width: int) -> Iterator[str]:
    """Align a table's columns; names that are too long are cut."""
    shown = columns(table)
    cells = [[column.name, *column.cells] for column in shown]
    widths = [max(map(len, column)) for column in cells]
    room = width - sum(widths[1:]) - 2 * len(widths[1:])
    widths[0] = max(8, min(widths[0], room))
    for row in zip(*cells, strict=True):
        first = row[0] if len(row[0]) <= widths[0] else f"{row[0][: widths[0] - 1]}…"
        others = [cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *others])
