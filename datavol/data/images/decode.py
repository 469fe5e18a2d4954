"""Decodes image files: JPEG with simplejpeg, everything else with Pillow.

Both have libjpeg-turbo and give the same pixels; simplejpeg does so in two thirds of the time.
"""

import io

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datavol.data.sources.file_table import DamagedImage, FileSplit
from datavol.errors import flat

JPEG = b"\xff\xd8\xff"
INKS = "CMYK"  # libjpeg does not turn them into RGB


def decode_file(split: FileSplit, position: int) -> Tensor:
    """Decode an image of a split to RGB, uint8 (3, H, W).

    Gray is replicated, transparency dropped, 16 bits are cut to 8.

    Raises:
        RunError: If the disk does not give the file (missing, forbidden, a lost mount).
        DamagedImage: If the file is there but truncated, empty or not an image.
    """
    content = split.content(position)  # outside of try: a disk that fails does not make a damaged image
    # Besides OSError and SyntaxError, damaged headers make Pillow raise ValueError and take huge sizes at their word.
    try:
        pixels = _jpeg(content) if content.startswith(JPEG) else None
        if pixels is None:
            pixels = np.array(_rgb(Image.open(io.BytesIO(content))))
        return torch.from_numpy(pixels).permute(2, 0, 1)  # channels first by strides alone, without a copy
    except UnidentifiedImageError:
        reason = f"{len(content)} bytes of no known format"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = flat(error)
    raise DamagedImage(
        f"an image must be whole, got {split.path(position)!r} ({reason}); mend or remove it, "
        "or try data.on_damaged=replace"
    )


def _jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG to (H, W, 3); None leaves it to Pillow."""
    try:
        if simplejpeg.decode_jpeg_header(content)[2] == INKS:  # height, width, colour space, subsampling
            return None
        return simplejpeg.decode_jpeg(content, colorspace="RGB")
    except ValueError:
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("float pixels have no known range")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255 and so turn white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
