"""The LightningModule around a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datavol.config import RecipeConfig
from datavol.data.augment.device import DeviceTransform
from datavol.data.budget import Budget
from datavol.data.images.dataset import Batch
from datavol.runs.randomness import seed_for
from datavol.training.metrics import Accuracy, top_predictions
from datavol.training.optimisation import build_optimiser, build_schedule

EVALUATED = ("val/", "train/clean_")
Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed what draws at random on the host and on the device.

    `torch.manual_seed` also leaves the seed, with the stack as text, for each kind of device that has not been started:
    two milliseconds an iteration on a CPU.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class Classifier(L.LightningModule):
    """Trains a network by a recipe and measures top-1, top-5 and loss.

    `measured` collects what was measured in the current budget epoch, as `split/metric`: by the module itself and by
    callbacks. Training loss is the recipe's objective; evaluation loss is plain cross-entropy, so that recipes can be
    compared. Training accuracy under mixing counts against the larger of the two mixed labels.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        finish: DeviceTransform,
        recipe: RecipeConfig,
        budget: Budget,
        mix: Mixing | None = None,
        order_seed: int = 0,
        memory_format: str = "contiguous",
    ) -> None:
        super().__init__()
        self.format = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
        self.network = network.to(memory_format=self.format)
        self.finish = finish
        self.recipe, self.budget, self.mix, self.order_seed = recipe, budget, mix, order_seed
        self.train_accuracy = Accuracy(classes)
        self.val_accuracy, self.clean_accuracy = Accuracy(classes), Accuracy(classes)
        self.measured: dict[str, float] = {}

    @property
    def iteration(self) -> int:
        """Optimiser steps done so far, over all resumptions."""
        return int(self.trainer.global_step)

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The prefixes of what is evaluated: `val/`, and with a second loader `train/clean_`."""
        return EVALUATED[: len(self.trainer.val_dataloaders or ())]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W)."""
        logits: Tensor = self.network(images.to(memory_format=self.format))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One iteration. Mixing and dropout are keyed by (order_seed, iteration, rank)."""
        seed_generators(seed_for("step", self.order_seed, self.iteration, self.global_rank), self.device)
        images, labels = self.finish(batch.images, batch.erased), batch.labels
        if self.mix is not None:
            images, labels = self.mix(images, labels)
        logits = self(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        predictions = top_predictions(logits, labels)
        self.train_accuracy.update(predictions, loss.detach().double() * len(images))
        return {"loss": loss, "predictions": predictions, "damaged": batch.damaged}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Measure a batch; one whose images were all left out adds nothing."""
        if len(batch.images) == 0:
            return {"predictions": None, "damaged": batch.damaged}
        logits = self(self.finish(batch.images))
        predictions = top_predictions(logits, batch.labels)
        accuracy = self.clean_accuracy if dataloader_idx else self.val_accuracy
        losses = F.cross_entropy(logits.float(), batch.labels, reduction="none")
        accuracy.update(predictions, losses.double().sum())  # image by image, so that the batches do not show
        return {"predictions": predictions, "damaged": batch.damaged}

    def on_train_epoch_start(self) -> None:
        """A budget epoch begins with nothing measured."""
        self.measured.clear()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of the budget epoch in progress."""
        checkpoint["train_accuracy"] = self.train_accuracy.over_ranks()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the sums of the budget epoch in progress."""
        self.train_accuracy.go_on(checkpoint["train_accuracy"], self.trainer.is_global_zero)

    def on_train_epoch_end(self) -> None:
        """Sum up over ranks."""
        self.report("train/", self.train_accuracy)

    def on_validation_epoch_end(self) -> None:
        """Sum up over ranks."""
        for prefix, metric in zip(self.evaluated, (self.val_accuracy, self.clean_accuracy), strict=False):
            self.report(prefix, metric)

    def report(self, prefix: str, metric: Any) -> None:
        """Put a metric's values, over all ranks, under `measured` and start it anew."""
        self.measured |= {prefix + name: float(value) for name, value in metric.compute().items()}
        metric.reset()

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser and schedule."""
        optimiser = build_optimiser(self.network.parameters(), self.recipe.optimiser)
        schedule = self.recipe.schedule
        scheduler = build_schedule(optimiser, schedule, self.budget.epochs, self.budget.iterations_per_epoch)
        interval = "step" if schedule.interval == "iteration" else "epoch"
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}
