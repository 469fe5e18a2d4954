"""What happens to images on their way to the network: the steps of the reference presets behind the thesis, in order.

Loaders crop, flip and augment, on bytes: arrays a batch at a time, files one after another. The device gets a batch of
bytes, and normalises, erases and mixes it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datavol.config import AugmentConfig, EvaluateConfig
from datavol.data.augment.random_boxes import CHANCES, Boxes, erasures, random_crops
from datavol.runs.randomness import seed_for, uniforms

Images = Tensor | Sequence[Tensor]  # (B, C, H, W), or B times (3, H, W) of any sizes; uint8


class Augmented(NamedTuple):
    """Images (B, C, size, size) uint8 and the boxes to erase in them, (B, 4); None where nothing is ever erased."""

    images: Tensor
    erased: Boxes | None


class Augmentation:
    """Random resized crop, flip and automatic augmentation of training images, and the choice of what is erased.

    All of it is a pure function of (order_seed, place): a sample's place in the run.
    """

    def __init__(self, augment: AugmentConfig, order_seed: int) -> None:
        self.augment, self.order_seed = augment, order_seed
        self.auto = v2.TrivialAugmentWide() if augment.auto == "ta_wide" else None

    def __call__(self, images: Images, places: NDArray[np.int64]) -> Augmented:
        """Augment a batch.

        Args:
            images: A tensor, or a list of tensors.
            places: Their places in the run, (B,).
        """
        augment, size = self.augment, self.augment.crop_size
        chances = uniforms(places, 2 * CHANCES + 2, "augment", self.order_seed)
        crop, flip, erase = np.split(chances, [CHANCES, CHANCES + 1], axis=1)
        heights, widths = np.array([image.shape[-2:] for image in images]).T
        boxes = random_crops(crop, heights, widths, augment.crop_scale)
        views = resized_crops(images, boxes, flip[:, 0] < augment.flip, size)
        if self.auto is not None:
            views = self._automatic(views, places)
        sides = np.full(len(places), size)
        return Augmented(views, erasures(erase, sides, sides, augment.erase) if augment.erase else None)

    def _automatic(self, views: Tensor, places: NDArray[np.int64]) -> Tensor:
        """TrivialAugment as the reference preset has it: on Pillow's images, which are faster here than tensors."""
        assert self.auto is not None
        pixels = views.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
        changed = np.empty_like(pixels, order="C")
        for i, place in enumerate(places.tolist()):
            with seeded(seed_for("augment", self.order_seed, place)):
                changed[i] = np.asarray(self.auto(Image.fromarray(pixels[i])))
        return torch.from_numpy(changed).permute(0, 3, 1, 2)


def pixel_by_pixel(image: Tensor) -> Tensor:
    """An image (3, H, W) as (1, 3, H, W) whose three bytes of a pixel lie side by side, which torch resizes fastest."""
    return image.permute(1, 2, 0).contiguous()[None].permute(0, 3, 1, 2)


def shrink(image: Tensor, side: int) -> Tensor:
    """An image (3, H, W) uint8 whose short side is at most `side` pixels; a smaller one as it is."""
    if min(image.shape[-2:]) <= side:
        return image
    smaller: Tensor = F.resize(pixel_by_pixel(image), [side], antialias=True)[0]
    return smaller


def resized_crops(images: Images, boxes: Boxes, flips: NDArray[np.bool_], size: int) -> Tensor:
    """A box of each image at `size` x `size`, mirrored where `flips` says: uint8, (B, C, size, size).

    Args:
        images: A tensor (B, C, H, W), or a list of B tensors (3, H, W); uint8.
        boxes: Top, left, height, width in pixels, (B, 4).
        flips: (B,).
        size: Pixels.
    """
    if isinstance(images, Tensor):
        return _resized_at_once(images, boxes, flips, size)
    views = []
    for image, (top, left, height, width), flip in zip(images, boxes.tolist(), flips.tolist(), strict=True):
        part = pixel_by_pixel(image[:, top : top + height, left : left + width])
        view = interpolate(part, (size, size), mode="bilinear", antialias=True)  # F.resize loses the layout
        views.append(view.flip(3) if flip else view)
    return torch.cat(views)


def _resized_at_once(images: Tensor, boxes: Boxes, flips: NDArray[np.bool_], size: int) -> Tensor:
    """Antialiased bilinear resizing is linear in rows and in columns: two products with small matrices per image."""
    top, left, height, width = boxes.T
    rows = _resizing(top, height, size, images.shape[2])
    columns = _resizing(left, width, size, images.shape[3])
    columns[flips] = columns[flips, ::-1]
    across = torch.from_numpy(columns)[:, None].transpose(2, 3)
    views = torch.from_numpy(rows)[:, None] @ images.float() @ across
    return views.add_(0.5).to(torch.uint8)  # rounded: uint8 cuts off


def _resizing(starts: NDArray[np.int64], extents: NDArray[np.int64], size: int, length: int) -> NDArray[np.float32]:
    """The matrices of a batch, (B, size, length)."""
    return np.stack([_matrix(*part, size, length) for part in zip(starts.tolist(), extents.tolist(), strict=True)])


@lru_cache(maxsize=1024)  # a side of 32 pixels has 528 parts
def _matrix(start: int, extent: int, size: int, length: int) -> NDArray[np.float32]:
    """The matrix (size, length) that resizes `extent` pixels from `start` on to `size`: Pillow's triangle filter."""
    scale = extent / size
    centres = start + (np.arange(size)[:, None] + 0.5) * scale
    pixels = np.arange(length)
    weights = np.maximum(0.0, 1.0 - np.abs(pixels + 0.5 - centres) / max(scale, 1.0))
    weights *= (pixels >= start) & (pixels < start + extent)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def evaluation_view(images: Images, evaluate: EvaluateConfig) -> Tensor:
    """The central crop after resizing the short side, without chance: uint8, (B, C, crop, crop)."""
    if not isinstance(images, Tensor):
        return torch.cat([pixel_by_pixel(evaluation_view(pixel_by_pixel(one), evaluate)[0]) for one in images])
    return F.center_crop(F.resize(images, [evaluate.resize], antialias=True), [evaluate.crop_size])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run with torch's CPU generator at `seed`, and put its state back afterwards.

    The generator is seeded directly: `torch.manual_seed` would queue a call for CUDA at every image in a worker.
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
