"""Reports on studies: `python -m datavol.report studies/<study> ...` writes page, tables, figures."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from datavol.cli.boundary import Parser, cli_errors
from datavol.cli.console import console
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from datavol.study.report.report_data import ReportData


@cli_errors
def main() -> None:
    """Report on the studies of the command line."""
    parser = Parser(prog="python -m datavol.report", description=__doc__)
    folders = "a study's folder, such as studies/digits"
    parser.add_argument("studies", nargs="+", type=Path, metavar="study", help=folders)
    parser.add_argument("--delta", type=float, default=1.0, help="points of top-1 that count as a gain (1)")
    parser.add_argument("--target", type=float, help="per cent of top-1 that you need; asks how many images it takes")
    miss = "what missing the target costs, in images' worth of labelling; asks which number of images costs least"
    parser.add_argument("--miss", type=float, metavar="IMAGES", help=miss)
    parser.add_argument("--out", type=Path, help="the folder to write into; by default the first study's")
    parser.add_argument("--wandb", action="store_true", help="upload page and tables to W&B, into the study's group")
    report(**vars(parser.parse_args()))


def report(
    studies: list[Path],
    *,
    delta: float = 1,
    target: float | None = None,
    miss: float | None = None,
    out: Path | None = None,
    wandb: bool = False,
) -> None:
    """Print answers, audit and results; write report.html, tables/ and figures/.

    A gain counts from `delta` points of top-1 on, `target` is per cent of top-1, `miss` images are what missing it
    costs, and `out` is by default the first study's folder.

    Raises:
        ConfigError: If a folder is missing or holds no run, `delta` or `target` is no per cent, or `miss` no number of
            images beside a target.
    """
    from datavol.study.load.study import load_study
    from datavol.study.report.report_data import report_data
    from datavol.study.report.writer import write_report
    from datavol.study.tables.summaries import results_table

    _check_per_cent("delta", delta, 1)
    _check_per_cent("target", target, 95)
    _check_miss(miss, target)
    study = load_study(studies)
    upload = None
    if wandb:
        from datavol.tracking.publishing import destination, publish

        upload = destination(study.runs)  # first, so that a W&B that takes nothing is reported before the work
    contents = report_data(study, delta=delta / 100, target=None if target is None else target / 100, miss=miss)
    terminal = console()

    def say(line: object) -> None:
        terminal.print(str(line), markup=False, highlight=False, soft_wrap=True)

    for line in _conclusions(contents):
        say(line)
    terminal.print(results_table(study.runs))
    for run in study.runs[study.runs["state"].isin(["failed", "unreadable"])].itertuples():
        say(f"{run.state}: {run.folder}: {run.reason}")
    page = write_report(study, contents, out or studies[0], say)
    say(f"page: {page}")
    if upload is not None:
        say(f"W&B: {publish(page, study.runs['study'].iloc[0], upload)}")


def _conclusions(contents: ReportData) -> Iterator[str]:
    """Write a report's conclusions for the terminal, line by line."""
    if contents.pending:
        yield f"nothing to conclude yet: {contents.pending}"
    for verdict in contents.verdicts.values():
        yield from verdict.lines
    answered = [answer for answer in contents.answers if answer.state == "answered"]
    for answer in answered:
        yield f"{answer.curve}: {answer.question} {answer.answer}"
    if waiting := [answer for answer in contents.answers if answer.state == "cannot say"]:
        yield f"{len(waiting)} questions cannot be answered yet; the page says why, and what would help"
    yield from map(str, contents.findings)


def _check_per_cent(name: str, value: float | None, usual: int) -> None:
    if value is not None and not 0 < value < 100:
        raise ConfigError(f"--{name} must be per cent above 0 and below 100, got {value:g}; try --{name} {usual}")


def _check_miss(miss: float | None, target: float | None) -> None:
    if miss is None:
        return
    if not 0 <= miss < inf:
        raise ConfigError(f"--miss must be a number of images, got {miss:g}; try --miss 20000")
    if target is None:
        raise ConfigError(f"--miss must come with --target, got {miss:g} alone; try --target 95 --miss {miss:g}")


if __name__ == "__main__":
    main()
