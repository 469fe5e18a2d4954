"""Reports on studies: `python -m datavol.report studies/<study> ...` writes page, tables, figures."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datavol.cli.boundary import Parser, cli_errors, path_of
from datavol.cli.console import console
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from datavol.study.load.study import Study
    from datavol.study.report.report_data import ReportData
    from datavol.study.report.screen.label_cost import LabelCost

Form = Literal["screen", "brief", "json"]
OWN = "of a CSV file: "
WIDTH, NARROWEST = 80, 40  # letters of a line


@cli_errors
def main() -> None:
    """Report on the command line's studies, or its CSV file of points."""
    parser = Parser(prog="python -m datavol.report", description=__doc__)
    folders = "a study's folder, such as studies/digits; or one CSV file of another trainer's points, with columns n "
    folders += "(training images), value, and where there are such, seed and curve"
    parser.add_argument("studies", nargs="+", type=path_of, metavar="study", help=folders)
    delta = "points of top-1 that count as a gain (1); of a CSV file on its own scale"
    parser.add_argument("--delta", type=float, help=delta)
    target = "per cent of top-1 that you need; asks how many images it takes; of a CSV file on its own scale"
    parser.add_argument("--target", type=float, help=target)
    miss = "what missing the target costs, in images' worth of labelling; asks which number of images costs least"
    parser.add_argument("--miss", type=float, metavar="IMAGES", help=miss)
    cost = "what one label costs, such as 0.10EUR; tells what more images cost, and what could be saved"
    parser.add_argument("--label-cost", metavar="COST", help=cost)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--brief", dest="form", action="store_const", const="brief", help="print five lines for a mail")
    forms.add_argument("--json", dest="form", action="store_const", const="json", help="print an object for programs")
    forms.add_argument("--runs", action="store_true", help="print a table of every run as well")
    parser.set_defaults(form="screen")
    parser.add_argument("--out", type=path_of, help="the folder to write into; by default the first study's")
    images = "show the images that are mistaken with most confidence, whose labels may be wrong, on the page"
    parser.add_argument("--images", action="store_true", help=images)
    parser.add_argument("--wandb", action="store_true", help="upload page and tables to W&B, into the study's group")
    parser.add_argument("--metric", help=f"{OWN}what value is, such as accuracy, error, mAP, AUROC, F1")
    parser.add_argument("--better", choices=["higher", "lower"], help=f"{OWN}which values are, of a metric not known")
    parser.add_argument("--percent", action="store_true", help=f"{OWN}values are per cent, not shares in [0, 1]")
    parser.add_argument("--guess", type=float, help=f"{OWN}the value that always guessing gives, on the file's scale")
    parser.add_argument("--test-size", type=int, help=f"{OWN}test images that every value was measured on")
    parser.add_argument("--full-size", type=int, help=f"{OWN}training images that you have (the largest n)")
    arguments = vars(parser.parse_args())
    if arguments["label_cost"] is not None:
        from datavol.study.report.screen.label_cost import read_label_cost

        arguments["label_cost"] = read_label_cost(arguments["label_cost"])
    own = {name: arguments.pop(name) for name in ("metric", "better", "percent", "guess", "test_size", "full_size")}
    files = [path for path in arguments["studies"] if path.suffix.lower() == ".csv" or path.is_file()]
    if files:
        _report_file(files, own, **arguments)
        return
    if given := [name for name, value in own.items() if value not in (None, False)]:
        option = f"--{given[0].replace('_', '-')}"
        raise ConfigError(
            f"{option} must be left out with a study's folder, whose records say it, got it; leave it out"
        )
    for name, usual in (("delta", 1), ("target", 95)):
        _check_per_cent(name, arguments[name], usual)
        arguments[name] = None if arguments[name] is None else arguments[name] / 100
    report(**arguments)


def _report_file(
    files: list[Path], own: dict[str, Any], *, studies: list[Path], wandb: bool, images: bool, **asked: Any
) -> None:
    """Check the options of a CSV file, and report on it."""
    if len(files) < len(studies):
        raise ConfigError(
            f"a CSV file must be reported alone, got {files[0]} beside a study's folder; report each alone"
        )
    if len(files) > 1:
        raise ConfigError(
            f"a CSV file must be reported alone, got {len(files)}; put their curves into one file, with a column curve"
        )
    if wandb:
        raise ConfigError("--wandb must be left out with a CSV file, which has no group on W&B, got it; leave it out")
    if images:
        raise ConfigError("--images must be left out with a CSV file, which names no image, got it; leave it out")
    if own["metric"] is None:
        raise ConfigError(
            "--metric must be given with a CSV file, got nothing; try --metric accuracy, or error, or mAP"
        )
    report_points(files[0], **own, **asked, again=shlex.join(["python", "-m", "datavol.report", *sys.argv[1:]]))


def report_points(
    file: Path,
    metric: str,
    *,
    delta: float | None = None,
    target: float | None = None,
    miss: float | None = None,
    label_cost: LabelCost | None = None,
    out: Path | None = None,
    percent: bool = False,
    form: Form = "screen",
    runs: bool = False,
    again: str | None = None,
    **known: Any,
) -> None:
    """Print the first screen of a file of points; write page, tables and figures.

    Args:
        file: See `datavol.study.load.points`.
        metric: The name of what was measured.
        delta: The difference that counts as a gain, on the file's scale; a point by default.
        target: The value that you need, on the file's scale.
        miss: What missing the target costs, in images' worth of labelling.
        label_cost: What a label costs.
        out: The folder to write into; by default `<name>_report` beside the file.
        percent: Whether values, `delta`, `target` and `guess` are per cent.
        form: What is printed.
        runs: Whether every point is listed too.
        again: The command that was typed, for what is mended in the file.
        known: The other arguments of `study_of_points`.

    Raises:
        ConfigError: If the file is not one of points, or something is not known of its metric.
    """
    from datavol.study.load.points import read_points, study_of_points
    from datavol.study.report.report_data import report_data
    from datavol.study.report.table_lines import table_lines

    top = 100 if percent else 1
    study = study_of_points(read_points(file), metric, percent=percent, name=file.stem, **known)
    delta = 0.01 * top if delta is None else delta
    for name, value, usual in (("delta", delta, 0.01), ("target", target, 0.9)):
        if value is not None and not 0 < value < top:
            unit = "per cent, as the values are," if percent else "a share, as the values are,"
            usual = value / 100 if not percent and 1 <= value < 100 else usual * top
            raise ConfigError(f"--{name} must be {unit} above 0 and below {top}, got {value:g}; try --{name} {usual:g}")
    if target is not None and percent and target < 1:
        raise ConfigError(
            f"--target must be per cent, as the values are, got {target:g}; try --target {100 * target:g}"
        )
    _check_miss(miss, target, study.measure.value(0.95) * top)
    wanted = None if target is None else target / top
    contents = report_data(study, delta=delta / top, target=wanted, miss=miss, label_cost=label_cost, again=again)
    _write(study, contents, out or file.with_name(f"{file.stem}_report"), form)
    if runs:
        terminal = console()
        for line in table_lines(contents.runs, min(terminal.width, WIDTH)):
            _say(line)


def report(
    studies: list[Path],
    *,
    delta: float | None = None,
    target: float | None = None,
    miss: float | None = None,
    label_cost: LabelCost | None = None,
    out: Path | None = None,
    wandb: bool = False,
    form: Form = "screen",
    runs: bool = False,
    images: bool = False,
) -> None:
    """Print a study's first screen; write report.html, tables/ and figures/.

    A gain counts from `delta` of top-1 on (0.01 by default), `target` is a top-1, both shares; `miss` images are what
    missing it costs, and `out` is by default the first study's folder. `runs` lists every run as well,
    and `images` shows on the page what is mistaken with most confidence.

    Raises:
        ConfigError: If a folder is missing or holds no run, or `miss` is no number of images beside a target.
    """
    from datavol.study.load.study import load_study
    from datavol.study.report.mistaken_images import mistaken_images
    from datavol.study.report.report_data import report_data

    delta = 0.01 if delta is None else delta
    _check_miss(miss, target, 95)
    study = load_study(studies)
    upload = None
    if wandb:
        from datavol.tracking.publishing import destination, publish

        upload = destination(study.runs)  # first, so that a W&B that takes nothing is reported before the work
    sheets = mistaken_images(study) if images else []  # likewise
    contents = report_data(study, delta=delta, target=target, miss=miss, label_cost=label_cost)
    contents = replace(contents, sheets=tuple(sheets))
    page = _write(study, contents, out or studies[0], form)
    if runs:
        _print_runs(study)
    if upload is not None:
        _beside(form)(f"W&B: {publish(page, study.runs['study'].iloc[0], upload)}")


def _write(study: Study, contents: ReportData, folder: Path, form: Form) -> Path:
    """Print a report's first screen in the form that was asked for; write the page."""
    from datavol.study.report.screen.brief import brief_lines
    from datavol.study.report.screen.lines import paragraph
    from datavol.study.report.screen.machines import screen_json
    from datavol.study.report.screen.terminal import screen_lines
    from datavol.study.report.writer import write_report

    if form == "screen":  # at once: figures take a while
        for line in [*screen_lines(contents.screen, _width()), ""]:
            _say(line)
    made = [str(finding) for finding in contents.findings if finding.name in ("question", "names")]
    for line in made:  # what went wrong in making the report
        for part in paragraph(line, _width()) if form == "screen" else [line]:
            _beside(form)(part)
    page = write_report(study, contents, folder, _beside(form))
    for line in brief_lines(contents.screen) if form == "brief" else ():
        _say(line)
    if form == "json":
        _say(screen_json(contents.screen, page))
    _beside(form)(f"page: {page}")
    return page


def _print_runs(study: Study) -> None:
    """Print a table of every run, and why some are not used."""
    from datavol.study.tables.run_tables import results_table

    console().print(results_table(study.runs))
    for run in study.runs[study.runs["state"].isin(["failed", "unreadable"])].itertuples():
        _say(f"{run.state}: {run.folder}: {run.reason}")


def _width() -> int:
    return max(NARROWEST, min(console(WIDTH).width, WIDTH))


def _say(line: str) -> None:
    console().print(line, markup=False, highlight=False, soft_wrap=True)


def _beside(form: Form) -> Callable[[str], None]:
    """Choose where remarks go: on stderr beside forms for programs and mails."""
    return _say if form == "screen" else lambda line: print(line, file=sys.stderr)


def _check_per_cent(name: str, value: float | None, usual: int) -> None:
    if value is not None and not 0 < value < 100:
        raise ConfigError(f"--{name} must be per cent above 0 and below 100, got {value:g}; try --{name} {usual}")


def _check_miss(miss: float | None, target: float | None, usual: float) -> None:
    if miss is None:
        return
    if not 0 <= miss < inf:
        raise ConfigError(f"--miss must be a number of images, got {miss:g}; try --miss 20000")
    if target is None:
        raise ConfigError(f"--miss must come with --target, got {miss:g} alone; try --target {usual:g} --miss {miss:g}")


if __name__ == "__main__":
    main()
