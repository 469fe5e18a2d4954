"""Writes a report's files: `report.html`, `tables/` and `figures/`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from datavol.errors import ConfigError
from datavol.runs.files import write_whole
from datavol.study.audit.findings import Finding
from datavol.study.figures.names import drawable, fonts_for
from datavol.study.figures.verdict_chart import verdict_chart
from datavol.study.load.study import Study
from datavol.study.report.figure_list import ReportFigure, report_figures
from datavol.study.report.page import page
from datavol.study.report.renderer import FAILED, RenderedFigure, render
from datavol.study.report.report_data import TELL, ReportData, names_of
from datavol.study.report.screen.contents import FirstScreen
from datavol.study.tables.formats import FORMATTERS, write_table


def write_report(study: Study, report: ReportData, folder: Path, say: Callable[[str], None] = print) -> Path:
    """Write a study's page, tables and figures; return the page's path.

    What fails by itself is left out, listed on the page, and said.

    Raises:
        ConfigError: If nothing can be written there.
    """
    missing = list(report.missing)
    try:
        for name, table in [
            ("points" if report.points else "runs", report.runs),
            *((one.name, one.table) for one in report.tables),
        ]:
            for ending in FORMATTERS:
                write_table(table, folder / "tables" / f"{name}{ending}")
        for name, table in report.csv_tables.items():
            write_table(table, folder / "tables" / f"{name}.csv")
        figures = list(_rendered(study, folder / "figures", missing))  # before the page, which lists what is missing
        chart = _chart(report.screen, folder / "figures", missing)
        failed = [line for line in missing if FAILED in line]
        findings = [*report.findings, *(Finding("minor", "figure", line, (), TELL) for line in failed)]
        for finding in findings[len(report.findings) :]:
            say(str(finding))
        whole = page(replace(report, missing=missing, findings=findings), figures, chart)
        write_whole(folder / "report.html", whole.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ConfigError(
            f"--out must be a folder to write into, got {folder}: {error.strerror}; try another"
        ) from None
    return folder / "report.html"


def _rendered(study: Study, folder: Path, missing: list[str]) -> Iterator[RenderedFigure]:
    """Render the study's figures; add to `missing` those that fail."""
    fonts = fonts_for(names_of(study.runs))
    for figure in report_figures(study):
        rendered = render(figure, folder, fonts)
        if isinstance(rendered, RenderedFigure):
            yield rendered
        else:
            missing.append(f"{figure.title}: {rendered}")


def _chart(screen: FirstScreen, folder: Path, missing: list[str]) -> RenderedFigure | None:
    """Render the chart of the first screen; add to `missing` if that fails."""
    if (points := screen.chart) is None:
        return None
    told: dict[str, Any] = {"here": points.here, "target": points.target, "guess": points.guess, "level": screen.level}
    title = drawable(screen.measure.name)
    draw = partial(verdict_chart, measured=points.measured, forecast=points.forecast, name=title, **told)
    rendered = render(ReportFigure("verdict", "The verdict in one chart", "", draw), folder, fonts_for([title]))
    if isinstance(rendered, RenderedFigure):
        return rendered
    missing.append(f"The verdict in one chart: {rendered}")
    return None
