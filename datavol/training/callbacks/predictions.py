"""Keeps the predictions for every validation image."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions


class PredictionWriter(Callback):
    """Keeps what the network said of every validation image, of the last evaluation or of all."""

    def __init__(self, folder: RunFolder, which: str) -> None:
        self.folder, self.which = folder, which
        self.batches: list[tuple[Tensor, ...]] = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Note a batch; it stays on the device until the evaluation ends."""
        said = outputs["predictions"]
        if self.which == "none" or dataloader_idx or said is None:
            return
        logarithms = said.top_logits - said.top_logits[:, :1] + said.confidence.log().unsqueeze(1)
        self.batches.append((batch.places, said.targets, said.top_classes, logarithms.float()))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Bring the ranks' images together, in the order of the validation set, and keep them."""
        if self.which == "none":
            return
        own = [torch.cat(part).cpu().numpy() for part in zip(*self.batches, strict=True)]
        self.batches.clear()
        ranks = [parts for parts in gather_objects(own) if parts]  # all of a rank's images may have been left out
        if not ranks or not trainer.is_global_zero:
            return
        places, *said = (np.concatenate(part) for part in zip(*ranks, strict=True))
        predictions = Predictions(*(part[np.argsort(places)] for part in said))
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
