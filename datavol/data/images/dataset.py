"""Builds batches for the loaders: reads, augments, replaces damaged images."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datavol.config.recipe import EvaluateConfig
from datavol.data.augment.random_boxes import Boxes
from datavol.data.augment.transforms import Augmentation, Images, evaluation_view, shrink
from datavol.data.images.cache_reader import PackedImages
from datavol.data.images.decode import decode_file
from datavol.data.images.pixel_rules import PLAIN, PixelRules
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.files.file_table import DamagedImage, FileSplit

Positions = NDArray[np.int64]


class Batch(NamedTuple):
    """Holds a batch of a loader."""

    images: Tensor  # (B, 1 or 3, H, W) uint8; gray images keep one channel until they are on the device
    labels: Tensor  # (B,) int64
    damaged: tuple[str, ...]  # keys of the damaged images met
    samples: Tensor  # (B,) int64: the images' numbers in the run's order of samples, or in the order of an evaluation
    erased: Boxes | None = None  # boxes to erase in the images, (B, 4), on the host; None where nothing is


class ArrayReader:
    """Reads a batch out of the array at once."""

    def __init__(self, split: ArraySplit) -> None:
        self.split = split

    def read(self, positions: Positions) -> Tensor:
        """Read images (B, 1 or 3, H, W) in order."""
        images = torch.from_numpy(self.split.images[positions])  # (B, H, W) if gray, or (B, H, W, 3)
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


class FileReader:
    """Reads image files one after another, from the cache where possible.

    All are shrunk to `short_side`, if given, cached or not: the cache makes no difference to the pixels.
    """

    def __init__(
        self,
        split: FileSplit,
        short_side: int | None = None,
        packed: PackedImages | None = None,
        rules: PixelRules = PLAIN,
    ) -> None:
        self.split, self.short_side, self.packed, self.rules = split, short_side, packed, rules

    def read(self, positions: Positions) -> list[Tensor]:
        """Read images (3, H, W) of any sizes in order.

        Raises:
            DamagedImage: If one of them does not decode.
        """
        return [self._image(position) for position in positions.tolist()]

    def _image(self, position: int) -> Tensor:
        kept = self.packed.image(position) if self.packed else None
        if kept is not None:
            return kept
        image = decode_file(self.split, position, self.rules)
        return image if self.short_side is None else shrink(image, self.short_side)


Reader = ArrayReader | FileReader


class TrainingImages(Dataset[Batch]):
    """Gives augmented batches of training images.

    With `replace`, a damaged image gives way to the next sound one of its class in the subset, cyclically.
    """

    def __init__(self, reader: Reader, subset: Positions, augmentation: Augmentation, replace: bool) -> None:
        self.reader, self.subset, self.augmentation, self.replace = reader, subset, augmentation, replace
        self.labels = reader.split.labels

    def __len__(self) -> int:
        return len(self.subset)

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Batch:
        """Make a batch of pairs (sample of the run, position)."""
        samples, positions = np.array(pairs).T
        images, damaged = self._read(positions)
        labels = torch.from_numpy(self.labels[positions])  # a stand-in is of the same class
        views, erased = self.augmentation(images, samples)
        return Batch(views, labels, damaged, torch.from_numpy(samples), erased)

    def _read(self, positions: Positions) -> tuple[Images, tuple[str, ...]]:
        try:
            return self.reader.read(positions), ()
        except DamagedImage:
            if not self.replace:
                raise
        # Only now one by one: damage is rare, and an array or a sound batch is read at once
        sound = [self._next_sound_image(position) for position in positions.tolist()]
        return [image for image, _ in sound], tuple(key for _, damaged in sound for key in damaged)

    def _next_sound_image(self, position: int) -> tuple[Tensor, list[str]]:
        """Read the image or its stand-in; list the damaged ones before it."""
        # The images of its class in the subset, both sorted, rotated so that the image itself comes first
        mates = self.subset[self.labels[self.subset] == self.labels[position]]
        damaged: list[str] = []
        for mate in np.roll(mates, -int(np.searchsorted(mates, position))):
            try:
                return self.reader.read(np.array([mate]))[0], damaged
            except DamagedImage:
                damaged.append(self.reader.split.key(int(mate)))
        raise DamagedImage(
            "data.on_damaged=replace must find a whole image of every class of the subset, got a class without: "
            f"{self.reader.split.key(int(position))!r} and the {len(damaged) - 1:,} others of it are damaged; "
            "mend them"
        )


class EvaluationImages(Dataset[Batch]):
    """Gives batches under the evaluation transform; `skip` leaves damaged images out."""

    def __init__(self, reader: Reader, evaluate: EvaluateConfig, skip: bool) -> None:
        self.reader, self.evaluate, self.skip = reader, evaluate, skip
        self.labels = reader.split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Batch:
        """Make a batch of pairs (sample of the evaluation, position)."""
        sound, images, damaged = self._read(np.array(pairs))
        samples, positions = sound.T
        views = evaluation_view(images, self.evaluate) if len(sound) else torch.empty(0)
        return Batch(views, torch.from_numpy(self.labels[positions]), damaged, torch.from_numpy(samples))

    def _read(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], Images, tuple[str, ...]]:
        """Read images: the sound pairs (B, 2), their images, the others' keys."""
        try:
            return pairs, self.reader.read(pairs[:, 1]), ()
        except DamagedImage:
            if not self.skip:
                raise
        sound, images, damaged = [], [], []
        for sample, position in pairs.tolist():
            try:
                images.append(self.reader.read(np.array([position]))[0])
                sound.append((sample, position))
            except DamagedImage:
                damaged.append(self.reader.split.key(position))
        return np.array(sound, dtype=np.int64).reshape(-1, 2), images, tuple(damaged)  # (0, 2) if none is sound
