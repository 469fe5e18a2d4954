"""The commands that made a study, put together from the overrides of its runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import prod
from pathlib import Path

import pandas as pd

from datavol.runs.folder import RunFolder

RUN = "python -m datavol.run"
Overrides = tuple[str, ...]
Values = tuple[str, ...]


def commands_of(runs: pd.DataFrame) -> list[str]:
    """The fewest command lines that train the runs of a study; one that kept no overrides is left out."""
    return commands(RunFolder(Path(folder)).overrides for folder in runs["folder"].dropna())


def commands(overrides: Iterable[Overrides | None]) -> list[str]:
    """Command lines that give the runs of these overrides, whole grids in one line.

    >>> commands([("model=a", "seed=0"), ("model=a", "seed=1"), ("model=b", "seed=0")])
    ['python -m datavol.run -m model=a seed=0,1', 'python -m datavol.run model=b seed=0']
    """
    asked = dict.fromkeys(sorted({one for one in overrides if one is not None}, key=_keys))
    lines = []
    for keys, alike in groupby(asked, key=_keys):
        rows = [tuple(text.partition("=")[2] for text in one) for one in alike]
        lines += [_line(keys, grid) for grid in _grids(sorted(rows, key=_natural))]
    return lines


def _keys(overrides: Overrides) -> tuple[str, ...]:
    return tuple(text.partition("=")[0] for text in overrides)


def _grids(rows: list[Values]) -> Iterator[list[list[str]]]:
    """Rows as whole grids, each the values of every key; what is no grid is split by the first key that varies."""
    values = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    if prod(map(len, values)) == len(rows):
        yield values
        return
    first = next(place for place, column in enumerate(values) if len(column) > 1)
    for value in values[first]:
        yield from _grids([row for row in rows if row[first] == value])


def _natural(values: Values) -> list[tuple[int, float, str]]:
    """Numbers by size, before words by letters."""
    return [_number(value) for value in values]


def _number(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def _line(keys: Sequence[str], values: list[list[str]]) -> str:
    arguments = [f"{key}={','.join(column)}" for key, column in zip(keys, values, strict=True)]
    sweep = ["-m"] if any(len(column) > 1 for column in values) else []
    return " ".join([RUN, *sweep, *map(shlex.quote, arguments)])
