"""Writes a report's files: `report.html`, `tables/` and `figures/`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datavol.errors import ConfigError
from datavol.runs.files import write_whole
from datavol.study.load.study import Study
from datavol.study.report.figure_list import report_figures
from datavol.study.report.page import page
from datavol.study.report.renderer import RenderedFigure, render
from datavol.study.report.report_data import ReportData
from datavol.study.tables.formats import FORMATTERS, write_table


def write_report(study: Study, report: ReportData, folder: Path) -> Path:
    """Write a study's page, tables and figures; return the page's path.

    Raises:
        ConfigError: If nothing can be written there.
    """
    missing = list(report.missing)
    try:
        for name, table in [("runs", report.runs), *((one.name, one.table) for one in report.tables)]:
            for ending in FORMATTERS:
                write_table(table, folder / "tables" / f"{name}{ending}")
        for name, table in report.csv_tables.items():
            write_table(table, folder / "tables" / f"{name}.csv")
        figures = list(_rendered(study, folder / "figures", missing))  # before the page, which lists what is missing
        write_whole(folder / "report.html", page(replace(report, missing=missing), figures).encode())
    except OSError as error:
        raise ConfigError(
            f"--out must be a folder to write into, got {folder}: {error.strerror}; try another"
        ) from None
    return folder / "report.html"


def _rendered(study: Study, folder: Path, missing: list[str]) -> Iterator[RenderedFigure]:
    """Render the study's figures; add to `missing` those that fail."""
    for figure in report_figures(study):
        rendered = render(figure, folder)
        if isinstance(rendered, RenderedFigure):
            yield rendered
        else:
            missing.append(f"{figure.title}: {rendered}")
