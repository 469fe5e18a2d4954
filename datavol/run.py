"""Trains a run or a sweep: `python -m datavol.run [-m] key=value ...`."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import hydra

from datavol.cli.boundary import cli_errors
from datavol.cli.console import announce
from datavol.cli.lifeline import die_with_parent
from datavol.config.compose import HYDRA_VERSION, compose, parse
from datavol.config.jobs import distinct_runs
from datavol.config.run import Run
from datavol.config.section import conf_dir
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import supersede
from datavol.sweep.job import is_first_rank, train_run
from datavol.sweep.slurm import check_slurm

if TYPE_CHECKING:
    from datavol.data.prepare import Prepared


@cli_errors
def main() -> None:
    """Compose and check all runs, then let Hydra start them."""
    if not is_first_rank():  # Lightning started it, and the rank that did may have been killed since
        die_with_parent()
    arguments = parse(sys.argv[1:])
    if arguments.help or arguments.hydra_help or arguments.shell_completion:
        print_of_hydra({})  # Hydra answers these itself
        return
    runs = compose(arguments.overrides, multirun=arguments.multirun)
    if arguments.cfg or arguments.info:
        print_of_hydra({run.overrides: run for run in runs})
        return
    every, runs = runs, distinct_runs(runs)
    first: Prepared | None = None
    if is_first_rank():  # Lightning starts the other ranks with this line
        from datavol.data.duplicates.before_training import audit_prepared
        from datavol.data.prepare import with_subset
        from datavol.training.preflight import check_runs  # after the configuration: it opens the data

        if any(run.on_cluster for run in runs):
            check_slurm()
        prepared = check_runs(runs)
        for lines in dict.fromkeys(tuple(one.source.lines) for one in prepared):  # of each data set
            announce(lines)
        prepared, found = audit_prepared(runs, prepared)
        announce(found)
        runs, first = [with_subset(*pair) for pair in zip(runs, prepared, strict=True)], prepared[0]
    by_folder = {run.folder: run for run in runs}
    start_hydra({run.overrides: by_folder[run.folder] for run in every}, first)


def train_alone(run: Run, prepared: Prepared | None) -> None:
    """Train one run; with `sweep.rerun` the old one is moved away first."""
    if run.config.sweep.rerun and is_first_rank():
        supersede([RunFolder(run.folder)])
    train_run(run, prepared)


def print_of_hydra(runs: dict[tuple[str, ...], Run]) -> None:
    """Print what Hydra answers by itself."""
    answer = io.StringIO()  # Hydra reports an output that is closed or full with a traceback of its own
    try:
        with redirect_stdout(answer):
            start_hydra(runs, None)
    finally:
        print(answer.getvalue(), end="")


def start_hydra(runs: dict[tuple[str, ...], Run], prepared: Prepared | None) -> None:
    """Start checked runs through Hydra: one alone, or a sweep.

    `runs` are keyed by their overrides.
    """

    def task(_: Any) -> None:
        (run,) = runs.values()
        try:
            cli_errors(lambda: train_alone(run, prepared))()
        finally:
            for folder in (run.folder, run.folder.parent):  # Hydra made them; a run that never started leaves none
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    # The launcher gets the task function alone, and trains the runs that it carries rather than compose them again
    task.runs = runs  # type: ignore[attr-defined]
    hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION)(task)()


if __name__ == "__main__":
    main()
