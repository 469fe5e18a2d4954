"""Checks data, networks, devices and folders before a run trains."""

import difflib
import sys
from pathlib import Path

from datavol.cli.installed import check_installed
from datavol.config.logger import OwnLoggerConfig, WandbConfig
from datavol.config.model import OwnModelConfig
from datavol.config.run import Config, Run, check_batch_shares
from datavol.config.trainer import TrainerConfig
from datavol.config.user_code import import_module
from datavol.data.prepare import Prepared, check_manifest, prepare_all
from datavol.errors import ConfigError
from datavol.runs.files import check_lockable, check_writable
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import check_replaceable, check_world_size, state_of
from datavol.tracking.session import check_wandb
from datavol.tracking.training_run import check_agents_proposal
from datavol.training.changes import check_files_stayed, check_weights_stayed


def check_runs(runs: list[Run]) -> list[Prepared]:
    """Check all runs of a sweep; nothing is written.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    check_installed("train")
    check_lockable()
    check_agents_proposal([run.config for run in runs])
    for run in runs:
        _check_folder(run)
        if not run.on_cluster:  # a job's node has other devices than this machine
            _check_devices(run.config.trainer)
        if isinstance(run.config.logger, WandbConfig):
            check_wandb(run.config.logger)
    check_settings(runs)
    prepared = prepare_all([run.config for run in runs])
    check_weights(runs, prepared)
    for run, data in zip(runs, prepared, strict=True):
        _check_start(run, data)
    check_files_stayed(runs, prepared)
    _note_unmeasured(runs)
    return prepared


def _note_unmeasured(runs: list[Run]) -> None:
    """Say which added metrics finished runs lack."""
    for run in runs:
        folder = RunFolder(run.folder)
        if not run.config.metrics or run.config.sweep.rerun or folder.state != "finished":
            continue
        measured = folder.record.get("last", {})  # a metric of several numbers has a column for each
        lacks = [name for name in run.config.metrics if not any(key.startswith(f"val/{name}") for key in measured)]
        if lacks:
            print(
                f"datavol: note: {run.folder} is finished, without {', '.join(lacks)}; try python -m datavol.evaluate "
                f"{run.folder} and the same metrics.*, or sweep.rerun=true",
                file=sys.stderr,
            )


def check_settings(runs: list[Run]) -> None:
    """Check what takes neither the data nor this machine's devices."""
    networks: list[object] = []  # a network is built once, however many runs train it
    recipes: list[object] = []
    for run in runs:
        for name in run.config.imports:
            import_module(name)
        _check_ranks(run)
        recipe = run.config.recipe
        network = (run.config.model, recipe.dropout, recipe.augment.crop_size, recipe.evaluate.crop_size)
        if network not in networks:
            _check_network(run.config)
            networks.append(network)
        if (run.config.model, recipe) not in recipes:
            _check_recipe(run.config)
            recipes.append((run.config.model, recipe))
        _check_shares(run.config)
        if run.config.start_from is not None and not Path(run.config.start_from).is_file():
            raise ConfigError(f"start_from must be a checkpoint's file, got {run.config.start_from}; check the path")


def check_weights(runs: list[Run], prepared: list[Prepared]) -> None:
    """Fit each file of weights to its network; print the match."""
    _check_objects(runs, prepared)
    asked = {
        (run.config.model.weights, run.config.model.name, len(data.source.classes)): run.config
        for run, data in zip(runs, prepared, strict=True)
        if run.config.model.weights is not None
    }
    for (*_, classes), config in asked.items():
        from datavol.training.networks.build import taken_weights  # late: it imports torch

        if fitted := taken_weights(config, classes):
            print(fitted, file=sys.stderr)


def _check_objects(runs: list[Run], prepared: list[Prepared]) -> None:
    """Build once what is the user's: networks, metrics, callbacks, loggers."""
    networks: list[object] = []
    watching: list[object] = []
    for run, data in zip(runs, prepared, strict=True):
        config, classes = run.config, len(data.source.classes)
        sizes = config.recipe.augment.crop_size, config.recipe.evaluate
        network = (config.model, config.recipe.dropout, *sizes, classes)
        if isinstance(config.model, OwnModelConfig) and network not in networks:
            from datavol.training.networks.build import check_own_network  # late: it imports torch

            check_own_network(config, classes)
            networks.append(network)
        objects = (config.metrics, config.callbacks, config.logger)
        if (
            config.metrics or config.callbacks or isinstance(config.logger, OwnLoggerConfig)
        ) and objects not in watching:
            from datavol.training.user_objects import build_callbacks, build_logger, build_metrics

            build_metrics(config.metrics, classes)
            build_callbacks(config.callbacks)
            build_logger(run)
            watching.append(objects)


def _check_start(run: Run, prepared: Prepared) -> None:
    """Raise a ConfigError unless the run can resume or start."""
    folder = RunFolder(run.folder)
    if not run.config.sweep.rerun and folder.state is not None:  # one that is moved away may be damaged
        check_manifest(folder, prepared)
        check_weights_stayed(folder, run.config.model)
    elif run.config.start_from is not None or run.config.trunk is not None:
        from datavol.training.resume import begin  # late: it imports torch

        begin(run.config, folder, prepared)


def _check_folder(run: Run) -> None:
    """Raise a ConfigError if a folder is another run's or not writable."""
    folder = RunFolder(run.folder)
    if run.config.sweep.rerun:  # what lies there is moved away
        check_replaceable(folder, run.config)
    elif state_of(folder, run.config) == "finished":
        return
    check_writable(run.folder)


def _check_ranks(run: Run) -> None:
    trainer = run.config.trainer
    if isinstance(trainer.devices, int):
        world_size = trainer.devices * trainer.num_nodes
        check_batch_shares(run.config.recipe.batch_size, world_size, run.config.recipe.accumulate)
        folder = RunFolder(run.folder)
        if not run.config.sweep.rerun and folder.state != "finished":
            check_world_size(folder, world_size)


def _check_shares(config: Config) -> None:
    """Raise a ConfigError if the network refuses one image per device."""
    trainer, batch_size = config.trainer, config.recipe.batch_size
    devices = trainer.devices * trainer.num_nodes if isinstance(trainer.devices, int) else 1  # auto: one, or more later
    parts = devices * config.recipe.accumulate
    if batch_size == parts:
        from datavol.training.networks.build import check_single_images  # late: it imports torch

        check_single_images(config, parts)


def _check_devices(trainer: TrainerConfig) -> None:
    """Raise a ConfigError if this machine lacks the GPUs."""
    if trainer.accelerator not in ("gpu", "cuda") and not trainer.sync_batchnorm:
        return
    import torch  # late: it takes seconds, and is not needed without GPUs

    from datavol.training.hardware.device_errors import why_no_gpu

    if trainer.accelerator not in ("gpu", "cuda"):
        trainer.check_synchronised(on_cpu=not torch.cuda.is_available())
        return
    gpus, asked = torch.cuda.device_count(), trainer.devices if isinstance(trainer.devices, int) else 1
    if gpus < asked:
        raise ConfigError(
            f"trainer.devices must be at most the {gpus} GPUs of this machine, got {asked}"
            + ("; try trainer=auto" if gpus else f" ({why_no_gpu()}); try trainer=cpu")
        )


def _check_recipe(config: Config) -> None:
    """Raise a ConfigError unless torch or timm can do the recipe."""
    recipe, optimiser, schedule = config.recipe, config.recipe.optimiser, config.recipe.schedule
    usual = optimiser.name in ("sgd", "adamw") and schedule.name in ("step", "cosine", "constant")
    if recipe.augment.options or recipe.augment.target:
        from datavol.data.augment.automatic import check_pixel_changes

        check_pixel_changes(recipe.augment)
    own = [one.library or one.target or one.options for one in (optimiser, schedule)]
    if usual and not any(own) and (optimiser.decay, recipe.layer_decay, recipe.freeze) == ("all", None, None):
        return
    from datavol.training.networks.build import meta_network  # late: it imports torch
    from datavol.training.optimisation.optimiser import check_optimiser
    from datavol.training.optimisation.parameter_groups import freeze, parameter_groups
    from datavol.training.optimisation.schedules import check_schedule

    network = meta_network(config.model, 10, recipe.dropout)
    if recipe.freeze is not None:
        freeze(network, recipe.freeze)
    parameter_groups(network, recipe)
    check_schedule(check_optimiser(optimiser), schedule, config.epochs)


def _check_network(config: Config) -> None:
    """Raise a ConfigError unless the network exists and takes the images."""
    model = config.model
    if model.weights is not None:
        from datavol.training.networks.build import check_weights_exist  # late: it imports torch

        check_weights_exist(model)
    if isinstance(model, OwnModelConfig) or model.library != "timm" or model.name is None:
        return
    import timm  # late, and only for its networks: it imports torch

    if not timm.is_model(model.name):
        near = difflib.get_close_matches(model.name, timm.list_models(), n=1, cutoff=0.4)
        remedy = f"try model.name={near[0]}" if near else "timm.list_models() lists them"
        raise ConfigError(f"model.name must be a network of timm, got '{model.name}'; {remedy}")
    from datavol.training.networks.build import check_network

    check_network(config)
