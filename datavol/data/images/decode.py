"""Decodes image files: JPEG with simplejpeg, everything else with Pillow.

Both have libjpeg-turbo and give the same pixels; simplejpeg does so in two thirds of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from datavol.data.images import formats
from datavol.data.images.formats import Refused, open_image
from datavol.data.images.orientation import TURNED_ON_LOADING, turned, turned_back, turned_on_loading, turns_of
from datavol.data.images.pixel_rules import PLAIN, PixelRules
from datavol.data.images.pixel_values import to_rgb
from datavol.data.sources.files.file_table import DamagedImage, FileSplit
from datavol.errors import ConfigError, RunError, flat

if TYPE_CHECKING:
    from torch import Tensor

DECODING = 2  # count up when a file's pixels change; image caches are filled anew then
JPEG = b"\xff\xd8\xff"
INKS = ("CMYK", "YCCK")  # libjpeg does not turn them into RGB


def decode_file(split: FileSplit, position: int, rules: PixelRules = PLAIN) -> Tensor:
    """Decode an image of a split to RGB, uint8 (3, H, W).

    Rules and errors are those of `decode_pixels`.
    """
    return _tensor(decode_pixels(split, position, rules))


def decode_pixels(split: FileSplit, position: int, rules: PixelRules = PLAIN) -> NDArray[np.uint8]:
    """Decode a split's image to RGB (H, W, 3), without torch.

    Gray is replicated and the first frame counts; by default transparent parts lie on white, and the EXIF orientation
    is applied.

    Raises:
        ConfigError: If the file's format takes a library that is not installed.
        RunError: If the disk does not give the file (missing, forbidden, a lost mount), or memory is short.
        DamagedImage: If the file is there but truncated, empty, too large, beyond the range, or not an image.
    """
    content = split.content(position)  # outside of try: a disk that fails does not make a damaged image
    try:
        return _pixels(content, rules)
    except ConfigError:
        raise
    except MemoryError:
        raise RunError(
            f"an image must fit into memory, got {split.path(position)!r}; try fewer data.workers, or shrink it"
        ) from None
    except Refused as error:
        raise DamagedImage(
            f"{error.rule}, got {error.got} in {split.path(position)!r}; {error.remedy}, or try data.on_damaged=replace"
        ) from None
    except UnidentifiedImageError:
        reason = f"{len(content):,} bytes of no known format"
    except Exception as error:  # decoders are plug-ins, which raise what they like at damaged files
        reason = flat(error) or type(error).__name__
    raise DamagedImage(
        f"an image must be whole, got {split.path(position)!r} ({reason}); mend or remove it, "
        "or try data.on_damaged=replace"
    )


def decode(content: bytes, rules: PixelRules = PLAIN) -> Tensor:
    """Decode a file's bytes to RGB, uint8 (3, H, W)."""
    return _tensor(_pixels(content, rules))


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    import torch  # late: an audit decodes without it

    return torch.from_numpy(pixels).permute(2, 0, 1)  # channels first by strides alone, without a copy


def _pixels(content: bytes, rules: PixelRules) -> NDArray[np.uint8]:
    """Decode a file's bytes to (H, W, 3)."""
    pixels = _jpeg(content) if content.startswith(JPEG) else None
    if pixels is None:
        pixels = _by_pillow(content, rules)
    elif rules.exif == "apply" and b"Exif\0\0" in content:  # microseconds; Pillow's look a fifth of the decoding
        turns = turns_of(open_image(content))
        pixels = np.array(turned(Image.fromarray(pixels), turns)) if turns else pixels
    return pixels


def size_of(split: FileSplit, position: int) -> tuple[int, int] | None:
    """Read width and height from an image's header; None if unreadable."""
    try:
        return open_image(split.content(position)).size
    except (MemoryError, ConfigError):
        raise
    except Exception:  # it would not decode either, and whoever decodes it names it
        return None


def _by_pillow(content: bytes, rules: PixelRules) -> NDArray[np.uint8]:
    """Decode any format to (H, W, 3)."""
    image = open_image(content)
    made = turned_on_loading(image)
    rgb = to_rgb(image, rules, content)
    if rules.exif == "ignore":
        return np.array(turned_back(rgb, made))
    return np.array(rgb if image.format in TURNED_ON_LOADING else turned(rgb, turns_of(image)))


def _jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG to (H, W, 3); None leaves it to Pillow."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours in INKS or height * width > formats.MOST_PIXELS:
            return None
        return simplejpeg.decode_jpeg(content, colorspace="RGB")
    except MemoryError:
        raise
    except Exception:  # Pillow judges what is damaged
        return None
