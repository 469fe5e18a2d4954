"""One run from its configuration to its finished record."""

from __future__ import annotations

import logging
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datavol import provenance
from datavol.budget import thesis_units
from datavol.config import Config, Run, TrainerConfig, WandbConfig, check_batch_shares
from datavol.data.datamodule import SubsetDataModule
from datavol.data.preparation import Prepared
from datavol.data.transforms import mixing
from datavol.errors import ConfigError, RunError
from datavol.records import RunFolder, now
from datavol.training.callbacks import Margins, Progress, StopOnNonFinite, Timing
from datavol.training.classifier import Classifier
from datavol.training.keeping import Damage, Keeper
from datavol.training.networks import build_network
from datavol.training.starting import Start, find_start
from datavol.training.wandb_run import open_wandb_run


def train(run: Run, prepared: Prepared) -> None:
    """Train a run from its start, or from where it stopped, and leave its record `finished`.

    Raises:
        ConfigError: If the run can't be trained as asked; nothing has been written then.
        RunError: If it had to stop; the record says `failed` and why, and keeps what was measured.
    """
    config, folder = run.config, RunFolder(run.folder)
    start = find_start(config, folder, prepared)
    use_threads(start.threads or config.trainer.threads)
    keeper = Keeper(folder, config.checkpoint.keep == "all", start.rows, send=lambda row: None)
    callbacks = [
        Margins(),
        StopOnNonFinite(config.check_every),
        Timing(),
        Damage(folder),
        Progress(_title(run)),
        keeper,
    ]
    trainer = build_trainer(config.trainer, callbacks, max_epochs=config.epochs)
    check_ranks(trainer, prepared, config, start)
    module = build_module(config, prepared)
    data = build_data(config, prepared)
    if trainer.is_global_zero:
        _open_record(run, folder, prepared, trainer, start)
    with _recorded(folder, trainer), _curves(run, keeper, trainer.is_global_zero), fewer_warnings():
        trainer.fit(module, data, ckpt_path=start.checkpoint, weights_only=True)


@contextmanager
def fewer_warnings() -> Iterator[None]:
    """Without Lightning's advice on workers, which datavol chose, and its own use of a name that torch deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        yield


def build_trainer(trainer: TrainerConfig, callbacks: list[Any], **options: Any) -> L.Trainer:
    """Lightning's trainer without what datavol does itself: logging, checkpoints, sampling, bars."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # it greets every trainer with the devices it did not find
    return L.Trainer(
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        num_nodes=trainer.num_nodes,
        strategy=trainer.strategy,
        precision=trainer.precision if "mixed" in trainer.precision else f"{trainer.precision}-true",  # type: ignore[arg-type]
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **options,
    )


def build_module(config: Config, prepared: Prepared) -> Classifier:
    """The network with its recipe."""
    classes = len(prepared.source.classes)
    return Classifier(
        build_network(config.model, classes, config.recipe.dropout, config.init_seed),
        classes,
        config.recipe,
        prepared.budget,
        mixing(config.recipe.augment, classes),
        config.order_seed,
        config.trainer.memory_format,
    )


def build_data(config: Config, prepared: Prepared) -> SubsetDataModule:
    """The loaders of a run."""
    return SubsetDataModule(
        prepared.source,
        prepared.subset,
        prepared.budget,
        config.recipe,
        config.data,
        config.order_seed,
        config.evaluate_train,
    )


def use_threads(threads: int | str) -> None:
    """Set the CPU threads of this rank; `auto` leaves torch's own choice."""
    if isinstance(threads, int):
        torch.set_num_threads(threads)


def check_ranks(trainer: L.Trainer, prepared: Prepared, config: Config, start: Start) -> None:
    """The rules that need the number of ranks, known once `devices: auto` has looked at the machine."""
    check_batch_shares(config.recipe.batch_size, trainer.world_size)
    images = len(prepared.source.val.labels)
    if images < trainer.world_size:
        raise ConfigError(
            f"trainer.devices must be at most the {images} validation images, got {trainer.world_size}; "
            "try trainer.devices=1"
        )
    if start.world_size not in (None, trainer.world_size):
        raise ConfigError(
            f"trainer.devices must stay what the run started with ({start.world_size} ranks), got {trainer.world_size} "
            f"for {start.folder}; try trainer.devices={start.world_size}"
        )


def _title(run: Run) -> str:
    return f"{run.config.model.name} {100 * run.config.fraction:g} %"


def _open_record(run: Run, folder: RunFolder, prepared: Prepared, trainer: L.Trainer, start: Start) -> None:
    """Write what is known before the first iteration."""
    facts = _place(run, folder, trainer, start) | {"state": "running", "reason": None}
    if start.resumed:
        folder.write_rows(start.rows)
    else:
        folder.start(run.values, run.overrides, prepared.manifest, prepared.subset.indices)
        facts = _facts(run, prepared, start) | facts
    folder.update(**facts)


def _facts(run: Run, prepared: Prepared, start: Start) -> dict[str, Any]:
    config, budget = run.config, prepared.budget
    schedule = config.recipe.schedule
    units = thesis_units(prepared.subset.fraction, config.epochs, schedule.step_size, schedule.warmup_epochs)
    return {
        "name": config.run_name,
        "hash": config.run_hash,
        "study": config.study,
        "wandb_id": f"{config.run_hash}-{secrets.token_hex(4)}",
        "config": run.values,
        "subset": {key: value for key, value in prepared.manifest.items() if key != "images_per_class"},
        "classes": list(prepared.source.classes),
        "validation_images": len(prepared.source.val.labels),
        "budget": {
            "epochs": budget.epochs,
            "iterations_per_epoch": budget.iterations_per_epoch,
            "iterations": budget.iterations,
            "passes": budget.passes,
        },
        "thesis_units": {"epochs_step_warmup": units.exact, "rounded": units.rounded},
        "parent": start.parent,
    }


def _place(run: Run, folder: RunFolder, trainer: L.Trainer, start: Start) -> dict[str, Any]:
    """Where this session trains, and what is fixed from the run's first start on."""
    session = {
        "started": now(),
        "budget_epoch": len(start.rows) and int(start.rows[-1]["budget_epoch"]),
        "versions": provenance.versions(),
        "code": provenance.commit(),
        "machine": provenance.machine(),
        "devices": [_device_name(trainer, index) for index in range(trainer.num_devices)],
    }
    return {
        "world_size": trainer.world_size,
        "threads": torch.get_num_threads(),
        "precision": run.config.trainer.precision,
        "memory_format": run.config.trainer.memory_format,
        "sessions": [*folder.record.get("sessions", []), session],
    }


def _device_name(trainer: L.Trainer, index: int) -> str:
    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(index)
    return str(trainer.strategy.root_device.type)


@contextmanager
def _recorded(folder: RunFolder, trainer: L.Trainer) -> Iterator[None]:
    """Leave the record `finished`, or `failed` with the reason."""
    try:
        yield
    except SIGTERMException:
        _close(folder, trainer, "failed", "ended by SIGTERM; the same command goes on")
        raise SystemExit(143) from None
    except SystemExit:  # Lightning's answer to Ctrl-C
        _close(folder, trainer, "failed", "interrupted by Ctrl-C; the same command goes on")
        raise SystemExit(130) from None
    except RunError as error:
        _close(folder, trainer, "failed", str(error))
        raise
    except Exception as error:
        _close(folder, trainer, "failed", f"{type(error).__name__}: {error}")
        raise
    _close(folder, trainer, "finished", None)


def _close(folder: RunFolder, trainer: L.Trainer, state: str, reason: str | None) -> None:
    if trainer.is_global_zero:
        folder.update(state=state, reason=reason, ended=now())


@contextmanager
def _curves(run: Run, keeper: Keeper, is_global_zero: bool) -> Iterator[None]:
    """Send every row to W&B as well, if that is the logger."""
    settings, config = run.config.logger, run.config
    if not isinstance(settings, WandbConfig) or not is_global_zero:
        yield
        return
    record = keeper.folder.record
    knobs = run.values | {name: record["subset"][name] for name in ("size", "full_size")}
    knobs |= {
        "model": config.model.name,
        "data": config.data.name,
        "recipe": config.recipe.name,
        "logger": settings.name,
    }
    sections = {f"{name}_settings": run.values[name] for name in ("model", "data", "recipe", "trainer")}
    wandb_run = open_wandb_run(
        settings,
        folder=run.folder,
        run_id=record["wandb_id"],
        name=config.run_name,
        study=config.study,
        tags=[str(config.model.name), config.data.name, config.recipe.name],
        config=knobs | sections,
    )
    keeper.send = wandb_run.log
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        wandb_run.finish(_summary(keeper.folder.record), exit_code)


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    """Best and last metrics, as `best/val/top1`."""
    return {f"{which}/{name}": value for which in ("best", "last") for name, value in record.get(which, {}).items()}
