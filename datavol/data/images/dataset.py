"""Batches as the loaders ask for them: images read, augmented as their places in the run say, and damage reported."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datavol.config import EvaluateConfig
from datavol.data.augment.random_boxes import Boxes
from datavol.data.augment.transforms import Augmentation, Images, evaluation_view, shrink
from datavol.data.images.cache_reader import PackedImages
from datavol.data.images.decode import decode_file
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.file_table import DamagedImage, FileSplit
from datavol.data.sources.open import Split

Positions = NDArray[np.int64]


class Batch(NamedTuple):
    """What a loader gives.

    Attributes:
        images: (B, 1 or 3, H, W) uint8; gray images keep one channel until they are on the device.
        labels: (B,) int64.
        damaged: Keys of the damaged images met.
        places: (B,) int64: an image's number in the run's order of samples, or in the order of an evaluation.
        erased: Boxes to erase in the images, (B, 4), on the host; None where nothing is.
    """

    images: Tensor
    labels: Tensor
    damaged: tuple[str, ...]
    places: Tensor
    erased: Boxes | None = None


class Reader(Protocol):
    """Reads the images of a split as bytes."""

    @property
    def split(self) -> Split:
        """What is read."""
        ...

    def read(self, positions: Positions) -> Images:
        """Images, in the order of `positions`.

        Raises:
            DamagedImage: One of them does not decode.
        """
        ...


class ArrayReader:
    """Reads a batch out of the array at once."""

    def __init__(self, split: ArraySplit) -> None:
        self.split = split

    def read(self, positions: Positions) -> Tensor:
        """Images (B, 1 or 3, H, W)."""
        images = torch.from_numpy(self.split.images[positions])
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


class FileReader:
    """Reads files one after another, out of the cache what is there; all are shrunk to a short side, if one is given.

    So what is cached makes no difference to the pixels.
    """

    def __init__(self, split: FileSplit, short_side: int | None = None, packed: PackedImages | None = None) -> None:
        self.split, self.short_side, self.packed = split, short_side, packed

    def read(self, positions: Positions) -> list[Tensor]:
        """Images (3, H, W) of any sizes."""
        return [self._image(position) for position in positions.tolist()]

    def _image(self, position: int) -> Tensor:
        kept = self.packed.image(position) if self.packed else None
        if kept is not None:
            return kept
        image = decode_file(self.split, position)
        return image if self.short_side is None else shrink(image, self.short_side)


class TrainingImages(Dataset[Batch]):
    """Training images, augmented.

    With `replace`, a damaged image gives way to the next sound one of its class in the subset, cyclically.
    """

    def __init__(self, reader: Reader, subset: Positions, augmentation: Augmentation, replace: bool) -> None:
        self.reader, self.subset, self.augmentation, self.replace = reader, subset, augmentation, replace
        self.labels = reader.split.labels

    def __len__(self) -> int:
        return len(self.subset)

    def __getitems__(self, samples: list[tuple[int, int]]) -> Batch:
        """The batch of some (place in the run, position in the split)."""
        places, positions = np.array(samples).T
        images, damaged = self._read(positions)
        labels = torch.from_numpy(self.labels[positions])
        views, erased = self.augmentation(images, places)
        return Batch(views, labels, damaged, torch.from_numpy(places), erased)

    def _read(self, positions: Positions) -> tuple[Images, tuple[str, ...]]:
        try:
            return self.reader.read(positions), ()
        except DamagedImage:
            if not self.replace:
                raise
        found = [self._next_sound_image(position) for position in positions.tolist()]
        return [image for image, _ in found], tuple(key for _, damaged in found for key in damaged)

    def _next_sound_image(self, position: int) -> tuple[Tensor, list[str]]:
        """The image itself, or the one that stands in for it; and the keys of the damaged ones before that."""
        mates = self.subset[self.labels[self.subset] == self.labels[position]]
        damaged: list[str] = []
        for mate in np.roll(mates, -int(np.searchsorted(mates, position))):
            try:
                return self.reader.read(np.array([mate]))[0], damaged
            except DamagedImage:
                damaged.append(self.reader.split.key(int(mate)))
        raise DamagedImage(f"every image of a class of the subset is damaged, {damaged[0]} among them")


class EvaluationImages(Dataset[Batch]):
    """Images under the evaluation transform; with `skip`, a damaged one is left out."""

    def __init__(self, reader: Reader, evaluate: EvaluateConfig, skip: bool) -> None:
        self.reader, self.evaluate, self.skip = reader, evaluate, skip
        self.labels = reader.split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, samples: list[tuple[int, int]]) -> Batch:
        """The batch of some (place in the evaluation, position in the split)."""
        sound, images, damaged = self._read(np.array(samples))
        places, positions = sound.T
        views = evaluation_view(images, self.evaluate) if len(sound) else torch.empty(0)
        return Batch(views, torch.from_numpy(self.labels[positions]), damaged, torch.from_numpy(places))

    def _read(self, samples: Positions) -> tuple[Positions, Images, tuple[str, ...]]:
        """The samples that are sound, their images, and the keys of the others."""
        try:
            return samples, self.reader.read(samples[:, 1]), ()
        except DamagedImage:
            if not self.skip:
                raise
        sound, images, damaged = [], [], []
        for place, position in samples.tolist():
            try:
                images.append(self.reader.read(np.array([position]))[0])
                sound.append((place, position))
            except DamagedImage:
                damaged.append(self.reader.split.key(position))
        return np.array(sound, dtype=np.int64).reshape(-1, 2), images, tuple(damaged)
