"""Converts pixels of any mode to 8-bit RGB."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from datavol.data.images.formats import Refused

if TYPE_CHECKING:
    from datavol.data.images.pixel_rules import PixelRules

PHOTOMETRIC, SAMPLE_FORMAT, BITS_PER_SAMPLE = 262, 339, 258  # tags of TIFF
UNSIGNED, SIGNED = 1, 2


@dataclass(frozen=True)
class PixelRange:
    """Holds the range of pixels above 8 bits; None if unknown."""

    bits: int | None = None  # of integers: 0 to 2 ** bits - 1
    white: float | None = None  # of floats: 0 to white
    frames: int = 0  # images of the sample with further frames or pages, which are left out
    asked: tuple[float, float] | None = None  # `data.range`, in place of both
    seen: tuple[float, float] | None = None  # the least and the largest deep pixel of the sample

    def __str__(self) -> str:
        """Describe the ranges for people and records."""
        if self.asked:
            return f"{plain_number(self.asked[0])} to {plain_number(self.asked[1])}, as data.range says"
        parts = [f"integers of {self.bits} bits (0 to {2**self.bits - 1:,})"] if self.bits else []
        parts += [f"floats from 0 to {self.white:g}"] if self.white else []
        return " and ".join(parts)


UNKNOWN = PixelRange()


def plain_number(value: float) -> str:
    """Write a number so that it reads back the same, without `.0`.

    >>> plain_number(4095.0), plain_number(-0.25)
    ('4095', '-0.25')
    """
    return str(int(value)) if value == int(value) else repr(value)


def to_rgb(image: ImageFile.ImageFile, rules: PixelRules, content: bytes) -> Image.Image:
    """Convert an opened image to RGB by the rules.

    Raises:
        Refused: If its pixels have no known range, or one that leaves it nearly black.
    """
    values, kind = deep_values(image, content, colours=rules.range.asked is not None)
    if kind == "C" and values is not None:  # (H, W, 1 to 4)
        return _opaque(_colours(values, image.mode, rules.range), rules)
    if values is not None:
        gray = _eight_bits(values, kind, _known(image, rules.range))
        if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # zero is white
            gray = 255 - gray
        return _without(Image.fromarray(gray).convert("RGB"), values, image.info.get("transparency"), rules)
    if image.mode == "LAB":  # which `convert` does not know
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return _converted(ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB"))
    if _has_deep_colours(image) and _largest_colour(image) < 16:
        raise Refused(
            "16-bit colours must not be nearly black",
            "an image that leaves the upper 4 bits empty",
            "try data.range=12 if the data have 12 bits, or data.range=16 if they are dark",
        )
    return _opaque(image, rules)


def deep_values(image: ImageFile.ImageFile, content: bytes, colours: bool) -> tuple[NDArray[Any] | None, str]:
    """Read pixels above 8 bits: integers ("I"), floats ("F"), colours ("C").

    None for an image of 8 bits, and without `colours` for one of deep colours.
    """
    tags = getattr(image, "tag_v2", {})
    if image.mode == "L" and SIGNED in np.ravel(tags.get(SAMPLE_FORMAT, ())):
        return np.asarray(image).view(np.int8), "I"
    if image.mode[0] in "IF":
        largest = _stated_largest(image)
        values = np.asarray(image)
        if largest and colours:  # Pillow has stretched them to 16 bits
            values = np.rint(values * (largest / 65535)).astype(np.int64)
        elif values.dtype == np.int32 and tags.get(BITS_PER_SAMPLE) == (32,):
            values = values.view(np.uint32) if tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED else values
        return values, image.mode[0]
    if colours and _has_deep_colours(image):
        return _deep_colours(image, content), "C"
    return None, ""


def _has_deep_colours(image: ImageFile.ImageFile) -> bool:
    """Return whether Pillow keeps only the upper bytes of colours."""
    return ";16" in str(image.tile) or bool(_stated_largest(image))


def _stated_largest(image: ImageFile.ImageFile) -> int | None:
    """Read the largest value above 255 that a PPM or PGM states."""
    args = image.tile[0].args if image.format == "PPM" and image.tile else None
    largest = args[1] if isinstance(args, tuple) and len(args) == 2 else None
    return largest if isinstance(largest, int) and largest > 255 else None


def _largest_colour(image: Image.Image) -> int:
    """Find the largest value of 8-bit colours, alpha aside."""
    bands: Any = zip(image.getbands(), image.getextrema(), strict=True)  # the least and the largest of each
    return int(max(largest for name, (_, largest) in bands if name != "A"))


def _deep_colours(image: ImageFile.ImageFile, content: bytes) -> NDArray[np.uint16]:
    """Read 16-bit colours (H, W, channels), whose lower bytes Pillow drops."""
    if image.format == "PPM":
        return _ppm_colours(image, content)
    from datavol.data.images.formats import open_image

    if "LA;16B" in str(image.tile):  # gray with alpha: its four bytes read as if they were four channels
        both = open_image(content)
        both.tile = [tile._replace(args="RGBA") for tile in both.tile]
        parts = np.asarray(both).astype(np.uint16)  # (H, W, 4)
        return np.asarray(parts[..., 0::2] << 8 | parts[..., 1::2])
    # Read once more, in the other order of bytes, the upper byte is the lower one
    lower = open_image(content)
    lower.tile = [tile._replace(args=_other_order(tile.args)) for tile in lower.tile]
    return np.asarray(np.asarray(image).astype(np.uint16) << 8 | np.asarray(lower))


def _other_order(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_other_order(args[0]), *args[1:])
    return args[:-1] + {"L": "B", "B": "L", "N": "B" if np.little_endian else "L"}[args[-1]]


def _ppm_colours(image: ImageFile.ImageFile, content: bytes) -> NDArray[np.uint16]:
    tile, (width, height) = image.tile[0], image.size
    if tile.codec_name == "ppm_plain":
        raise Refused("a PPM of more than 8 bits must be binary (P6)", "plain text (P3)", "convert it")
    values = np.frombuffer(content, ">u2", width * height * 3, tile.offset)
    return values.reshape(height, width, 3).astype(np.uint16)


def _known(image: ImageFile.ImageFile, pixel_range: PixelRange) -> PixelRange:
    """Take the bits of integers where the format states them, unless asked."""
    if not pixel_range.asked and getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE) == (12,):
        return PixelRange(12, pixel_range.white)
    return pixel_range


def _eight_bits(values: NDArray[Any], kind: str, pixel_range: PixelRange) -> NDArray[np.uint8]:
    """Scale deep pixels to 8 bits."""
    least, largest = float(values.min()), float(values.max())
    low, high = _ends(least, largest, kind, pixel_range)
    if kind != "F" and low == 0 and high >= 255 and (int(high) + 1) & int(high) == 0:  # 2 ** bits - 1
        # The upper 8 bits, as Pillow takes them of 16-bit colours
        return (values >> (int(high).bit_length() - 8)).astype(np.uint8)
    return np.rint((values.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)


def _ends(least: float, largest: float, kind: str, pixel_range: PixelRange) -> tuple[float, float]:
    """Choose what becomes 0 and 255.

    Raises:
        Refused: If that is unknown, or does not hold an image's pixels.
    """
    name = "floats" if kind == "F" else "integers"
    bits = pixel_range.bits
    if bits is None and 2**12 <= largest < 2**16:  # a lone one, and of 12 bits it would be nearly black
        bits = 16
    high = pixel_range.white if kind == "F" else 2**bits - 1 if bits else None
    ends = pixel_range.asked or ((0.0, float(high)) if high is not None else None)
    inside = ends is not None and ends[0] <= least and largest <= ends[1]  # not so for NaN
    if ends is not None and inside:
        return ends
    got = f"{name} from {least:g} to {largest:g}"
    if not (math.isfinite(least) and math.isfinite(largest)):
        raise Refused("pixels must be numbers", got, "mend or remove it")
    # Of this image, of what was asked for, and of the sample: the range that holds all that is known
    known = [pair for pair in (ends, pixel_range.seen, (least, largest)) if pair is not None]
    wanted = [plain_number(min(pair[0] for pair in known)), plain_number(max(pair[1] for pair in known))]
    if ends is None:
        rule = "pixels of more than 8 bits must have a known range"
    else:
        whose = "as data.range says" if pixel_range.asked else "as a sample of the training images does"
        rule = f"pixels must go from {plain_number(ends[0])} to {plain_number(ends[1])}, {whose}"
    raise Refused(rule, got, f"try data.range=[{','.join(wanted)}]")


def _colours(values: NDArray[np.uint16], mode: str, pixel_range: PixelRange) -> Image.Image:
    """Scale 16-bit colours (H, W, 2 to 4); alpha has all bits."""
    channels = values.shape[2]
    with_alpha = channels == 2 or mode == "RGBA"
    colours = _eight_bits(values[..., : channels - 1] if with_alpha else values, "I", pixel_range)
    if mode == "CMYK":
        return Image.fromarray(colours, "CMYK")
    colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
    if not with_alpha:
        return Image.fromarray(np.ascontiguousarray(colours[..., :3]))
    alpha = (values[..., -1:] >> 8).astype(np.uint8)
    return Image.fromarray(np.concatenate([colours, alpha], axis=2))


def _opaque(image: Image.Image, rules: PixelRules) -> Image.Image:
    """Lay transparent parts of 8-bit pixels on the rules' colour."""
    if rules.background is not None and image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*rules.background, 255)), image)
    return image.convert("RGB")


def _without(rgb: Image.Image, values: NDArray[Any], transparent: object, rules: PixelRules) -> Image.Image:
    """Lay a PNG's one transparent deep value on the rules' colour."""
    if isinstance(transparent, int) and rules.background is not None:
        rgb.paste(rules.background, mask=Image.fromarray(values == transparent))
    return rgb


def _converted(image: Image.Image | None) -> Image.Image:
    assert image is not None  # None only where littleCMS converts in place
    return image
