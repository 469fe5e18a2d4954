"""The bytes of an image file to pixels: JPEG by libjpeg-turbo through torchvision, everything else by Pillow.

Both use the same library for JPEG and give the same pixels; torchvision's lets other threads run meanwhile.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as F

from datavol.data.folders import DamagedImage, FileSplit

JPEG = b"\xff\xd8\xff"


def decoded(split: FileSplit, position: int) -> Tensor:
    """An image in RGB, uint8 (3, H, W); gray is replicated, transparency dropped, 16 bits cut to 8.

    Raises:
        RunError: The disk does not give the file (missing, forbidden, a lost mount).
        DamagedImage: The file is there but truncated, empty or not an image.
    """
    content = split.content(position)
    # Besides OSError and SyntaxError, damaged headers make Pillow raise ValueError and take huge sizes at their word;
    # torchvision raises RuntimeError for a damaged JPEG.
    try:
        return _pixels(content)
    except UnidentifiedImageError:
        reason = f"{len(content)} bytes of no known format"
    except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
    raise DamagedImage(
        f"an image must be whole, got {split.path(position)!r} ({reason}); mend or remove it, "
        "or try data.on_damaged=replace"
    )


def _pixels(content: bytes) -> Tensor:
    if content.startswith(JPEG):
        image = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.UNCHANGED)
        if len(image) == 1:
            return image.expand(3, -1, -1)
        if len(image) == 3:
            return image
        # four channels are inks, which Pillow turns into RGB
    return F.pil_to_tensor(_rgb(Image.open(io.BytesIO(content))))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("float pixels have no known range")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255 and so turn white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
