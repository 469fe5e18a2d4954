"""LightningModule around a network."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datavol.config.recipe import RecipeConfig
from datavol.data.budget import Budget
from datavol.data.images.dataset import Batch
from datavol.runs.randomness import seed_for
from datavol.training.metrics import Accuracy, top_predictions
from datavol.training.optimisation.optimiser import build_optimiser
from datavol.training.optimisation.parameter_groups import frozen_norms, parameter_groups
from datavol.training.optimisation.schedules import build_schedule

EVALUATED = ("val/", "train/clean_")  # metric prefix of each evaluation loader, in the loaders' order
Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the random generators of the host and the current device."""
    # torch.manual_seed also queues the seed for every kind of device that is not initialised, and formats a stack trace
    # for each queued call: 2 ms an iteration on a CPU
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)  # of the current device: each rank has its own


class Classifier(L.LightningModule):
    """Trains a network by a recipe and measures top-1, top-5 and loss.

    `measured` holds the metrics of the current budget epoch as `split/metric`, from the module and from callbacks.
    Training loss is the recipe's objective; evaluation loss is plain cross-entropy, so that recipes can be compared.
    Training accuracy under mixing counts against the larger of the two mixed labels.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        finish: nn.Module,
        recipe: RecipeConfig,
        budget: Budget,
        mix: Mixing | None = None,
        order_seed: int = 0,
        memory_format: str = "contiguous",
    ) -> None:
        super().__init__()
        self.format = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
        self.network = network.to(memory_format=self.format)  # `network` prefixes the weights' names in checkpoints
        self.finish = finish
        self.recipe, self.budget, self.mix, self.order_seed = recipe, budget, mix, order_seed
        self.train_accuracy = Accuracy(classes)
        self.val_accuracy, self.clean_accuracy = Accuracy(classes), Accuracy(classes)
        self.measured: dict[str, float] = {}
        self._keep_statistics()

    def train(self, mode: bool = True) -> "Classifier":
        """Change to training, but for the batch normalisations of frozen layers."""
        super().train(mode)
        self._keep_statistics()
        return self

    def _keep_statistics(self) -> None:
        """Hold the statistics of frozen layers' batch normalisations."""
        for norm in frozen_norms(self.network) if self.recipe.freeze is not None else ():
            norm.eval()

    @property
    def iteration(self) -> int:
        """Count the optimiser steps so far, over all sessions of the run."""
        return int(self.trainer.global_step)

    def stepped(self, batch_idx: int) -> bool:
        """Return whether a batch completed an iteration, not only a micro-batch."""
        return (batch_idx + 1) % self.recipe.accumulate == 0

    @property
    def evaluated(self) -> tuple[str, ...]:
        """List metric prefixes: `val/`, and with a second loader `train/clean_`."""
        return EVALUATED[: len(self.trainer.val_dataloaders or ())]

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (B, classes) of images (B, 3, H, W)."""
        logits: Tensor = self.network(images.to(memory_format=self.format))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Compute a batch's loss, which Lightning propagates back."""
        # seeded anew at every iteration, so that mixing and dropout are the same in a resumed run as in an undisturbed
        # one; with the rank, so that ranks drop different units
        micro = (batch_idx % self.recipe.accumulate,) if self.recipe.accumulate > 1 else ()
        seed_generators(seed_for("step", self.order_seed, self.iteration, self.global_rank, *micro), self.device)
        images, labels = self.finish(batch.images, batch.erased), batch.labels  # (B, 3, H, W) normalised, (B,)
        if self.mix is not None:
            images, labels = self.mix(images, labels)  # labels become shares of classes, (B, classes)
        logits = self(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        predictions = top_predictions(logits, labels)
        # the batch's mean back to a sum; all of it stays on the device, which `.item()` would wait for
        self.train_accuracy.update(predictions, loss.detach().double() * len(images))
        return {"loss": loss, "predictions": predictions, "damaged": batch.damaged}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Measure a batch of an evaluation."""
        if len(batch.images) == 0:  # all of them were damaged and left out
            return {"predictions": None, "damaged": batch.damaged}  # without logits and labels
        logits = self(self.finish(batch.images))
        predictions = top_predictions(logits, batch.labels)
        accuracy = self.clean_accuracy if dataloader_idx else self.val_accuracy
        losses = F.cross_entropy(logits.float(), batch.labels, reduction="none")  # (B,)
        accuracy.update(predictions, losses.double().sum())  # summed in double: no batch size or rank count shows
        measured = {"predictions": predictions, "damaged": batch.damaged}
        return measured | {"logits": logits.float(), "labels": batch.labels}  # for metrics and callbacks of the user's

    def on_train_epoch_start(self) -> None:
        """Forget the metrics of the budget epoch before."""
        self.measured.clear()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the sums of the budget epoch in progress."""
        checkpoint["train_accuracy"] = self.train_accuracy.over_ranks()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums of the budget epoch in progress."""
        self.train_accuracy.restore(checkpoint["train_accuracy"], self.trainer.is_global_zero)

    def on_train_epoch_end(self) -> None:
        """Report training accuracy and loss over all ranks."""
        self.report("train/", self.train_accuracy)

    def on_validation_epoch_end(self) -> None:
        """Report evaluation accuracy and loss over all ranks."""
        for prefix, metric in zip(self.evaluated, (self.val_accuracy, self.clean_accuracy), strict=False):
            self.report(prefix, metric)

    def report(self, prefix: str, metric: Any) -> None:
        """Write a metric's values over all ranks to `measured`, and reset it."""
        self.measured |= {prefix + name: float(value) for name, value in metric.compute().items()}
        metric.reset()

    def configure_optimizers(self) -> Any:
        """Build the recipe's optimiser and schedule."""
        clipped = self.recipe.clip_norm or self.recipe.clip_value
        # a fused step unscales mixed precision's gradients itself, too late for a clip
        optimiser = build_optimiser(
            parameter_groups(self.network, self.recipe), self.recipe.optimiser, fused=clipped is None
        )
        schedule = self.recipe.schedule
        scheduler = build_schedule(optimiser, schedule, self.budget.epochs, self.budget.iterations_per_epoch)
        interval = "step" if schedule.interval == "iteration" else "epoch"  # Lightning's epoch is a budget epoch
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}
