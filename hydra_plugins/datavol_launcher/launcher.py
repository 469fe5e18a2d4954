"""The launchers behind `-m`: they hand the composed runs of a sweep to `datavol.sweep`.

Hydra imports every launcher at every start, so what takes time is imported where it is used.
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

if TYPE_CHECKING:
    from datavol.config import Run

ConfigStore.instance().store(
    group="hydra/launcher",
    name="datavol",
    node={"_target_": "hydra_plugins.datavol_launcher.launcher.DatavolLauncher"},
    provider="datavol",
)


class DatavolLauncher(Launcher):
    """Composes every run of a sweep before the first one starts, then trains each in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self._loader, self._master = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the runs; the process ends with exit code 1 if one of them failed."""
        from datavol.config.compose import to_run

        composed = [self._loader.load_sweep_config(self._master, list(overrides)) for overrides in job_overrides]
        runs = [
            to_run(tuple(overrides), config, multirun=True)
            for overrides, config in zip(job_overrides, composed, strict=True)
        ]
        # Hydra's sweeper has written the sweep's first configuration here; every run keeps its own
        (Path(self._master.hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)
        self._train(runs)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.local import launch_here

        launch_here(runs, runs[0].config.sweep)


class SlurmLauncher(DatavolLauncher):
    """The same with a SLURM job for each run; `conf/hydra/launcher/` lists its parameters."""

    def __init__(self, **parameters: Any) -> None:
        self._parameters = {
            name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for name, value in parameters.items()
        }

    def _train(self, runs: list[Run]) -> None:
        from datavol.sweep.slurm import launch_on_slurm

        launch_on_slurm(runs, runs[0].config.sweep, self._parameters)
