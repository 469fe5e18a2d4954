"""Launches a sweep (`-m`) by handing its composed runs to `datavol.sweep`.

Hydra imports every launcher at every start, so slow imports stand inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from datavol.cli.boundary import cli_errors

if TYPE_CHECKING:
    from datavol.config.run import Run

ConfigStore.instance().store(
    group="hydra/launcher",
    name="datavol",
    node={"_target_": "hydra_plugins.datavol_launcher.launcher.DatavolLauncher"},
    provider="datavol",
)


class DatavolLauncher(Launcher):
    """Composes all runs of a sweep, then trains each in a process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep Hydra's loader and configuration, and the runs already checked."""
        self._loader, self._master = hydra_context.config_loader, config
        self._checked: dict[tuple[str, ...], Run] = getattr(task_function, "runs", {})

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the runs; exit with code 1 if one of them failed."""
        from datavol.config.jobs import distinct_runs

        # all before the first one starts: an error in the last is reported at once
        runs = [self._checked.get(tuple(overrides)) or self._composed(overrides) for overrides in job_overrides]
        # Hydra's sweeper has written the sweep's first configuration here; every run keeps its own
        (Path(self._master.hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)
        different = list({id(run): run for run in runs}.values())  # one that was asked for twice is the same object
        cli_errors(lambda: self._train(distinct_runs(different)))()  # Hydra would print a traceback
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]

    def _composed(self, overrides: Sequence[str]) -> Run:
        """Compose a run chosen by another sweeper, such as Optuna's."""
        from datavol.config.compose import to_run

        config = self._loader.load_sweep_config(self._master, list(overrides))
        return to_run(tuple(overrides), config, multirun=True)

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.local import launch_here

        launch_here(runs, runs[0].config.sweep)


class SlurmLauncher(DatavolLauncher):
    """Trains each run in a SLURM job; `conf/hydra/launcher/` lists its parameters."""

    def __init__(self, **parameters: Any) -> None:
        self._parameters = {  # plain values: submitit pickles them
            name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for name, value in parameters.items()
        }

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.slurm import launch_on_slurm

        launch_on_slurm(runs, runs[0].config.sweep, self._parameters)
