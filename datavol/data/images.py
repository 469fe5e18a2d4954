"""One image as the loader asks for it: decoded, augmented as its place in the run says, and its damage reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from datavol.data.randomness import seed_for
from datavol.data.sources import DamagedImage, Split
from datavol.data.transforms import Transform, seeded


class Sample(NamedTuple):
    """An image (3, H, W), or None where it was left out, its label, the keys of damaged images met, and its place."""

    image: Tensor | None
    label: int
    damaged: tuple[str, ...]
    place: int


class Batch(NamedTuple):
    """Images (B, 3, H, W), labels (B,) int64 or label shares (B, classes), keys of damaged images, places (B,) int64.

    A place is an image's number in the run's order of samples, or in the order of an evaluation.
    """

    images: Tensor
    labels: Tensor
    damaged: tuple[str, ...]
    places: Tensor


class TrainingImages(Dataset[Sample]):
    """Training images, each augmented by a generator keyed by (order_seed, k): its place k in the run.

    With `replace`, a damaged image gives way to the next sound image of its class in the subset, cyclically.
    """

    def __init__(
        self, split: Split, subset: NDArray[np.int64], transform: Transform, order_seed: int, replace: bool
    ) -> None:
        self.split, self.subset, self.transform = split, subset, transform
        self.order_seed, self.replace = order_seed, replace

    def __len__(self) -> int:
        return len(self.subset)

    def __getitem__(self, sample: tuple[int, int]) -> Sample:
        k, position = sample
        image, damaged = self._sound_image(position)
        with seeded(seed_for("augment", self.order_seed, k)):
            return Sample(self.transform(image), int(self.split.labels[position]), damaged, k)

    def _sound_image(self, position: int) -> tuple[Image.Image, tuple[str, ...]]:
        try:
            return self.split.image(position), ()
        except DamagedImage:
            if not self.replace:
                raise
            return self._next_sound_image(position)

    def _next_sound_image(self, position: int) -> tuple[Image.Image, tuple[str, ...]]:
        mates = self.subset[self.split.labels[self.subset] == self.split.labels[position]]
        after = int(np.searchsorted(mates, position)) + 1
        damaged = [self.split.key(position)]
        for mate in np.roll(mates, -after)[:-1]:
            try:
                return self.split.image(int(mate)), tuple(damaged)
            except DamagedImage:
                damaged.append(self.split.key(int(mate)))
        raise DamagedImage(f"every image of a class of the subset is damaged, {damaged[0]} among them")


class EvaluationImages(Dataset[Sample]):
    """Images under the evaluation transform; with `skip`, a damaged one is left out."""

    def __init__(self, split: Split, transform: Transform, skip: bool) -> None:
        self.split, self.transform, self.skip = split, transform, skip

    def __len__(self) -> int:
        return len(self.split.labels)

    def __getitem__(self, sample: tuple[int, int]) -> Sample:
        place, position = sample
        label = int(self.split.labels[position])
        try:
            return Sample(self.transform(self.split.image(position)), label, (), place)
        except DamagedImage:
            if not self.skip:
                raise
            return Sample(None, label, (self.split.key(position),), place)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples to a batch; images that were left out leave no gap."""
    sound = [(sample.image, sample.label, sample.place) for sample in samples if sample.image is not None]
    damaged = tuple(key for sample in samples for key in sample.damaged)
    labels, places = (torch.tensor([one[part] for one in sound], dtype=torch.int64) for part in (1, 2))
    images = torch.stack([one[0] for one in sound]) if sound else torch.empty(0)
    return Batch(images, labels, damaged, places)
