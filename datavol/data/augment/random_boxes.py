"""Random boxes of images, drawn for a whole batch at once: what a random crop keeps and what an erasure hides.

The distributions are those of torchvision's `RandomResizedCrop` (Szegedy et al. 2015) and `RandomErasing` (Zhong et
al. 2020): up to ten boxes of random area and aspect are drawn, and the first that fits is taken. Boxes are rows of top,
left, height and width in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ATTEMPTS = 10
CHANCES = 2 * ATTEMPTS + 2  # numbers in [0, 1) that a box takes
CROP_RATIO = (3 / 4, 4 / 3)  # width to height
ERASED_AREA = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)  # height to width

Numbers = NDArray[np.float64]
Sizes = NDArray[np.int64]
Boxes = NDArray[np.int64]


def random_crops(chances: Numbers, heights: Sizes, widths: Sizes, smallest: float) -> Boxes:
    """Boxes of `smallest` to all of an image's area; where none of ten fits, the largest central one of allowed aspect.

    Args:
        chances: Numbers in [0, 1), (B, CHANCES).
        heights: The images' heights in pixels, (B,).
        widths: Their widths.
        smallest: The smallest area as a share of the image's.
    """
    area, ratio = _areas_and_ratios(chances, heights * widths, (smallest, 1.0), CROP_RATIO)
    tall, wide = _whole(np.sqrt(area / ratio)), _whole(np.sqrt(area * ratio))
    fits = (tall > 0) & (tall <= heights[:, None]) & (wide > 0) & (wide <= widths[:, None])
    boxes = _placed(chances, _first(fits, tall), _first(fits, wide), heights, widths)
    return np.where(fits.any(axis=1, keepdims=True), boxes, _central_crops(heights, widths))


def erasures(chances: Numbers, heights: Sizes, widths: Sizes, probability: float) -> Boxes:
    """Boxes to erase, of no size where nothing is erased.

    Args:
        chances: Numbers in [0, 1), (B, CHANCES + 1).
        heights: The images' heights in pixels, (B,).
        widths: Their widths.
        probability: Of erasing something in an image.
    """
    area, ratio = _areas_and_ratios(chances, heights * widths, ERASED_AREA, ERASED_RATIO)
    tall, wide = _whole(np.sqrt(area * ratio)), _whole(np.sqrt(area / ratio))
    fits = (tall < heights[:, None]) & (wide < widths[:, None])
    boxes = _placed(chances, _first(fits, tall), _first(fits, wide), heights, widths)
    erased = fits.any(axis=1, keepdims=True) & (chances[:, CHANCES:] < probability)
    return np.where(erased, boxes, 0)


def _areas_and_ratios(
    chances: Numbers, areas: Sizes, share: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Numbers, Numbers]:
    """The attempts' areas, uniform, and aspect ratios, uniform in their logarithm; both (B, ATTEMPTS)."""
    low, high = np.log(ratio)
    shares = share[0] + (share[1] - share[0]) * chances[:, :ATTEMPTS]
    return areas[:, None] * shares, np.exp(low + (high - low) * chances[:, ATTEMPTS : 2 * ATTEMPTS])


def _whole(sides: NDArray[np.floating]) -> Boxes:
    return np.rint(sides).astype(np.int64)


def _first(fits: NDArray[np.bool_], sides: Boxes) -> Sizes:
    """The side of the first box that fits, (B,); of any where none does."""
    found: Sizes = np.take_along_axis(sides, fits.argmax(1)[:, None], 1)[:, 0]
    return found


def _placed(chances: Numbers, tall: Sizes, wide: Sizes, heights: Sizes, widths: Sizes) -> Boxes:
    tops = np.floor(chances[:, 2 * ATTEMPTS] * (heights - tall + 1))
    lefts = np.floor(chances[:, 2 * ATTEMPTS + 1] * (widths - wide + 1))
    return np.stack([tops.astype(np.int64), lefts.astype(np.int64), tall, wide], axis=1)


def _central_crops(heights: Sizes, widths: Sizes) -> Boxes:
    low, high = CROP_RATIO
    tall = np.minimum(heights, _whole(widths / low))
    wide = np.minimum(widths, _whole(heights * high))
    return np.stack([(heights - tall) // 2, (widths - wide) // 2, tall, wide], axis=1)
