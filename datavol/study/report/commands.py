"""Reconstructs a study's commands from the overrides of its runs."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import prod
from pathlib import Path

import pandas as pd
from yaml import YAMLError

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder

RUN = "python -m datavol.run"
Overrides = tuple[str, ...]
Values = tuple[str, ...]


def commands_of(runs: pd.DataFrame) -> list[str]:
    """Build few command lines that train a study's runs with known overrides."""
    return commands(_overrides(folder) for folder in runs["folder"].dropna())


def _overrides(folder: str) -> Overrides | None:
    try:
        return RunFolder(Path(folder)).overrides
    except (OSError, ValueError, YAMLError, ConfigError):  # damaged: the command of this run is not known
        return None


def commands(overrides: Iterable[Overrides | None]) -> list[str]:
    """Build command lines of these overrides, one per whole grid.

    >>> commands([("model=a", "seed=0"), ("model=a", "seed=1"), ("model=b", "seed=0")])
    ['python -m datavol.run -m model=a seed=0,1', 'python -m datavol.run model=b seed=0']
    """
    distinct = sorted({one for one in overrides if one is not None}, key=_keys)
    lines = []
    for keys, group in groupby(distinct, key=_keys):  # runs that override the same keys in the same order
        rows = [tuple(text.partition("=")[2] for text in one) for one in group]
        rows.sort(key=lambda values: [_natural(value) for value in values])
        lines += [_line(keys, grid) for grid in _grids(rows)]
    return lines


def _keys(overrides: Overrides) -> tuple[str, ...]:
    return tuple(text.partition("=")[0] for text in overrides)


def _grids(rows: list[Values]) -> Iterator[list[list[str]]]:
    """Split rows into whole grids, each a list of values per key."""
    values = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    if prod(map(len, values)) == len(rows):  # rows are distinct, so as many as there are combinations are all of them
        yield values
        return
    first = next(key for key, column in enumerate(values) if len(column) > 1)  # of the keys that vary; split by it
    for value in values[first]:
        yield from _grids([row for row in rows if row[first] == value])


def _natural(text: str) -> tuple[int, float, str]:
    """Make a sort key: numbers by size, before words by letters."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def _line(keys: Sequence[str], values: list[list[str]]) -> str:
    arguments = [f"{key}={','.join(column)}" for key, column in zip(keys, values, strict=True)]
    sweep = ["-m"] if any(len(column) > 1 for column in values) else []
    return " ".join([RUN, *sweep, *map(shlex.quote, arguments)])
