"""Counts damaged images."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from datavol.runs.folder import RunFolder
from datavol.training.callbacks.predictions import gather_objects
from datavol.training.module import EVALUATED

SPLITS = ("train", "val")


class Damage(Callback):  # a checkpoint holds its state under the class's name
    """Counts and names images replaced in training or left out of evaluations."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        known = folder.record.get("damaged", {})  # of a resumed run
        self.found: dict[str, set[str]] = {split: set(known.get(split, {}).get("images", ())) for split in SPLITS}

    def state_dict(self) -> dict[str, Any]:
        """Save the damaged images of all ranks."""
        return {"found": {split: sorted(_over_ranks(self.found[split])) for split in SPLITS}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Add the damaged images of a checkpoint inside a budget epoch."""
        for split, keys in state_dict["found"].items():
            self.found[split].update(keys)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add a training batch."""
        self.found["train"].update(outputs["damaged"])

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add an evaluation batch."""
        # `train/clean_` evaluates training images, so that its damage is the training set's
        self.found[EVALUATED[dataloader_idx].partition("/")[0]].update(outputs["damaged"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Unite the ranks' findings and record them."""
        self.found = {split: _over_ranks(self.found[split]) for split in SPLITS}  # every rank, in the same order
        if trainer.is_global_zero:
            summary = {split: {"count": len(keys), "images": sorted(keys)} for split, keys in self.found.items()}
            self.folder.update(damaged=summary)


def _over_ranks(keys: set[str]) -> set[str]:
    return set().union(*gather_objects(keys))
