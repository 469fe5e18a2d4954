"""Offers datavol to Python: plain arguments in, objects out, mistakes as exceptions.

`datavol` itself carries these names, and imports this module when the first of them is used.
"""

from __future__ import annotations

import html
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datavol.config.command_line.keywords import overrides_of
from datavol.data.subsets import Subset
from datavol.data.subsets import draw_subset as draw_by_number
from datavol.errors import ConfigError, RunError, RunLocked
from datavol.runs.folder import RunFolder
from datavol.study.load import points
from datavol.study.load import study as records
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.verdict import Verdict, verdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from datavol.asking.ending import Answered
    from datavol.config.run import Run
    from datavol.study.report.screen.contents import FirstScreen

SHOWN = ["run", "state", "data", "model", "recipe", "fraction", "images", "seed", "top1", "best_top1", "reason"]
"""Columns of runs that a notebook shows."""


class Verdicts(tuple[Verdict, ...]):
    """Holds a verdict per learning curve; prints as their sentences."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(str, self))


class Study(records.Study):
    """Holds the records of runs, and answers; units are shares of 1.

    `runs` has a row per run and `epochs` one per budget epoch, as `datavol.study.load.study` describes them.
    """

    def verdict(self, **asked: Any) -> Verdicts:
        """Sum up each learning curve; arguments are those of `answers`."""
        return Verdicts(verdicts(self, **asked))

    def answers(self, **asked: Any) -> list[Answer]:
        """Answer every question, as `datavol.answers` does."""
        return answers(self, **asked)

    def first_screen(self, **asked: Any) -> FirstScreen:
        """Make what a report says first; arguments are those of `first_screen`."""
        from datavol.study.report.screen.first_screen import first_screen

        return first_screen(self, **asked)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Plot accuracy against training images, a line per learning curve.

        Without `axes` it draws into a new figure of pyplot, which notebooks show; `study.plot().figure.savefig(...)`
        writes it.
        """
        import matplotlib as mpl

        from datavol.study.figures import STYLE, accuracy_against_volume
        from datavol.study.tables.summaries import learning_curve_points

        with mpl.rc_context(STYLE):
            if axes is None:
                from matplotlib import pyplot as plt

                axes = plt.figure(layout="constrained").subplots()
            frame = learning_curve_points(self.finished, self.measure)
            if self.points is None:
                return accuracy_against_volume(frame, axes)
            return accuracy_against_volume(frame, axes, None, f"validation {self.measure.title} (%)", "curves")

    def report(self, folder: Path | str, *, delta: float = 0.01, target: float | None = None) -> Path:
        """Write page, tables and figures into a folder; return the page."""
        from datavol.study.report.report_data import report_data
        from datavol.study.report.writer import write_report

        return write_report(self, report_data(self, delta=delta, target=target), Path(folder).expanduser())

    def __repr__(self) -> str:
        return "\n".join([f"Study of {self._what()}", *(f"  {line}" for line in self._curves())])

    def _repr_html_(self) -> str:
        """Show a notebook what the study is, and its runs."""
        table = self.runs[[name for name in SHOWN if self.runs[name].notna().any()]]
        return f"<p>{html.escape(repr(self)).replace(chr(10), '<br>')}</p>{table.to_html(index=False, max_rows=20)}"

    def _what(self) -> str:
        if self.points is not None:
            return f"{len(self.runs)} points of {self.measure.name}, {self.points.name}"
        counts = self.runs["state"].value_counts()
        states = ", ".join(f"{counts[state]} {state}" for state in records.STATES if state in counts)
        return f"{', '.join(sorted(set(self.runs['study'])))}: {len(self.runs)} runs, {states}"

    def _curves(self) -> list[str]:
        """Describe the finished runs of each network and data set."""
        finished = records.finished_of(self.runs)
        return [
            f"{model} on {data}: {runs['images'].min():,} to {runs['images'].max():,} images in "
            f"{runs['images'].nunique()} sizes, {runs['seed'].nunique()} seeds, {self.measure.name} "
            f"{self.measure.value(runs['top1']).min():.3f} to {self.measure.value(runs['top1']).max():.3f}"
            for (data, model), runs in finished.groupby(["data", "model"])
        ]


def _asked(study: records.Study) -> Study:
    return Study(**vars(study))


def load_study(paths: Path | str | Sequence[Path | str]) -> Study:
    """Load the runs of one study folder or of several.

    Raises:
        ConfigError: If a folder is missing or holds no run.
    """
    studies = [paths] if isinstance(paths, (Path, str)) else paths
    return _asked(records.load_study([Path(one).expanduser() for one in studies]))


def load_points(file: Path | str, metric: str, *, percent: bool = False, **known: Any) -> Study:
    """Load a CSV file of another trainer's points as a study.

    `percent` says that the file's values are per cent; all that is asked of the study is in shares of 1 nevertheless.
    `known` are the other arguments of `datavol.study.load.points.study_of_points`, such as `guess`.

    Raises:
        ConfigError: If the file is not one of points, or something is not known of its metric.
    """
    file = Path(file).expanduser()
    return _asked(points.study_of_points(points.read_points(file), metric, percent=percent, name=file.stem, **known))


def draw_subset(
    labels: Sequence[Any],
    fraction: float,
    *,
    seed: int = 0,
    draw: str = "independent",
    groups: Sequence[Any] | None = None,
    by: str = "items",
) -> Subset:
    """Draw a stratified subset of a training set by its labels.

    Args:
        labels: The class of every training image, names or numbers.
        fraction: Share of the images, 0 < fraction <= 1.
        seed: Of the draw.
        draw: `independent`, `nested` (a smaller fraction lies in a larger one) or `disjoint` (seeds share no image).
        groups: What every image belongs to, such as its patient, where images belong together.
        by: Whether `fraction` counts `items` or whole `groups`.

    Returns:
        The subset, whose `indices` are sorted positions in `labels`.

    Raises:
        ConfigError: If a class is left without images, or the seeds of `disjoint` are used up.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"fraction must be a number above 0 and at most 1, got {fraction:g}; try fraction=0.25")
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    grouped = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    names = [str(name) for name in classes]
    return draw_by_number(numbers.astype(np.int64), names, fraction, draw, seed, groups=grouped, by=by)


def run(*overrides: str, **keys: Any) -> RunFolder:
    """Train one run in a process of its own; return its folder.

        datavol.run(data="image_folder", root="/data/photos", fraction=0.25, batch_size=32)

    Args:
        overrides: As on the command line, such as `"+model.width=32"`.
        keys: By full name (`**{"recipe.batch_size": 32}`), by the end of it where one key alone has it (`batch_size`),
            or by section (`recipe={"batch_size": 32}`).

    Raises:
        ConfigError: For a mistake, in one line, before anything is written.
        RunError: If the run had to stop; what it measured is kept, and the same call goes on.
    """
    (folder,) = _train([*overrides, *overrides_of(keys)], multirun=False)
    return RunFolder(folder)


def sweep(*overrides: str, **keys: Any) -> Study:
    """Train a run per combination of values; return the study.

        datavol.sweep(model=["resnet50", "mobilenet_v2"], fraction=[0.05, 0.125, 0.25])

    Arguments are those of `run`; a list holds values to try. Finished runs are skipped, others resumed.

    Raises:
        ConfigError: For a mistake, in one line, before anything is written.
        RunError: If a run had to stop; the others are kept, and the same call goes on.
    """
    folders = _train([*overrides, *overrides_of(keys, multirun=True)], multirun=True)
    return load_study(list(dict.fromkeys(folder.parent for folder in folders)))


def ask(*overrides: str, **keys: Any) -> Answered:
    """Answer a question with as few runs as it takes; print its looks.

        datavol.ask(enough=0.25, data="image_folder", root="/data/photos").look.says

    Args:
        overrides: As on the command line of `python -m datavol.ask`.
        keys: As those of `run`; `enough`, `target`, `doubling`, `delta`, `level` are those of `ask`.

    Raises:
        ConfigError: For a mistake, in one line, before anything is trained.
        SystemExit: With a sweep's exit code, if a run failed, is trained elsewhere, or a signal came.
    """
    from datavol.ask import answer
    from datavol.config.command_line.arguments import as_meant

    return answer(as_meant([*overrides, *overrides_of(keys)], multirun=False))


def _train(overrides: list[str], *, multirun: bool) -> list[Path]:
    """Train runs on this machine; return their folders."""
    from datavol.cli.console import announce
    from datavol.cli.installed import check_installed
    from datavol.config.ask import without_question
    from datavol.config.command_line.arguments import as_meant
    from datavol.config.command_line.jobs import distinct_runs
    from datavol.config.compose import compose

    if of_hydra := [one for one in overrides if one.lstrip("+~").startswith("hydra")]:
        raise ConfigError(
            f"what datavol.run and datavol.sweep get must be no key of hydra, got {of_hydra[0]}; "
            f"type it in a shell: python -m datavol.run {'-m ' * multirun}{of_hydra[0]} ..."
        )
    given = as_meant(overrides, multirun=multirun)
    without_question(given)
    compose(given, multirun=multirun)  # a mistake is told first
    check_installed("train")
    from datavol.sweep.local import train_here
    from datavol.sweep.prepared import prepare_runs
    from datavol.sweep.status import Display
    from datavol.training.own_images import compose_own

    every, chosen = compose_own(given, multirun=multirun)
    announce(map(str, chosen))
    runs = distinct_runs(every)
    prepared, _ = prepare_runs(runs)
    _say_where(prepared)
    with Display() as display:
        jobs, number = train_here(prepared, prepared[0].config.sweep, display)
        display.show([job.status for job in jobs])
    if number is not None:  # they have saved themselves
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
    unfinished = [job.status for job in jobs if job.status.state not in ("finished", "skipped") or job.status.elsewhere]
    if unfinished:
        first = unfinished[0]
        kind = ConfigError if first.state == "refused" else RunLocked if first.elsewhere else RunError
        others = f"; {len(unfinished)} of {len(jobs)} runs did not finish" if len(jobs) > 1 else ""
        raise kind(f"{first.run.folder}: {first.note or 'it was not started'}{others}")
    return [run.folder for run in runs]


def _say_where(runs: Sequence[Run]) -> None:
    """Print where runs are trained, and where their records go."""
    from datavol.cli.console import say
    from datavol.runs.provenance import cores
    from datavol.sweep.devices import run_environments, visible_gpus

    config = runs[0].config
    gpus = [] if config.trainer.accelerator == "cpu" else visible_gpus()
    device = f"{len(gpus)} GPUs" if gpus else f"{cores()} CPU cores"
    places = len(run_environments(config.sweep.parallel, [run.config for run in runs]))
    several = f"{len(runs)} runs, {places} at once" if len(runs) > 1 else "a run"
    studies = ", ".join(dict.fromkeys(str(run.folder.parent) for run in runs))
    where = f"on this machine ({device}), each in a process of its own"
    say(f"datavol: trains {several}, {where}; records: {studies}", sys.stderr)
