"""One run from its configuration to its finished record."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from datavol.config import Config, Run, TrainerConfig, check_batch_shares
from datavol.data.datamodule import SubsetDataModule
from datavol.data.preparation import Prepared
from datavol.data.transforms import mixing
from datavol.errors import ConfigError
from datavol.records import RunFolder
from datavol.training.callbacks import Margins, Progress, StopOnNonFinite, Timing
from datavol.training.classifier import Classifier
from datavol.training.keeping import Damage, Keeper
from datavol.training.networks import build_network
from datavol.training.recording import open_record, recorded, wandb_curves
from datavol.training.starting import Start, find_start


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
    watching = [Margins(), StopOnNonFinite(config.check_every), Timing(), Damage(folder), Progress(_title(run))]
    trainer = build_trainer(config.trainer, [*watching, keeper], max_epochs=config.epochs)
    check_ranks(trainer, prepared, config, start)
    module = build_module(config, prepared, start.memory_format or config.trainer.memory_format)
    check_image_size(module, config)
    data = build_data(config, prepared)
    if trainer.is_global_zero:
        open_record(run, folder, prepared, trainer, start)
    with recorded(folder, trainer), wandb_curves(run, keeper, trainer.is_global_zero), fewer_warnings():
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
    try:
        return _lightning_trainer(trainer, callbacks, **options)
    except (MisconfigurationException, ValueError) as error:  # Lightning's words for devices that do not fit
        first = " ".join(str(error).split())
        raise ConfigError(
            f"trainer must be what Lightning and this machine allow, got: {first}; try trainer=auto"
        ) from None


def _lightning_trainer(trainer: TrainerConfig, callbacks: list[Any], **options: Any) -> L.Trainer:
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


def build_module(config: Config, prepared: Prepared, memory_format: str) -> Classifier:
    """The network with its recipe."""
    classes = len(prepared.source.classes)
    return Classifier(
        build_network(config.model, classes, config.recipe.dropout, config.init_seed),
        classes,
        config.recipe,
        prepared.budget,
        mixing(config.recipe.augment, classes),
        config.order_seed,
        memory_format,
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


def check_image_size(module: Classifier, config: Config) -> None:
    """Raise a ConfigError unless the network takes images of the recipe's sizes."""
    module.eval()
    for name, size in (("augment", config.recipe.augment.crop_size), ("evaluate", config.recipe.evaluate.crop_size)):
        try:
            with torch.no_grad():
                module(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError, ValueError) as error:  # what networks raise for a size they can't take
            first = " ".join(str(error).split())[:120]
            raise ConfigError(
                f"recipe.{name}.crop_size must be a size that {config.model.name} takes, got {size}: {first}; "
                f"try recipe.{name}.crop_size=224"
            ) from None
    module.train()


def _title(run: Run) -> str:
    return f"{run.config.model.name} {100 * run.config.fraction:g} %"
