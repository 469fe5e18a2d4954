"""Counts damaged images."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from datavol.runs.folder import RunFolder
from datavol.training.callbacks.predictions import gather_objects
from datavol.training.module import EVALUATED


class Damage(Callback):
    """Counts and names the damaged images that were replaced in training or left out of an evaluation."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        known = folder.record.get("damaged", {})  # of a run that goes on
        self.found: dict[str, set[str]] = {split: set(found["images"]) for split, found in known.items()}

    def _note(self, split: str, outputs: Any) -> None:
        self.found.setdefault(split, set()).update(outputs["damaged"])

    def state_dict(self) -> dict[str, Any]:
        """What the ranks have found in the budget epoch in progress."""
        return {"found": {split: sorted(_over_ranks(self.found.get(split, set()))) for split in ("train", "val")}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up."""
        for split, keys in state_dict["found"].items():
            self.found.setdefault(split, set()).update(keys)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note what the loader met."""
        self._note("train", outputs)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Note what the loader met."""
        self._note(EVALUATED[dataloader_idx].partition("/")[0], outputs)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Bring the ranks' findings together, and into the record."""
        for split in ("train", "val"):
            self.found[split] = _over_ranks(self.found.get(split, set()))
        if trainer.is_global_zero:
            self.folder.update(damaged=self.summary())

    def summary(self) -> dict[str, Any]:
        """Per split, how many images and which."""
        return {split: {"count": len(keys), "images": sorted(keys)} for split, keys in self.found.items()}


def _over_ranks(keys: set[str]) -> set[str]:
    return set().union(*gather_objects(keys))
