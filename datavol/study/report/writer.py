"""A report's files: `report.html`, `tables/` and `figures/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datavol.errors import ConfigError
from datavol.runs.files import write_whole
from datavol.study.load.study import Study
from datavol.study.report.figure_list import report_figures
from datavol.study.report.page import page
from datavol.study.report.renderer import Picture, draw
from datavol.study.report.report_data import ReportData
from datavol.study.tables.formats import KINDS, write_table


def write_report(study: Study, contents: ReportData, folder: Path) -> Path:
    """Write the page, the tables and the figures of a study into a folder; gives the page.

    Raises:
        ConfigError: If nothing can be written there.
    """
    missing = list(contents.missing)
    try:
        for name, table in [("runs", contents.runs), *((shown.name, shown.table) for shown in contents.tables)]:
            for ending in KINDS:
                write_table(table, folder / "tables" / f"{name}{ending}")
        for name, table in contents.lists.items():
            write_table(table, folder / "tables" / f"{name}.csv")
        pictures = list(_pictures(study, folder / "figures", missing))
        write_whole(folder / "report.html", page(replace(contents, missing=missing), pictures).encode())
    except OSError as error:
        raise ConfigError(
            f"--out must be a folder to write into, got {folder}: {error.strerror}; try another"
        ) from None
    return folder / "report.html"


def _pictures(study: Study, folder: Path, missing: list[str]) -> Iterator[Picture]:
    """The figures that the study holds; `missing` takes down why one could not be drawn."""
    for illustration in report_figures(study):
        drawn = draw(illustration, folder)
        if isinstance(drawn, Picture):
            yield drawn
        else:
            missing.append(f"{illustration.title}: {drawn}")
