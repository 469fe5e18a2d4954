"""The launcher behind `-m`: hands the composed runs of a sweep to `datavol.sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

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
        from datavol.composition import to_run
        from datavol.sweep.launching import launch  # Hydra imports every launcher at every start: keep it light

        composed = [self._loader.load_sweep_config(self._master, list(overrides)) for overrides in job_overrides]
        runs = [
            to_run(tuple(overrides), config, multirun=True)
            for overrides, config in zip(job_overrides, composed, strict=True)
        ]
        # Hydra's sweeper has written the sweep's first configuration here; every run keeps its own
        (Path(self._master.hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)
        launch(runs, runs[0].config.sweep)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]
