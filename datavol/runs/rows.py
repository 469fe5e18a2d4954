"""Writes and reads the rows of `metrics.csv`."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence

from datavol.runs.columns import FIRST_EPOCH_COLUMNS, WHOLE_EPOCH_COLUMNS

Row = dict[str, float]


def rows_to_text(rows: Sequence[Row]) -> str:
    """Write rows as CSV, with every digit; NaN is an empty field."""
    # The keys of a dict are unique and stay in order: the first columns, then the others as rows bring them up
    names = dict.fromkeys([*FIRST_EPOCH_COLUMNS, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if math.isnan(value) else value for name, value in row.items()} for row in rows)
    return text.getvalue()


def rows_from_text(text: str) -> list[Row]:
    """Read rows that `rows_to_text` wrote.

    Raises:
        ValueError: If a line is cut off, a field is no number, or the header is not datavol's.
    """
    if not text:
        return []
    *lines, rest = text.split("\n")  # no field is quoted or holds a newline
    if rest:
        raise ValueError("a last line that is cut off")
    names = lines[0].split(",")
    if names[: len(FIRST_EPOCH_COLUMNS)] != list(FIRST_EPOCH_COLUMNS) or len({*names, ""}) != len(names) + 1:
        raise ValueError("a damaged header")
    return [_row(names, line.split(",")) for line in lines[1:]]


def _row(names: Sequence[str], fields: Sequence[str]) -> Row:
    if len(fields) != len(names):
        raise ValueError(f"a row of {len(fields)} fields under a header of {len(names)}")
    return {name: _number(name, text) for name, text in zip(names, fields, strict=True)}


def _number(name: str, text: str) -> float:
    if name in WHOLE_EPOCH_COLUMNS:
        return int(text)
    return float(text) if text else math.nan


def digest_of(rows: Sequence[Row]) -> str:
    """Hash the names and values of rows, whatever columns later rows add."""
    known = [sorted((name, float(value)) for name, value in row.items() if not math.isnan(value)) for row in rows]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
