"""Renders a report as one self-contained HTML page."""

import re
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined
from pandas.api.types import is_numeric_dtype

from datavol.cli.text import shown
from datavol.study.report.mistaken_images import section
from datavol.study.report.renderer import RenderedFigure
from datavol.study.report.report_data import ReportData
from datavol.study.report.screen.glossary import WORDS
from datavol.study.report.screen.rounding import time
from datavol.study.report.screen.table import COLUMNS, costs, heads, rows
from datavol.study.report.screen.terminal import class_text, headed
from datavol.study.tables.formats import texts

ONE_DIGIT = ("(%)", "(s)", "(min)")  # units of columns that are rounded to one digit; others have three
TEMPLATES = ("page.html.jinja", "first_screen.html.jinja")
MARKS = {"ok": "✓ ok", "weak": "! weak", "refused": "✗ no"}


@dataclass(frozen=True)
class Column:
    """Stores a table's column as text; numbers are aligned to the right."""

    name: str
    numbers: bool
    cells: list[str]


def page(report: ReportData, figures: list[RenderedFigure], chart: RenderedFigure | None = None) -> str:
    """Render the page as HTML, with `chart` on its first screen."""
    sources = {name: files(__package__).joinpath(name).read_text(encoding="utf-8") for name in TEMPLATES}
    # Autoescaping keeps a run's texts text; StrictUndefined turns a misspelt name into an error instead of a gap.
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"class_text": class_text, "unbroken": unbroken}
    whole = environment.get_template(TEMPLATES[0]).render(
        report=report,
        figures=figures,
        columns=columns,
        words=WORDS,
        chart=chart,
        mistaken=section(report.sheets),
        **_first_screen(report),
    )
    # What HTML and UTF-8 have no place for: a name's control letters, and bytes that were no letters (surrogates)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", lambda letter: shown(letter[0]), f"{whole}\n")


def _first_screen(report: ReportData) -> dict[str, Any]:
    """Collect what the template of the first screen takes."""
    screen = report.screen
    table = [asdict(row) for row in rows(screen)]
    used = [name for name in COLUMNS if any(row[name] for row in table)]
    told = {"screen": screen, "rows": table, "heads": asdict(heads(screen)), "used": used, "costs": [*costs(screen)]}
    return told | {"headed": headed, "marks": MARKS, "time": time}


def unbroken(text: str) -> str:
    """Keep a number and its unit on one line."""
    return text.replace(" %", "\u00a0%")  # of Markup, it stays such


def columns(table: pd.DataFrame) -> list[Column]:
    """Convert a table into rounded columns for the template."""
    digits = {name: 1 if str(name).endswith(ONE_DIGIT) else 3 for name in table}
    return [Column(str(name), is_numeric_dtype(table[name]), texts(table[name], digits[name])) for name in table]
