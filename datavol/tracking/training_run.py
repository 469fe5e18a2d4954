"""Opens, fills and closes the W&B run of a training's record."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from datavol.config.logger import WandbConfig
from datavol.config.run import Config, Run
from datavol.errors import ConfigError
from datavol.runs.columns import Json
from datavol.runs.folder import RunFolder
from datavol.tracking.keys import wandb_config
from datavol.tracking.run import WandbRun, open_wandb_run
from datavol.tracking.session import address_of, agents_run, check_wandb


def open_for(run: Run, record: Json) -> WandbRun:
    """Start or resume the W&B run of an open record."""
    config = run.config
    assert isinstance(config.logger, WandbConfig)
    return open_wandb_run(
        config.logger,
        folder=run.folder,
        run_id=record["wandb_id"],
        name=config.run_name,
        study=config.study,
        tags=[str(config.model.name), config.data.name, config.recipe.name],
        config=wandb_config(run.values, record),
    )


def summary_of(record: Json) -> dict[str, Any]:
    """List summary values beyond the last row, such as `best/val/top1`."""
    return {f"{which}/{name}": value for which in ("best", "guess") for name, value in record.get(which, {}).items()}


def log_again(run: Run) -> None:
    """Log a finished run to the W&B run that an agent opened.

    An agent may propose a configuration that it, or somebody before it, has trained already.
    """
    if agents_run() is None or not isinstance(run.config.logger, WandbConfig):
        return
    folder = RunFolder(run.folder)
    wandb_run = open_for(run, folder.record)
    for row in folder.rows:
        wandb_run.log(row)
    wandb_run.finish(summary_of(folder.record), exit_code=0)


def places_of_a_sweep(runs: Sequence[Run]) -> Iterator[str]:
    """Say where a sweep's runs go on W&B, once per study."""
    for run in {(run.folder.parent, run.config.logger.model_dump_json()): run for run in runs}.values():
        settings = run.config.logger
        if not isinstance(settings, WandbConfig):
            continue
        mode = check_wandb(settings)
        if mode == "offline":
            pattern = f"{shlex.quote(str(run.folder.parent))}/*/wandb/offline-run-*"
            yield f"W&B: offline; `wandb sync {pattern}` sends the runs"
        elif mode == "online":
            yield f"W&B: {address_of(settings)}, group {settings.group or run.config.study}"


def check_agents_proposal(configs: Sequence[Config]) -> None:
    """Raise a ConfigError if an agent proposes several trainings at once."""
    if agents_run() and len(configs) > 1 and isinstance(configs[0].logger, WandbConfig):
        raise ConfigError(
            f"a W&B agent's proposal must be one run, got {len(configs)}; leave -m out, and let the sweep's file list "
            "the values"
        )
