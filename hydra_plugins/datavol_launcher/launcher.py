"""Launches a sweep (`-m`) by handing its composed runs to `datavol.sweep`.

Hydra imports every launcher at every start, so slow imports stand inside functions.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from datavol.cli.boundary import cli_errors
from datavol.cli.console import say
from datavol.config.command_line.sweepers import splits_as_hydra
from datavol.errors import ConfigError, RunError

if TYPE_CHECKING:
    from datavol.config.run import Run

ConfigStore.instance().store(
    group="hydra/launcher",
    name="datavol",
    node={"_target_": "hydra_plugins.datavol_launcher.launcher.DatavolLauncher"},
    provider="datavol",
)


class Spoken(logging.Handler):
    """Prints log messages as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        say(record.getMessage(), sys.stderr)


class DatavolLauncher(Launcher):
    """Composes all runs of a sweep, then trains each in a process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep Hydra's loader and configuration, and the runs already checked."""
        self._loader, self._master = hydra_context.config_loader, config
        self._all_known = splits_as_hydra(config)
        if not self._all_known:  # what the sweeper says in the log, such as the best parameters, is its result
            logging.getLogger("hydra_plugins").setLevel(logging.INFO)
            logging.getLogger("hydra_plugins").handlers = [Spoken()]
        self._checked: dict[tuple[str, ...], Run] = getattr(task_function, "runs", {})

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the runs, and return their objectives.

        Exit with code 1 if one of them failed; another sweeper, such as Optuna's, gets the error and judges by itself.
        """
        from datavol.config.command_line.jobs import distinct_runs

        # all before the first one starts: an error in the last is reported at once
        runs = [self._checked.get(tuple(overrides)) or self._composed(overrides) for overrides in job_overrides]
        # Hydra's sweeper has written the sweep's first configuration here; every run keeps its own
        (Path(self._master.hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)
        different = list({id(run): run for run in runs}.values())  # one that was asked for twice is the same object
        try:
            cli_errors(lambda: self._train(distinct_runs(different)))()  # Hydra would print a traceback
        except SystemExit as ended:
            if self._all_known or ended.code != 1:
                raise
        return [self._returned(run) for run in runs]

    def _returned(self, run: Run) -> JobReturn:
        """Report a run to the sweeper, with its objective or why it has none."""
        if self._all_known:  # nobody asks
            return JobReturn(overrides=run.overrides, status=JobStatus.COMPLETED)
        from datavol.sweep.objective import objective_of

        try:
            value = objective_of(run)
        except (ConfigError, RunError) as error:
            return JobReturn(overrides=run.overrides, status=JobStatus.FAILED, _return_value=error)
        say(f"{run.folder}: {run.config.objective} is {value:.6g}")
        return JobReturn(overrides=run.overrides, status=JobStatus.COMPLETED, _return_value=value)

    def _composed(self, overrides: Sequence[str]) -> Run:
        """Compose a run chosen by another sweeper, such as Optuna's."""
        from datavol.config.compose import to_run

        config = self._loader.load_sweep_config(self._master, list(overrides))
        return to_run(tuple(overrides), config, multirun=True)

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.local import launch_here

        launch_here(runs, runs[0].config.sweep, summed_up=self._all_known)


class SlurmLauncher(DatavolLauncher):
    """Trains each run in a SLURM job; `conf/hydra/launcher/` lists its parameters."""

    def __init__(self, **parameters: Any) -> None:
        self._parameters = {  # plain values: submitit pickles them
            name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for name, value in parameters.items()
        }

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.slurm import launch_on_slurm

        launch_on_slurm(runs, runs[0].config.sweep, self._parameters, summed_up=self._all_known)
