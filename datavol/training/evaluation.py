"""Evaluates checkpoints without training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datavol.cli.console import announce
from datavol.config.run import Config
from datavol.data.prepare import Prepared, prepare
from datavol.errors import ConfigError
from datavol.training.callbacks.added_metrics import AddedMetrics
from datavol.training.callbacks.damage import guess_among
from datavol.training.callbacks.monitoring import Margins
from datavol.training.changes import files_differ
from datavol.training.hardware.autotune import recorded_auto
from datavol.training.hardware.device_errors import device_errors
from datavol.training.hardware.memory import keep_freed_memory
from datavol.training.hardware.spinning import BriefSpinning
from datavol.training.module import Classifier
from datavol.training.networks.weights import fit_weights
from datavol.training.resume import check_is_there, read_checkpoint
from datavol.training.trainer import build_data, build_module, build_trainer, check_ranks, fewer_warnings


class Evaluation(NamedTuple):
    """Holds an evaluation's results: a row per checkpoint.

    A row has `checkpoint`, `budget_epoch` and `iteration` (where known), and `val/...`.
    """

    rows: list[dict[str, Any]]
    fingerprint: str  # of the data
    content: str | None  # of its files
    listed: int  # validation images, counted or damaged
    guess: dict[str, float]  # what guessing gives on all that are listed, as a record has it
    is_global_zero: bool  # the one rank that prints and writes


def evaluate(config: Config, checkpoints: Sequence[Path], record: dict[str, Any]) -> Evaluation:
    """Evaluate checkpoints on the validation set, on every rank of the trainer.

    Args:
        config: Network, data, evaluation transform and trainer.
        checkpoints: Lightning checkpoints of datavol, or torchvision's weights.
        record: `run.json` of their run, whose choices replace `auto`; may be empty.

    Raises:
        ConfigError: If a file does not match the configuration.
    """
    for path in checkpoints:
        check_is_there(path)
    keep_freed_memory()
    # the whole training set instead of the run's subset, which is not trained on here and might not be drawn again
    whole = {"fraction": 1.0, "subset_file": None, "draw": "independent", "evaluate_train": False}
    # the checkpoint's replace them, but for a head on the features of those
    bare = {} if config.recipe.on_features else {"model": config.model.model_copy(update={"weights": None})}
    config = recorded_auto(config.model_copy(update=whole | bare), record)
    prepared = prepare(config)
    _check_files(record.get("subset", {}), prepared)
    trainer = build_trainer(config.trainer, [Margins(), AddedMetrics(config.metrics, len(prepared.source.classes))])
    check_ranks(trainer, prepared)
    module = build_module(config, prepared)
    data = build_data(config, prepared, record)
    if trainer.is_global_zero:
        announce(prepared.source.lines)
        data.tell()
    data.fill_cache(train=False)  # files may have changed since it was filled
    rows = []
    for path in checkpoints:
        trained = load_weights(module, path)
        mended = device_errors(trainer.strategy.root_device, trainer.world_size, config.recipe)
        with mended, fewer_warnings(), BriefSpinning():
            trainer.validate(module, data, verbose=False)  # fills module.measured; every later one overwrites it
        rows.append({"checkpoint": path.stem, **trained, **dict(sorted(module.measured.items()))})
    source = prepared.source
    return Evaluation(
        rows,
        source.fingerprint,
        source.content,
        len(source.val),
        guess_among(source),
        trainer.is_global_zero,
    )


def _check_files(manifest: dict[str, Any], prepared: Prepared) -> None:
    """Raise a ConfigError if verified files changed since the run."""
    source = prepared.source
    if source.verify and manifest.get("fingerprint") == source.fingerprint and files_differ(manifest, source):
        raise ConfigError(
            "files must be those that the run was trained on, as data.verify=true asks, got changed ones under the "
            "same names; bring them back, or try data.verify=false"
        )


def load_weights(module: Classifier, path: Path) -> dict[str, int]:
    """Load a checkpoint's weights; return its budget epoch and iteration.

    Raises:
        ConfigError: If the weights are of another network or another number of classes.
    """
    content = read_checkpoint(path)
    try:
        module.load_state_dict(content.get("state_dict", {}))  # as a checkpoint of datavol, whole
    except RuntimeError:
        fitted, weights = fit_weights(module.network, path, "a checkpoint")  # somebody else's, or another dropout
        if fitted.fresh:
            raise ConfigError(
                f"{path} must hold weights for the classes of the data, got another number in {fitted.fresh[0]}; "
                "choose its data=..."
            ) from None
        module.network.load_state_dict(weights)
    if "epoch" not in content:
        return {}
    return {"budget_epoch": content["epoch"] + 1, "iteration": content["global_step"]}  # Lightning counts from 0
