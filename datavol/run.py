"""Trains a run or a sweep: `python -m datavol.run [-m] key=value ...`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import hydra

from datavol.cli.boundary import cli_errors
from datavol.config.compose import HYDRA_VERSION, compose, parse
from datavol.config.run import Run
from datavol.config.section import conf_dir
from datavol.runs.folder import RunFolder
from datavol.sweep.job import is_first_rank, train_run
from datavol.sweep.slurm import check_slurm

if TYPE_CHECKING:
    from datavol.data.prepare import Prepared


@cli_errors
def main() -> None:
    """Compose and check all runs, then let Hydra start them."""
    arguments = parse(sys.argv[1:])
    if arguments.help or arguments.hydra_help or arguments.shell_completion:
        start_hydra([], None)  # Hydra answers these itself
        return
    runs = compose(arguments.overrides, multirun=arguments.multirun)
    first: Prepared | None = None
    if is_first_rank() and not arguments.cfg and not arguments.info:  # Lightning starts the other ranks with this line
        from datavol.data.prepare import with_subset
        from datavol.training.preflight import check_runs  # after the configuration: it opens the data

        if any(run.on_cluster for run in runs):
            check_slurm()
        prepared = check_runs(runs)
        runs, first = [with_subset(*pair) for pair in zip(runs, prepared, strict=True)], prepared[0]
    start_hydra(runs, first)


def start_hydra(runs: list[Run], prepared: Prepared | None) -> None:
    """Start checked runs by Hydra: one alone, or a sweep."""

    def task(_: Any) -> None:
        (run,) = runs
        if run.config.sweep.rerun and is_first_rank():
            RunFolder(run.folder).supersede()
        try:
            cli_errors(lambda: train_run(run, prepared))()
        finally:
            for folder in (run.folder, run.folder.parent):  # Hydra made them; a run that never started leaves none
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    # The launcher gets the task function alone, and trains the runs that it carries rather than compose them again
    task.runs = {run.overrides: run for run in runs}  # type: ignore[attr-defined]
    hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION)(task)()


if __name__ == "__main__":
    main()
