"""Writes a table for a terminal."""

from collections.abc import Iterator

import pandas as pd

from datavol.study.report.page import columns


def table_lines(table: pd.DataFrame, width: int) -> Iterator[str]:
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
