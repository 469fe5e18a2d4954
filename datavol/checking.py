"""Everything about a run that can be wrong before it trains and that the configuration alone does not show."""

from __future__ import annotations

import difflib
from pathlib import Path

from datavol.config import ModelConfig, Run, TrainerConfig, WandbConfig
from datavol.data.preparation import Prepared, check_manifest, prepare_all
from datavol.errors import ConfigError
from datavol.records import RunFolder
from datavol.training.wandb_run import check_wandb


def check_runs(runs: list[Run], *, here: bool = True) -> list[Prepared]:
    """Look at the data, the networks and the folders of the runs of a sweep; nothing is written.

    Args:
        runs: The runs.
        here: Whether they will train on this machine, so that its devices count.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    for run in runs:
        if here:
            _check_devices(run.config.trainer)
        _check_network(run.config.model)
        if isinstance(run.config.logger, WandbConfig):
            check_wandb(run.config.logger)
        if run.config.start_from is not None and not Path(run.config.start_from).is_file():
            raise ConfigError(f"start_from must be a checkpoint's file, got {run.config.start_from}; check the path")
    prepared = prepare_all([run.config for run in runs])
    for run, data in zip(runs, prepared, strict=True):
        folder = RunFolder(run.folder)
        if folder.state is not None:
            check_manifest(folder, data)
    return prepared


def _check_devices(trainer: TrainerConfig) -> None:
    """Raise a ConfigError if GPUs are asked for that are not there; imports torch only then."""
    if trainer.accelerator not in ("gpu", "cuda"):
        return
    import torch

    there, asked = torch.accelerator.device_count(), trainer.devices if isinstance(trainer.devices, int) else 1
    if there < asked:
        raise ConfigError(
            f"trainer.devices must be at most the {there} GPUs of this machine, got {asked}; try "
            + ("trainer=auto" if there else "trainer=cpu")
        )


def _check_network(model: ModelConfig) -> None:
    """Raise a ConfigError unless the network exists; imports timm only if it is asked for."""
    if model.library != "timm" or model.name is None:
        return
    import timm

    if not timm.is_model(model.name):
        near = difflib.get_close_matches(str(model.name), timm.list_models(), n=1, cutoff=0.4)
        remedy = f"try model.name={near[0]}" if near else "timm.list_models() lists them"
        raise ConfigError(f"model.name must be a network of timm, got '{model.name}'; {remedy}")
