"""One run, or with `-m` a sweep: `python -m datavol.run [-m] [group=name] [key=value] ...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from datavol.cli.boundary import cli_errors
from datavol.config import Run
from datavol.config.compose import HYDRA_VERSION, compose, container, parse, typed
from datavol.config.section import conf_dir
from datavol.runs.folder import RunFolder
from datavol.sweep.job import is_first_rank, train_run
from datavol.sweep.slurm import check_slurm


@cli_errors
def main() -> None:
    """Compose and check everything that is asked for, then let Hydra start the run or the sweep."""
    arguments = parse(sys.argv[1:])
    only_asks = arguments.help or arguments.hydra_help or arguments.shell_completion
    if is_first_rank() and not only_asks:  # Lightning starts the other ranks with this same command line
        runs = compose(arguments.overrides, multirun=arguments.multirun)
        if not arguments.cfg and not arguments.info:
            from datavol.training.preflight import check_runs  # after the configuration: it opens the data

            elsewhere = any(text.startswith("hydra/launcher=") for text in arguments.overrides)
            if elsewhere:
                check_slurm()
            check_runs(runs, here=not elsewhere)
    hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION)(_task)()


def _task(cfg: DictConfig) -> None:
    """Hydra's job: from a composed configuration to objects, and on to the training."""
    hydra_config = HydraConfig.get()
    folder = Path(os.path.relpath(hydra_config.runtime.output_dir))
    run = Run(tuple(hydra_config.overrides.task), container(cfg), typed(cfg), folder)
    if run.config.sweep.rerun and is_first_rank():
        RunFolder(folder).supersede()
    try:
        cli_errors(lambda: train_run(run))()
    finally:
        for place in (folder, folder.parent):  # Hydra has made them; a run that never started leaves none
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


if __name__ == "__main__":
    main()
