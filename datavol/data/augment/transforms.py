"""Augments training images and crops evaluation images, as the thesis's presets do.

Loaders crop, flip and augment files, on bytes, one after another. Arrays are cropped and flipped a batch at a time, on
the device where that is possible (`data.arrays_on_device`). The device normalises, erases and mixes batches of bytes.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from datavol.config.recipe import AugmentConfig, EvaluateConfig
from datavol.data.augment.automatic import PixelChanges
from datavol.data.augment.random_boxes import CHANCES, Boxes, erasures, random_crops
from datavol.runs.randomness import uniforms

Images = Tensor | Sequence[Tensor]  # (B, C, H, W), or B times (3, H, W) of any sizes; uint8


class Draws(NamedTuple):
    """Holds what chance decides about a batch."""

    boxes: Boxes  # to cut out, (B, 4)
    flips: NDArray[np.bool_]  # (B,)
    erased: Boxes | None  # in the crops, (B, 4); None where nothing is ever erased


class Augmentation:
    """Crops, flips and augments training images at random; chooses what to erase.

    All of it is a pure function of (order_seed, sample).
    """

    def __init__(self, augment: AugmentConfig, order_seed: int) -> None:
        self.augment, self.order_seed = augment, order_seed
        self.change_pixels = PixelChanges(augment, order_seed) if augment.of_pixels else None

    def __call__(self, images: Images, samples: NDArray[np.int64]) -> tuple[Tensor, Boxes | None]:
        """Augment images with their numbers in the run's order, (B,).

        Gives (B, C, size, size) uint8 and the boxes to erase, (B, 4); None where nothing is ever erased.
        """
        drawn = self.draw(samples, *np.array([image.shape[-2:] for image in images]).T)
        views = resized_crops(images, drawn.boxes, drawn.flips, self.augment.crop_size)
        if self.change_pixels is not None:
            views = self.change_pixels(views, samples)
        return views, drawn.erased

    def draw(self, samples: NDArray[np.int64], heights: NDArray[np.int64], widths: NDArray[np.int64]) -> Draws:
        """Draw crops, flips and erasures for images of these sizes; all (B,)."""
        augment = self.augment
        # One row of random numbers per sample: CHANCES for the crop, 1 for the flip, CHANCES + 1 for the erasure
        chances = uniforms(samples, 2 * CHANCES + 2, "augment", self.order_seed)
        crop, flip, erase = np.split(chances, [CHANCES, CHANCES + 1], axis=1)
        sides = np.full(len(samples), augment.crop_size)
        return Draws(
            random_crops(crop, heights, widths, augment.crop_scale),
            flip[:, 0] < augment.flip,
            erasures(erase, sides, sides, augment.erase) if augment.erase else None,
        )


def pixel_by_pixel(image: Tensor) -> Tensor:
    """Lay out an image channels last, as (1, 3, H, W)."""
    # A pixel's three bytes lie side by side: torch resizes that fastest
    return image.permute(1, 2, 0).contiguous()[None].permute(0, 3, 1, 2)


def shrink(image: Tensor, side: int) -> Tensor:
    """Shrink an image to a short side of at most `side`."""
    if min(image.shape[-2:]) <= side:
        return image
    return F.resize(pixel_by_pixel(image), [side], antialias=True)[0]


def resized_crops(images: Images, boxes: Boxes, flips: NDArray[np.bool_], size: int) -> Tensor:
    """Crop, resize and mirror images: (B, C, size, size) uint8.

    `boxes` (B, 4) are cut out, and mirrored where `flips` (B,) is true.
    """
    if isinstance(images, Tensor):
        return _resize_at_once(images, boxes, flips, size)
    views = []
    for image, (top, left, height, width), flip in zip(images, boxes.tolist(), flips.tolist(), strict=True):
        part = pixel_by_pixel(image[:, top : top + height, left : left + width])
        view = interpolate(part, (size, size), mode="bilinear", antialias=True)  # F.resize loses the layout
        views.append(view.flip(3) if flip else view)
    return torch.cat(views)


def _resize_at_once(images: Tensor, boxes: Boxes, flips: NDArray[np.bool_], size: int) -> Tensor:
    """Crop, resize and mirror images of equal size by matrix products."""
    top, left, height, width = boxes.T
    rows = _resizing_matrices(top, height, size, images.shape[2])
    columns = _resizing_matrices(left, width, size, images.shape[3])
    columns[flips] = columns[flips, ::-1]  # the output's columns in reverse order: a mirrored view, for nothing
    return matrix_views(images, torch.from_numpy(rows), torch.from_numpy(columns))


def matrix_views(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resize images by matrices of rows and of columns.

    Shapes: images (B, C, H, W) uint8, rows (B, size, H), columns (B, size, W). Antialiased bilinear resizing is linear
    in rows and in columns: view = rows @ image @ columns^T, with weights that are 0 outside the box.
    """
    across = columns[:, None].transpose(2, 3)  # (B, 1, W, size), the 1 for all channels
    views = rows[:, None] @ images.float() @ across  # (B, C, size, size)
    return views.add_(0.5).to(torch.uint8)  # rounded: uint8 cuts off


def resizing_table(length: int, size: int) -> NDArray[np.float32]:
    """Stack the matrices of all parts of a side.

    Ordered by start, then by extent: (parts, size, length).
    """
    return np.stack([_matrix(a, extent, size, length) for a in range(length) for extent in range(1, length - a + 1)])


def part_numbers(starts: NDArray[np.int64], extents: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Find parts of a side in its `resizing_table`."""
    # `length` parts start at 0, one less at 1, ...: starts * length - (0 + 1 + ... + starts - 1) come before
    return starts * length - starts * (starts - 1) // 2 + extents - 1


def _resizing_matrices(
    starts: NDArray[np.int64], extents: NDArray[np.int64], size: int, length: int
) -> NDArray[np.float32]:
    """Stack the matrices of a batch, (B, size, length)."""
    return np.stack([_matrix(*part, size, length) for part in zip(starts.tolist(), extents.tolist(), strict=True)])


@lru_cache(maxsize=1024)  # a side of 32 pixels has 528 parts
def _matrix(start: int, extent: int, size: int, length: int) -> NDArray[np.float32]:
    """Build the matrix (size, length) that resizes `extent` pixels from `start` on.

    It is Pillow's antialiased bilinear filter: a triangle as wide as the scale, normalised at the border of the box.
    """
    scale = extent / size  # input pixels per output pixel
    centres = start + (np.arange(size)[:, None] + 0.5) * scale  # of the output pixels, in input pixels, (size, 1)
    pixels = np.arange(length)
    # The triangle falls to 0 at a distance of one output pixel; of one input pixel where the image is enlarged
    weights = np.maximum(0.0, 1.0 - np.abs(pixels + 0.5 - centres) / max(scale, 1.0))
    weights *= (pixels >= start) & (pixels < start + extent)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def evaluation_view(images: Images, evaluate: EvaluateConfig) -> Tensor:
    """Resize the short side and crop the centre, (B, C, crop, crop)."""
    if not isinstance(images, Tensor):  # sizes differ, so one after another; the crop is laid out anew, channels last
        return torch.cat([pixel_by_pixel(evaluation_view(pixel_by_pixel(one), evaluate)[0]) for one in images])
    return F.center_crop(F.resize(images, [evaluate.resize], antialias=True), [evaluate.crop_size])
