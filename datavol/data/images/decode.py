"""Decodes image files: JPEG with simplejpeg, everything else with Pillow.

Both have libjpeg-turbo and give the same pixels; simplejpeg does so in two thirds of the time.
"""

import io

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from datavol.data.images.pixel_values import UNKNOWN, PixelRange, to_rgb
from datavol.data.sources.files.file_table import DamagedImage, FileSplit
from datavol.errors import RunError, flat

DECODING = 2  # count up when a file's pixels change; image caches are filled anew then
MOST_PIXELS = 2**28  # 16,384 x 16,384, which takes 0.8 GB; a header may claim any size
JPEG = b"\xff\xd8\xff"
INKS = ("CMYK", "YCCK")  # libjpeg does not turn them into RGB

Image.MAX_IMAGE_PIXELS = None  # `_check_size` has one rule for both decoders
# Pillow refuses sound PNGs for 1 MiB of a colour profile or a text, none of which shows in the pixels. What a text may
# unpack to stays bounded.
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = 2**27, 2**28

# How an image with an EXIF orientation is turned upright; 1 is upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_file(split: FileSplit, position: int, pixel_range: PixelRange = UNKNOWN) -> Tensor:
    """Decode a split's image to upright RGB, uint8 (3, H, W).

    Gray is replicated, transparent parts lie on white, the first frame counts, and the EXIF orientation is applied.

    Raises:
        RunError: If the disk does not give the file (missing, forbidden, a lost mount), or memory is short.
        DamagedImage: If the file is there but truncated, empty, too large or not an image.
    """
    content = split.content(position)  # outside of try: a disk that fails does not make a damaged image
    try:
        return decode(content, pixel_range)
    except MemoryError:
        raise RunError(
            f"an image must fit into memory, got {split.path(position)!r}; try fewer data.workers, or shrink it"
        ) from None
    except UnidentifiedImageError:
        reason = f"{len(content)} bytes of no known format"
    except Exception as error:  # decoders are plug-ins, which raise what they like at damaged files
        reason = flat(error) or type(error).__name__
    raise DamagedImage(
        f"an image must be whole, got {split.path(position)!r} ({reason}); mend or remove it, "
        "or try data.on_damaged=replace"
    )


def decode(content: bytes, pixel_range: PixelRange = UNKNOWN) -> Tensor:
    """Decode a file's bytes to RGB, uint8 (3, H, W), upright."""
    pixels = _jpeg(content) if content.startswith(JPEG) else None
    if pixels is None:
        image = Image.open(io.BytesIO(content))
        _check_size(*image.size)
        rgb = to_rgb(image, pixel_range)
        pixels = np.array(_upright(rgb, _orientation(image)))  # after loading, at which Pillow turns TIFFs itself
    elif b"Exif\0\0" in content:  # a search takes microseconds, Pillow's reading of the header a fifth of the decoding
        orientation = _orientation(Image.open(io.BytesIO(content)))
        pixels = np.array(_upright(Image.fromarray(pixels), orientation)) if orientation in _UPRIGHT else pixels
    return torch.from_numpy(pixels).permute(2, 0, 1)  # channels first by strides alone, without a copy


def size_of(path: str) -> tuple[int, int] | None:
    """Read width and height from an image's header; None if unreadable."""
    try:
        with Image.open(path) as image:
            size = image.size
        _check_size(*size)
    except MemoryError:
        raise
    except Exception:  # it would not decode either, and whoever decodes it names it
        return None
    return size


def _check_size(width: int, height: int) -> None:
    """Raise a ValueError for more pixels than `MOST_PIXELS`."""
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} are more than the {MOST_PIXELS:,} pixels that an image may have")


def _jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG to (H, W, 3); None leaves it to Pillow."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours in INKS or height * width > MOST_PIXELS:
            return None
        return simplejpeg.decode_jpeg(content, colorspace="RGB")
    except MemoryError:
        raise
    except Exception:  # Pillow judges what is damaged
        return None


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 where there is none."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF does not make damaged pixels: it counts as none
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
