"""Counts damaged images, class by class."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback

from datavol.cli.console import announce
from datavol.cli.text import shown
from datavol.data.sources.files.file_table import FileSplit, split_names
from datavol.data.sources.open import Source
from datavol.errors import RunError
from datavol.runs.columns import damaged_in_words
from datavol.runs.folder import RunFolder
from datavol.runs.guessing import guessed
from datavol.training.callbacks.predictions import gather_objects
from datavol.training.module import EVALUATED

SPLITS = ("train", "val")


class Damage(Callback):  # a checkpoint holds its state under the class's name
    """Counts and names images replaced in training or left out of evaluations."""

    def __init__(self, folder: RunFolder, source: Source) -> None:
        self.folder, self.source = folder, source
        known = folder.record.get("damaged", {})  # of a resumed run
        self.found: dict[str, set[str]] = {split: set(known.get(split, {}).get("images", ())) for split in SPLITS}
        self.shown: dict[str, Any] = {}
        self.warned, self.told_last = any(self.found.values()), False

    def state_dict(self) -> dict[str, Any]:
        """Save the damaged images of all ranks."""
        return {"found": {split: sorted(_over_ranks(self.found[split])) for split in SPLITS}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Add the damaged images of a checkpoint inside a budget epoch."""
        for split, keys in state_dict["found"].items():
            self.found[split].update(keys)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add a training batch."""
        self._add("train", outputs["damaged"])

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget the last evaluation's damage, as each evaluation meets all images."""
        self.found["val"] = set()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add an evaluation batch."""
        # `train/clean_` evaluates training images, so that its damage is the training set's
        self._add(EVALUATED[dataloader_idx].partition("/")[0], outputs["damaged"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Unite the ranks' findings, record them, and print what is new.

        Raises:
            RunError: If a class has no validation image left.
        """
        self.found = {split: _over_ranks(self.found[split]) for split in SPLITS}  # every rank, in the same order
        summary = {split: self._summary(split) for split in SPLITS}
        if trainer.is_global_zero:
            self.folder.update(damaged=summary, guess=guess_among(self.source, summary["val"]["classes"]))
            self.told_last = summary != self.shown and any(self.found.values())
            if self.told_last:
                announce([f"warning: {damaged_in_words(summary)}"])
        self.shown = summary
        _check_classes(summary["val"]["classes"])

    def on_fit_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Print the damage once more at the end of a run."""
        if trainer.is_global_zero and any(self.found.values()) and not self.told_last:
            announce([f"warning: {damaged_in_words(self.shown)}"])

    def _add(self, split: str, keys: tuple[str, ...]) -> None:
        """Add a batch's damaged images; warn of a rank's first."""
        if keys and not self.warned:
            self.warned, fate = True, "replaced" if split == "train" else "left out"
            announce(
                [f"warning: damaged images are {fate}, the first is {shown(keys[0])}; all are counted at evaluations"]
            )
        self.found[split].update(keys)

    def _summary(self, split: str) -> dict[str, Any]:
        keys = sorted(self.found[split])
        return {"count": len(keys), "images": keys, "classes": self._per_class(split)}

    def _per_class(self, split: str) -> dict[str, dict[str, int]]:
        """Count damaged and all images of each class with damage."""
        images = getattr(self.source, split)
        if not self.found[split] or not isinstance(images, FileSplit):
            return {}
        keys = {os.fsencode(key) for key in self.found[split]}
        pairs = zip(split_names(images.paths), images.labels.tolist(), strict=True)
        labels = [label for name, label in pairs if name in keys]
        of, classes = Counter(images.labels.tolist()), self.source.classes
        return {classes[c]: {"damaged": count, "of": of[c]} for c, count in sorted(Counter(labels).items())}


def guess_among(source: Source, damaged: Mapping[str, Mapping[str, int]] | None = None) -> dict[str, float]:
    """Compute what guessing gives on the validation images that are counted.

    Args:
        source: The data.
        damaged: Classes with damaged images, as the record has them; none by default.
    """
    counts = np.bincount(source.val.labels, minlength=len(source.classes))
    left_out = {name: one["damaged"] for name, one in (damaged or {}).items()}
    return guessed(counts - [left_out.get(name, 0) for name in source.classes])


def _check_classes(classes: dict[str, dict[str, int]]) -> None:
    """Raise a RunError if all validation images of a class are damaged."""
    lost = [name for name, one in classes.items() if one["damaged"] == one["of"]]
    if lost:
        more = f" and {len(lost) - 1} more classes" if len(lost) > 1 else ""
        raise RunError(
            "data.on_damaged=replace must leave every class a validation image, got none whole of the "
            f"{classes[lost[0]]['of']} of {lost[0]}{more}; mend those that run.json lists"
        )


def _over_ranks(keys: set[str]) -> set[str]:
    return set().union(*gather_objects(keys))
