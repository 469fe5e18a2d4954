"""A report as one HTML page that needs nothing else: no network, no script, no file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined
from pandas.api.types import is_numeric_dtype

from datavol.study.report.renderer import Picture
from datavol.study.report.report_data import ReportData
from datavol.study.tables.formats import texts

ONE_DIGIT = ("(%)", "(s)", "(min)")
"""Columns of these units are shown with one digit, all others with three."""


@dataclass(frozen=True)
class Column:
    """A column of a table on the page.

    Attributes:
        name: Its heading.
        numbers: Whether it stands to the right.
        cells: Its cells as text.
    """

    name: str
    numbers: bool
    cells: list[str]


def page(contents: ReportData, pictures: list[Picture]) -> str:
    """The page as HTML.

    Args:
        contents: What it says.
        pictures: The figures, the main one first.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(contents=contents, pictures=pictures, columns=columns) + "\n"


def columns(table: pd.DataFrame) -> list[Column]:
    """A table for the template, rounded."""
    digits = {name: 1 if str(name).endswith(ONE_DIGIT) else 3 for name in table}
    return [Column(str(name), is_numeric_dtype(table[name]), texts(table[name], digits[name])) for name in table]
