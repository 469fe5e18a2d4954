"""Saves predictions for every validation image."""

from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions


class PredictionWriter(Callback):
    """Writes predictions for every validation image, of the last or all evaluations."""

    def __init__(self, folder: RunFolder, which: str, groups: NDArray[np.int64] | None = None) -> None:
        self.folder, self.which = folder, which
        self.groups = groups  # of every validation image, where they belong to groups
        self.batches: list[tuple[Tensor, ...]] = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep a batch's predictions on the device until the evaluation ends."""
        top = outputs["predictions"]
        if self.which == "none" or dataloader_idx or top is None:
            return
        # log softmax of the top logits, (B, 5): log p_k = (z_k - z_1) + log p_1
        log_probabilities = top.top_logits - top.top_logits[:, :1] + top.confidence.log().unsqueeze(1)
        self.batches.append((batch.samples, top.targets, top.top_classes, log_probabilities.float()))

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Gather the ranks' predictions and write them in validation-set order."""
        if self.which == "none":
            return
        # per batch (order, targets, classes, log-probabilities) -> one array of each: (N,), (N,), (N, 5), (N, 5)
        own = [torch.cat(part).cpu().numpy() for part in zip(*self.batches, strict=True)]
        self.batches.clear()
        ranks = [parts for parts in gather_objects(own) if parts]  # a rank's images may all have been damaged
        if not ranks or not trainer.is_global_zero:
            return
        # ranks take turns over the validation set (0, 2, 4, ... and 1, 3, 5, ...), so that their images are interleaved
        order, *columns = (np.concatenate(part) for part in zip(*ranks, strict=True))
        groups = None if self.groups is None else self.groups[np.sort(order)]
        labels, classes, log_probabilities = (column[np.argsort(order)] for column in columns)
        predictions = Predictions(labels, classes, log_probabilities, groups)
        self.folder.write_predictions("last", predictions)
        if self.which == "all":
            self.folder.write_predictions(f"budget_epoch_{trainer.current_epoch + 1:04d}", predictions)


def gather_objects(one: Any) -> list[Any]:
    """Collect one object from each rank, in the order of ranks."""
    if not torch.distributed.is_initialized():
        return [one]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, one)
    return gathered
