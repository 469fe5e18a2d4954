"""Draws random boxes for a batch: crops to keep, areas to erase.

The distributions are those of torchvision's `RandomResizedCrop` (Szegedy et al. 2015) and `RandomErasing` (Zhong et
al. 2020): up to ten boxes of random area and aspect are drawn, and the first that fits is taken. Boxes are rows of top,
left, height and width in pixels. Heights and widths of the B images are in pixels, (B,).
"""

import numpy as np
from numpy.typing import NDArray

ATTEMPTS = 10
CHANCES = 2 * ATTEMPTS + 2  # numbers in [0, 1) that a box takes: ten areas, ten aspects, top and left
CROP_RATIO = (3 / 4, 4 / 3)  # width to height
ERASED_AREA = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)  # height to width

Numbers = NDArray[np.float64]
Sizes = NDArray[np.int64]
Boxes = NDArray[np.int64]


def random_crops(chances: Numbers, heights: Sizes, widths: Sizes, smallest: float) -> Boxes:
    """Draw boxes of `smallest` to all of each image's area.

    Where none of ten fits, the largest central box of allowed aspect is taken. `chances` are in [0, 1), (B, CHANCES).
    """
    area, ratio = _areas_and_ratios(chances, heights * widths, (smallest, 1.0), CROP_RATIO)
    # area = tall * wide and ratio = wide / tall, solved for the sides of all attempts, (B, ATTEMPTS)
    tall, wide = _round(np.sqrt(area / ratio)), _round(np.sqrt(area * ratio))
    fits = (tall > 0) & (tall <= heights[:, None]) & (wide > 0) & (wide <= widths[:, None])
    boxes = _place_boxes(chances, _first(fits, tall), _first(fits, wide), heights, widths)
    return np.where(fits.any(axis=1, keepdims=True), boxes, _central_crops(heights, widths))


def erasures(chances: Numbers, heights: Sizes, widths: Sizes, probability: float) -> Boxes:
    """Draw boxes to erase with a probability, else of no size.

    `chances` are in [0, 1), (B, CHANCES + 1): the last decides if anything is erased.
    """
    area, ratio = _areas_and_ratios(chances, heights * widths, ERASED_AREA, ERASED_RATIO)
    tall, wide = _round(np.sqrt(area * ratio)), _round(np.sqrt(area / ratio))  # the ratio is the other way round here
    fits = (tall < heights[:, None]) & (wide < widths[:, None])  # strictly, as in `RandomErasing`
    boxes = _place_boxes(chances, _first(fits, tall), _first(fits, wide), heights, widths)
    erased = fits.any(axis=1, keepdims=True) & (chances[:, CHANCES:] < probability)
    return np.where(erased, boxes, 0)


def _areas_and_ratios(
    chances: Numbers, areas: Sizes, share: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Numbers, Numbers]:
    """Draw areas, uniform, and aspects, log-uniform, of all attempts; both (B, ATTEMPTS)."""
    low, high = np.log(ratio)
    shares = share[0] + (share[1] - share[0]) * chances[:, :ATTEMPTS]
    return areas[:, None] * shares, np.exp(low + (high - low) * chances[:, ATTEMPTS : 2 * ATTEMPTS])


def _round(sides: NDArray[np.floating]) -> Boxes:
    return np.rint(sides).astype(np.int64)


def _first(fits: NDArray[np.bool_], sides: Boxes) -> Sizes:
    """Pick the side of each first box that fits, (B,)."""
    picked: Sizes = np.take_along_axis(sides, fits.argmax(1)[:, None], 1)[
        :, 0
    ]  # argmax: the first True of a row, or column 0
    return picked


def _place_boxes(chances: Numbers, tall: Sizes, wide: Sizes, heights: Sizes, widths: Sizes) -> Boxes:
    # Uniform over the (height - tall + 1) x (width - wide + 1) places where a box lies within its image
    tops = np.floor(chances[:, 2 * ATTEMPTS] * (heights - tall + 1))
    lefts = np.floor(chances[:, 2 * ATTEMPTS + 1] * (widths - wide + 1))
    return np.stack([tops.astype(np.int64), lefts.astype(np.int64), tall, wide], axis=1)


def _central_crops(heights: Sizes, widths: Sizes) -> Boxes:
    low, high = CROP_RATIO
    tall = np.minimum(heights, _round(widths / low))  # less than the height where the image is too narrow
    wide = np.minimum(widths, _round(heights * high))  # less than the width where it is too wide
    return np.stack([(heights - tall) // 2, (widths - wide) // 2, tall, wide], axis=1)
