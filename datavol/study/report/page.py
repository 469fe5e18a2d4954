"""Renders a report as one self-contained HTML page."""

import re
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined
from pandas.api.types import is_numeric_dtype

from datavol.cli.text import shown
from datavol.study.report.renderer import RenderedFigure
from datavol.study.report.report_data import ReportData
from datavol.study.tables.formats import texts

ONE_DIGIT = ("(%)", "(s)", "(min)")  # units of columns that are rounded to one digit; others have three


@dataclass(frozen=True)
class Column:
    """Stores a table's column as text; numbers are aligned to the right."""

    name: str
    numbers: bool
    cells: list[str]


def page(report: ReportData, figures: list[RenderedFigure]) -> str:
    """Render the page as HTML, the first figure as the main one."""
    # Autoescaping keeps a run's texts text; StrictUndefined turns a misspelt name into an error instead of a gap.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    text = template.render(report=report, figures=figures, columns=columns) + "\n"
    # What HTML and UTF-8 have no place for: a name's control letters, and bytes that were no letters (surrogates)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", lambda letter: shown(letter[0]), text)


def columns(table: pd.DataFrame) -> list[Column]:
    """Convert a table into rounded columns for the template."""
    digits = {name: 1 if str(name).endswith(ONE_DIGIT) else 3 for name in table}
    return [Column(str(name), is_numeric_dtype(table[name]), texts(table[name], digits[name])) for name in table]
