"""Hashes images so that copies of one picture agree.

The perceptual hash is the `phash` of the library imagehash, which takes 0.1 ms for each image and mirror image. Here
all images of a batch are transformed at once, in a tenth of that; tests hold the two against each other, bit by bit.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dct

SIDE = 32  # pixels of the gray thumbnail that is transformed
COARSE, FINE = 8, 16  # frequencies along a side that a hash keeps, squared its bits
VIEWS = ("as it is", "mirrored", "upside down")
WAVES = dct(np.eye(SIDE), axis=0)[:FINE]  # (FINE, SIDE), the lowest frequencies of the discrete cosine transform
ODD = (-1.0) ** np.arange(FINE)  # mirrored, every second wave changes its sign

HASHES = np.dtype(
    [
        ("stamp", "<i8"),  # of the file's size and times; 0 in arrays
        ("file", "V16"),  # hash of the file's bytes
        ("pixels", "V16"),  # hash of its pixels, whatever wrote them
        ("side", "<i4"),  # the shorter one in pixels; 0 for an image that does not decode
        ("coarse", "<u8", (len(VIEWS),)),  # perceptual hashes of the image and of its mirror images
        ("fine", "<u8", (len(VIEWS), FINE * FINE // 64)),
    ]
)
"""What is known of an image, 168 bytes."""

Hashes = NDArray[np.void]  # (images,) of `HASHES`


def digest(content: bytes | memoryview) -> np.void:
    """Hash bytes into 16."""
    return np.void(hashlib.blake2b(content, digest_size=16).digest())


def pixel_digest(pixels: NDArray[np.uint8]) -> np.void:
    """Hash pixels and their shape into 16 bytes.

    Pixels are (H, W) or (H, W, 3).
    """
    content = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(pixels).data)
    return np.void(content.digest())


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink or enlarge pixels to a gray square of `SIDE`."""
    image = Image.fromarray(pixels)
    gray = image if image.mode == "L" else image.convert("L")
    return np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def perceptual(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash thumbnails coarsely, to find pairs, and finely, to confirm them.

    Thumbnails are (n, SIDE, SIDE), coarse hashes (n, views), fine ones (n, views, 4).
    """
    # The low frequencies (n, FINE, FINE), and of each whether it is above their median: what survives other sizes,
    # qualities and brightness. Rounded, since nought is nought in whatever order it was summed
    waves = np.round(WAVES @ thumbnails.astype(np.float64) @ WAVES.T, 6)
    views = np.stack([waves, waves * ODD, waves * ODD[:, None]], axis=1)
    coarse, fine = (_bits(views[:, :, :side, :side]) for side in (COARSE, FINE))
    return coarse[:, :, 0], fine


def _bits(waves: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Pack whether frequencies (n, views, side, side) are above their median."""
    flat = waves.reshape(*waves.shape[:2], -1)
    above = flat > np.median(flat, axis=2, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(above, axis=2).view(np.uint64)
    return packed
