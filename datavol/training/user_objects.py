"""Builds metrics, callbacks and loggers that a configuration names by `_target_`."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torchmetrics import Metric

from datavol.config.logger import OwnLoggerConfig
from datavol.config.objects import build_object
from datavol.config.run import Run
from datavol.errors import ConfigError
from datavol.training.metrics import BUILT_IN


def build_metrics(metrics: Mapping[str, Mapping[str, Any]], classes: int) -> dict[str, Metric]:
    """Build metrics; each gets `num_classes` if it takes it.

    Raises:
        ConfigError: If one is no metric of torchmetrics, or fails.
    """
    built = {}
    for name, options in metrics.items():
        where, given = f"metrics.{name}", {key: value for key, value in options.items() if key != "_target_"}
        if name in BUILT_IN:  # its numbers would be replaced by these
            raise ConfigError(
                f"{where} must have a name that datavol does not measure itself ({', '.join(BUILT_IN)}), got {name}; "
                f"try +metrics.my_{name}._target_={options['_target_']}"
            )
        metric = build_object(where, options["_target_"], given, num_classes=classes)
        if not isinstance(metric, Metric):
            raise ConfigError(
                f"{where} must be a torchmetrics.Metric, got a {type(metric).__name__} of {options['_target_']}; "
                "name its class"
            )
        built[name] = metric
    return built


def build_callbacks(callbacks: Mapping[str, Mapping[str, Any]]) -> list[Callback]:
    """Build callbacks in order.

    Raises:
        ConfigError: If one is no callback of Lightning's, or fails.
    """
    built = []
    for name, options in callbacks.items():
        where, given = f"callbacks.{name}", {key: value for key, value in options.items() if key != "_target_"}
        callback = build_object(where, options["_target_"], given)
        if not isinstance(callback, Callback):
            raise ConfigError(
                f"{where} must be a lightning.pytorch.Callback, got a {type(callback).__name__} of "
                f"{options['_target_']}; name its class"
            )
        built.append(callback)
    return built


def build_logger(run: Run) -> Logger | None:
    """Build the logger of a run, if it is one by `_target_`.

    It gets the study and the run, by the names that Lightning's loggers have for them, where it takes them.

    Raises:
        ConfigError: If it is no logger of Lightning's, or fails.
    """
    settings, config = run.config.logger, run.config
    if not isinstance(settings, OwnLoggerConfig):
        return None
    logger = build_object(
        "logger",
        settings.target,
        settings.options,
        save_dir=str(run.folder / "logger"),
        name=config.study,
        experiment_name=config.study,
        version=config.run_name,
        run_name=config.run_name,
    )
    if not isinstance(logger, Logger):
        raise ConfigError(
            f"logger._target_ must be a logger of lightning.pytorch.loggers, or of its kind, got a "
            f"{type(logger).__name__} of {settings.target}; try logger=csv"
        )
    return logger
