"""Trains a run, from its configuration to its finished record."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from datavol.cli.console import say
from datavol.config.recipe import RecipeConfig
from datavol.config.run import Config, Run, check_batch_shares
from datavol.config.trainer import TrainerConfig
from datavol.data.augment.device import DeviceTransform, mixing
from datavol.data.datamodule import SubsetDataModule
from datavol.data.prepare import Prepared
from datavol.errors import ConfigError, flat
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import check_world_size
from datavol.training.callbacks.added_metrics import AddedMetrics
from datavol.training.callbacks.averaging import MovingAverage
from datavol.training.callbacks.checkpoints import RunWriter
from datavol.training.callbacks.damage import Damage
from datavol.training.callbacks.monitoring import Margins, Progress, StepLoss, StopOnNonFinite, Threads, Timing
from datavol.training.callbacks.predictions import PredictionWriter
from datavol.training.callbacks.signals import Signals
from datavol.training.changes import check_code_stayed
from datavol.training.hardware.autotune import resolve_auto
from datavol.training.hardware.device_errors import device_errors, unused_gpu
from datavol.training.hardware.memory import keep_freed_memory
from datavol.training.hardware.spinning import BriefSpinning
from datavol.training.module import Classifier
from datavol.training.networks.build import build_network
from datavol.training.networks.features import FeatureData, Untransformed, feature_head
from datavol.training.optimisation.parameter_groups import freeze
from datavol.training.record import logged_curves, open_record, recorded
from datavol.training.resume import find_start
from datavol.training.user_objects import build_callbacks, build_logger

NO_RECORD: Mapping[str, Any] = {}


def train(run: Run, prepared: Prepared) -> None:
    """Train or resume a run until its record is `finished`.

    Raises:
        ConfigError: If the run can't be trained as asked; nothing has been written then.
        RunError: If it had to stop; the record says `failed` and why, and keeps what was measured.
    """
    keep_freed_memory()
    check_code_stayed(run)
    folder = RunFolder(run.folder)
    start = find_start(run.config, folder, prepared)
    trunk = start.trunk.folder.record if start.trunk else None
    config = resolve_auto(run, prepared, trunk=trunk)
    data = build_data(config, prepared, trunk or folder.record)
    data.fill_cache()  # before the other ranks are started, or while they wait for its lock
    signals = Signals()
    keep = config.recipe.schedule.hold(config.epochs) if config.checkpoint.trunk else None
    writer = RunWriter(folder, config.checkpoint, config.check_every, start.rows, signals, lambda row: None, keep)
    title = f"{config.model.name} {100 * prepared.subset.fraction:g} %"
    threads = Threads(start.threads or config.trainer.threads, folder)
    # Lightning calls callbacks in this order: `Signals` replaces Lightning's handlers before any work begins, and the
    # writers come last, when the others have logged their metrics of the budget epoch
    damage = Damage(folder, prepared.source)
    steps = StepLoss(config.trainer.log_every_n_steps)  # before what stops at a loss that is not finite
    added = [AddedMetrics(config.metrics, len(prepared.source.classes)), *build_callbacks(config.callbacks)]
    checks = [StopOnNonFinite(config.check_every), Timing(), damage, Progress(title)]
    watching = [threads, Margins(), steps, *checks, *added]
    averaging = [MovingAverage(config.recipe.ema)] if config.recipe.ema.decay is not None else []
    writing = [PredictionWriter(folder, config.predictions, prepared.source.val.groups), writer]
    callbacks, options = [signals, *averaging, *watching, *writing], step_options(config.recipe)
    trainer = build_trainer(config.trainer, callbacks, build_logger(run), max_epochs=config.epochs, **options)
    check_ranks(trainer, prepared)
    check_batch_shares(config.recipe.batch_size, trainer.world_size, config.recipe.accumulate)
    check_world_size(start.trunk.folder if start.trunk else folder, trainer.world_size)
    config.trainer.check_synchronised(on_cpu=trainer.strategy.root_device.type == "cpu")
    synchronised = config.trainer.sync_batchnorm and trainer.world_size > 1
    module = build_module(config, prepared, synchronised=synchronised)
    if trainer.is_global_zero:  # the other ranks write only the reason of a failure, within `recorded`
        open_record(run, folder, prepared, trainer, start, config, data.facts)
        data.tell()
        if start.trunk:
            taken = f"{start.trunk.epochs} of {config.epochs} budget epochs"
            say(f"{title}: {taken} are taken over from {start.trunk.folder.path}")
        writer.catch_up()
    curves = logged_curves(run, writer, steps, trainer)
    mended = device_errors(trainer.strategy.root_device, trainer.world_size, config.recipe)
    try:
        with curves, recorded(folder, trainer, signals, config.has_own_code), mended, fewer_warnings(), BriefSpinning():
            trainer.fit(module, data, ckpt_path=start.checkpoint, weights_only=True)
    finally:
        data.teardown("fit")  # Lightning calls it after a run that ends; an error that is kept would hold the arrays


def step_options(recipe: RecipeConfig) -> dict[str, Any]:
    """Name what Lightning does to gradients for a recipe."""
    return {
        "accumulate_grad_batches": recipe.accumulate,
        "gradient_clip_val": recipe.clip_norm or recipe.clip_value,
        "gradient_clip_algorithm": "value" if recipe.clip_value else "norm",
    }


@contextmanager
def fewer_warnings() -> Iterator[None]:
    """Silence Lightning's advice on what datavol chose itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
        warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode.*")  # those of recipe.freeze
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # deprecated by torch
        yield


def build_trainer(
    trainer: TrainerConfig, callbacks: list[Any], logger: Logger | None = None, **options: Any
) -> L.Trainer:
    """Build Lightning's trainer without checkpoints, sampling and bars."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # it greets every trainer with the devices it did not find
    # Lightning's own `auto` would take Apple's GPU as well, which has no double precision for the metrics' sums
    accelerator = trainer.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
        if reason := unused_gpu():
            print(f"trainer=auto takes the CPU, since torch does not see this machine's GPU: {reason}", flush=True)
    try:
        with fewer_warnings():
            built = L.Trainer(
                accelerator=accelerator,
                devices=trainer.devices,
                num_nodes=trainer.num_nodes,
                strategy=trainer.strategy,
                precision=trainer.precision if "mixed" in trainer.precision else f"{trainer.precision}-true",  # type: ignore[arg-type]
                benchmark=trainer.cudnn_benchmark is True,
                callbacks=callbacks,
                logger=logger or False,
                enable_checkpointing=True,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                # where srun has started the ranks; a warned run is saved and queued again by datavol
                plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else None,
                **options,
            )
    except (MisconfigurationException, ValueError) as error:  # Lightning's words for devices that do not fit
        raise ConfigError(f"trainer must be what this machine allows, got: {flat(error)}; try trainer=auto") from None
    if not built.precision.startswith(trainer.precision):
        raise ConfigError(
            f"trainer.precision must be one that the device has, got {trainer.precision}, for which Lightning takes "
            f"{built.precision}; try trainer.precision={built.precision}"
        )
    # Lightning asks all ranks after every iteration whether one had SIGTERM, and waits for the device to answer; here
    # each rank hears of it itself (`Signals`)
    built.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return built


def build_module(config: Config, prepared: Prepared, *, synchronised: bool = False) -> Classifier:
    """Build the network with its recipe."""
    classes = len(prepared.source.classes)
    features = config.recipe.on_features
    if features:
        network = feature_head(config, classes)
    else:
        network = build_network(config.model, classes, config.recipe.dropout, config.init_seed)
    if synchronised:  # by timm, since Lightning's way drops the activations within timm's batch normalisations
        from timm.layers import convert_sync_batchnorm  # late: it takes a second

        network = convert_sync_batchnorm(network)
    if config.recipe.freeze is not None:
        freeze(network, config.recipe.freeze)
    if config.trainer.compile is True:
        network.compile()
    return Classifier(
        network,
        classes,
        Untransformed() if features else DeviceTransform(config.data.mean, config.data.std),
        config.recipe,
        prepared.budget,
        mixing(config.recipe.augment, classes),
        config.order_seed,
        "contiguous" if features else config.trainer.memory_format,
    )


def build_data(config: Config, prepared: Prepared, record: Mapping[str, Any] = NO_RECORD) -> SubsetDataModule:
    """Build the loaders of a run, which read pixels as recorded."""
    data = prepared.source, prepared.subset, prepared.budget, config.recipe, config.data
    before = next(iter(record.get("sessions", ())), None)
    arguments = *data, config.order_seed, config.evaluate_train, config.sampling == "balanced", before
    return FeatureData(config, *arguments) if config.recipe.on_features else SubsetDataModule(*arguments)


def check_ranks(trainer: L.Trainer, prepared: Prepared) -> None:
    """Raise a ConfigError if a rank would have nothing to evaluate."""
    images = len(prepared.source.val.labels)
    if images < trainer.world_size:
        raise ConfigError(
            f"trainer.devices must be at most the {images} validation images, got {trainer.world_size}; "
            "try trainer.devices=1"
        )
