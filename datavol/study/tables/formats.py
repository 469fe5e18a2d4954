"""Formats tables as CSV, LaTeX or Markdown."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from datavol.cli.text import shown
from datavol.errors import ConfigError
from datavol.runs.files import write_whole

DIGITS = 3


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table into a `.csv`, `.tex` or `.md` file.

    Raises:
        ConfigError: For another ending.
    """
    if path.suffix not in FORMATTERS:
        raise ConfigError(f"a table's file must end in {', '.join(FORMATTERS)}, got {path.name}; try {path.stem}.csv")
    write_whole(path, FORMATTERS[path.suffix](table).encode("utf-8", "backslashreplace"))  # a name may be no text


def as_csv(table: pd.DataFrame) -> str:
    """Format as CSV with every digit; missing values are empty."""
    return table.to_csv(index=False, lineterminator="\n")


def as_latex(table: pd.DataFrame, digits: int = DIGITS) -> str:
    """Format as a LaTeX `tabular` with booktabs rules, rounded; numbers right-aligned."""
    columns = "".join("r" if is_numeric_dtype(table[name]) else "l" for name in table)
    return _cells(table, digits).to_latex(index=False, escape=True, column_format=columns)


def as_markdown(table: pd.DataFrame, digits: int = DIGITS) -> str:
    """Format as a Markdown table, rounded; numbers right-aligned.

    >>> print(as_markdown(pd.DataFrame({"network": ["resnet50"], "top-1 (%)": [62.464]}), digits=1), end="")
    | network | top-1 (%) |
    |---|--:|
    | resnet50 | 62.5 |
    """
    rules = ["--:" if is_numeric_dtype(table[name]) else "---" for name in table]
    rows = _cells(table, digits).map(lambda text: text.replace("|", r"\|")).to_numpy().tolist()  # | ends a cell
    lines = ["| " + " | ".join(row) + " |" for row in [list(table), *rows]]
    return "\n".join([lines[0], "|" + "|".join(rules) + "|", *lines[1:]]) + "\n"


FORMATTERS: dict[str, Callable[[pd.DataFrame], str]] = {".csv": as_csv, ".tex": as_latex, ".md": as_markdown}


def _cells(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    return pd.DataFrame({name: texts(table[name], digits) for name in table}, columns=table.columns)


def texts(column: pd.Series, digits: int) -> list[str]:
    """Format a column as text: reals rounded, missing values dashed."""
    real = is_float_dtype(column)
    return ["-" if pd.isna(value) else f"{value:.{digits}f}" if real else shown(str(value)) for value in column]
