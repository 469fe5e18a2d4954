"""Measures the metrics that a user adds, by torchmetrics or of her own."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from datavol.training.module import EVALUATED, Classifier
from datavol.training.user_objects import build_metrics


class AddedMetrics(Callback):
    """Measures metrics of logits (B, classes) and labels (B,) in every evaluation.

    Each has a number per evaluation, recorded as `val/<name>`, or a dictionary of numbers, as `val/<name>_<key>`.
    """

    def __init__(self, metrics: Mapping[str, Mapping[str, Any]], classes: int) -> None:
        self.metrics = {prefix: build_metrics(metrics, classes) for prefix in EVALUATED}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Move the metrics to the device of the logits."""
        for metrics in self.metrics.values():
            for metric in metrics.values():
                metric.to(trainer.strategy.root_device)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add an evaluation batch."""
        if outputs["predictions"] is not None:  # not all of its images were damaged
            for metric in self.metrics[EVALUATED[dataloader_idx]].values():
                metric.update(outputs["logits"], outputs["labels"])

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Report the evaluation, over all ranks."""
        for prefix in pl_module.evaluated:
            for name, metric in self.metrics[prefix].items():
                _report(pl_module, prefix + name, metric.compute())
                metric.reset()


def _report(module: Classifier, name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _report(module, f"{name}_{key}", inner)
        return
    module.measured[name] = float(value)
