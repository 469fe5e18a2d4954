"""Keeps arrays of images on the device, which crops and flips them.

At 32 pixels a CPU cannot make batches as fast as a GPU trains on them. So loaders only draw, and send positions and
parts to cut out; the device does the rest. The pixels are those of `Augmentation`: bit for bit on a CPU, and elsewhere
but for the rounding of sums, which at times moves one by a level of 255.
"""

from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datavol.config.recipe import AugmentConfig, RecipeConfig
from datavol.data.augment.random_boxes import Boxes
from datavol.data.augment.transforms import (
    Augmentation,
    evaluation_view,
    matrix_views,
    part_numbers,
    resizing_table,
)
from datavol.data.images.dataset import Batch
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.split import Split

LARGEST_SIDE = 64  # pixels: a table of all crops of a side grows with its square
Part = Literal["train", "val"]


class ArrayBatch(NamedTuple):
    """Holds what a device needs to make a batch of its array."""

    array: Part
    positions: Tensor  # in the array, (B,) int64
    parts: Tensor | None  # places in the tables of rows and columns, (B, 2) int64; None in an evaluation
    labels: Tensor  # as in `Batch`, and the two below
    samples: Tensor
    erased: Boxes | None = None


def augmented_on_device(split: Split, augment: AugmentConfig) -> bool:
    """Return whether the device augments: small arrays, with whole crops."""
    return evaluated_on_device(split) and not augment.of_pixels  # they are changed by Pillow, on the host


def evaluated_on_device(split: Split) -> bool:
    """Return whether a device makes evaluation batches: of small arrays."""
    return isinstance(split, ArraySplit) and max(split.images.shape[1:3]) <= LARGEST_SIDE


class ArrayViews(Dataset[ArrayBatch]):
    """Gives batches of an array, with augmentation or for an evaluation."""

    def __init__(self, array: Part, split: ArraySplit, augmentation: Augmentation | None = None) -> None:
        self.array, self.split, self.augmentation = array, split, augmentation

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, pairs: list[tuple[int, int]]) -> ArrayBatch:
        """Draw for a batch of pairs (sample, position)."""
        samples, positions = np.array(pairs).T
        parts, erased = (None, None) if self.augmentation is None else self._draw(self.augmentation, samples)
        labels = torch.from_numpy(self.split.labels[positions])
        return ArrayBatch(self.array, torch.from_numpy(positions), parts, labels, torch.from_numpy(samples), erased)

    def _draw(self, augmentation: Augmentation, samples: NDArray[np.int64]) -> tuple[Tensor, Boxes | None]:
        sides = self.split.images.shape[1:3]
        drawn = augmentation.draw(samples, *(np.full(len(samples), side) for side in sides))
        top, left, height, width = drawn.boxes.T
        rows, columns = part_numbers(top, height, sides[0]), part_numbers(left, width, sides[1])
        columns += drawn.flips * (sides[1] * (sides[1] + 1) // 2)  # the mirrored parts come after all others
        return torch.from_numpy(np.stack([rows, columns], axis=1)), drawn.erased


class DeviceArray:
    """Holds a split's images on a device, and makes batches of them."""

    def __init__(self, split: ArraySplit, recipe: RecipeConfig, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        # (n, H, W) if gray, or (n, H, W, 3), uint8; on the CPU the array itself, without a copy
        self.images = torch.from_numpy(split.images).to(device)

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor]:
        """Build the resizing matrices of all crops.

        Rows are (parts, size, H), columns (2 parts, size, W), of which the second half mirrors.
        """
        size = self.recipe.augment.crop_size
        rows, columns = (torch.from_numpy(resizing_table(side, size)) for side in self.images.shape[1:3])
        return rows.to(self.device), torch.cat([columns, columns.flip(1)]).to(self.device)

    def batch(self, drawn: ArrayBatch) -> Batch:
        """Make a batch on the device; the host waits for nothing."""
        images = self.images.index_select(0, drawn.positions)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)  # (B, 1 or 3, H, W)
        if drawn.parts is None:
            images = evaluation_view(images, self.recipe.evaluate)
        else:
            numbers = zip(self.tables, drawn.parts.unbind(1), strict=True)
            images = matrix_views(images, *(table.index_select(0, number) for table, number in numbers))
        return Batch(images, drawn.labels, (), drawn.samples, drawn.erased)
