"""Converts pixels of any mode to 8-bit RGB.

The rules hold for a whole data set. Files of 16 bits often hold 12, and files of floats 0 to 1 or 0 to 255, which no
header tells. A single image must not decide it, or a dark one would become a bright one: a sample of the training set
does, and it is recorded.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from datavol.data.sources.files.file_table import FileSplit
from datavol.runs.randomness import permutation

BITS = (8, 10, 12, 14, 16, 24, 31)  # that integer pixels are taken to have: the least that holds the sample
WHITES = (1.0, 255.0, 4095.0, 65535.0)  # that float pixels are taken to end at, likewise
SAMPLE, LARGER_SAMPLE = 64, 1024  # images looked at; the larger one if any of the first has more than 8 bits
PHOTOMETRIC, SAMPLE_FORMAT, BITS_PER_SAMPLE = 262, 339, 258  # tags of TIFF
SIGNED = 2


@dataclass(frozen=True)
class PixelRange:
    """Holds the assumed range of pixels above 8 bits; None if unknown."""

    bits: int | None = None  # of integers: 0 to 2 ** bits - 1
    white: float | None = None  # of floats: 0 to white
    frames: int = 0  # images of the sample with further frames or pages, which are left out

    def __str__(self) -> str:
        """Describe the ranges for people and records."""
        parts = [f"integers of {self.bits} bits (0 to {2**self.bits - 1:,})"] if self.bits else []
        parts += [f"floats from 0 to {self.white:g}"] if self.white else []
        return " and ".join(parts)


UNKNOWN = PixelRange()


@dataclass(frozen=True)
class _Look:
    """Holds what one image of a sample shows."""

    kind: str  # "I" for deep integers, "F" for floats, "" for 8 bits
    least: float
    largest: float
    frames: bool


def sample_range(split: FileSplit) -> PixelRange:
    """Find the range of deep pixels in a sample of a split.

    It is the headers of 64 random images; if one is deep, the pixels of 1,024.
    """
    order = permutation(len(split), "pixel range")[:LARGER_SAMPLE].tolist()
    with ThreadPoolExecutor(8) as pool:  # a network drive takes its time
        looks = [look for look in pool.map(lambda i: _look(split.path(i)), order[:SAMPLE]) if look]
        if any(look.kind for look in looks):
            looks += [look for look in pool.map(lambda i: _look(split.path(i)), order[SAMPLE:]) if look]
    bits = _least([look for look in looks if look.kind == "I"], [2**bits - 1 for bits in BITS])
    white = _least([look for look in looks if look.kind == "F"], WHITES)
    frames = sum(look.frames for look in looks)
    return PixelRange(None if bits is None else int(bits + 1).bit_length() - 1, white, frames)


def _least(looks: list[_Look], ends: Sequence[float]) -> float | None:
    """Choose the least end that holds a sample; None if none does."""
    if not looks or min(look.least for look in looks) < 0:
        return None
    largest = max(look.largest for look in looks)
    return next((end for end in ends if largest <= end), None)  # NaN is held by none


def _look(path: str) -> _Look | None:
    """Examine one image of a sample; None if it does not open."""
    try:
        with Image.open(path) as image:  # reads the header alone
            frames = image.format != "MPO" and getattr(image, "n_frames", 1) > 1  # MPO: a phone's depth map or so
            if image.mode[0] not in "IF" or _stated_bits(image):
                return _Look("", 0, 0, frames)
            values = np.asarray(image)
            return _Look(image.mode[0], float(values.min()), float(values.max()), frames)
    except MemoryError:
        raise
    except Exception:  # whatever a decoder raises: its reader meets it again, and names the file
        return None


def to_rgb(image: Image.Image, pixel_range: PixelRange) -> Image.Image:
    """Convert an opened image to RGB; transparent parts lie on white.

    Raises:
        ValueError: If its pixels have no known range, or one that leaves it nearly black.
    """
    deep_colour = ";16" in str(getattr(image, "tile", ""))  # Pillow keeps the upper bytes of 16-bit colours
    tags = getattr(image, "tag_v2", {})
    if image.mode == "L" and SIGNED in np.ravel(tags.get(SAMPLE_FORMAT, ())):
        raise ValueError("signed pixels have no known range")
    if image.mode[0] in "IF":
        gray = _eight_bits(image, pixel_range)
        return Image.fromarray(255 - gray if tags.get(PHOTOMETRIC) == 0 else gray).convert("RGB")  # 0: zero is white
    if image.mode == "LAB":  # which `convert` does not know
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return _converted(ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    rgb_image = image.convert("RGB")
    if deep_colour and max(high for _, high in rgb_image.getextrema()) < 16:  # type: ignore[misc]
        raise ValueError("16-bit colours that leave the upper 4 bits empty")
    return rgb_image


def _converted(image: Image.Image | None) -> Image.Image:
    assert image is not None  # None only where littleCMS converts in place
    return image


def _stated_bits(image: Image.Image) -> int | None:
    """Read the bits of integer pixels where the format states them."""
    return 12 if getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE) == (12,) else None


def _eight_bits(image: Image.Image, pixel_range: PixelRange) -> NDArray[np.uint8]:
    """Scale deep pixels to (H, W) of 8 bits."""
    values, kind = np.asarray(image), image.mode[0]
    least, largest = float(values.min()), float(values.max())
    bits = _stated_bits(image) or pixel_range.bits
    if bits is None and 2**12 <= largest < 2**16:  # a lone one, and of 12 bits it would be nearly black
        bits = 16
    end = (2**bits - 1 if bits else None) if kind == "I" else pixel_range.white
    name = f"{'integer' if kind == 'I' else 'float'} pixels"
    if end is None:
        raise ValueError(f"{name} from {least:g} to {largest:g} have no known range, unless they are made 8 bits")
    if not (least >= 0 and largest <= end):  # NaN as well
        raise ValueError(f"{name} from {least:g} to {largest:g} where the data set's go from 0 to {end:g}")
    if bits and kind == "I":
        return (values >> (bits - 8)).astype(np.uint8)  # the upper 8 bits, as Pillow takes them of 16-bit colours
    return np.rint(values * (255 / end)).astype(np.uint8)
