"""Perceptual hashes are those of the library imagehash, bit by bit."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from datavol.data.duplicates.hashes import perceptual, thumbnail
from datavol.data.sources.arrays import digits


def by_library(pixels: np.ndarray, side: int) -> np.ndarray:
    return imagehash.phash(Image.fromarray(pixels), hash_size=side, highfreq_factor=32 // side).hash.ravel()


def bits(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(np.atleast_1d(words).view(np.uint8)).astype(bool)


@pytest.mark.parametrize("shape", [(48, 64), (100, 40, 3), (300, 500, 3)])
def test_hashes_of_images_and_their_mirror_images_are_the_librarys(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    check([pixels])


def test_so_are_those_of_little_digits():
    check(list(digits()[1].images[:40]))


def check(images: list[np.ndarray]) -> None:
    coarse, fine = perceptual(np.stack([thumbnail(pixels) for pixels in images]))
    for i, pixels in enumerate(images):
        for view, seen in enumerate((pixels, pixels[:, ::-1], pixels[::-1])):
            seen = np.ascontiguousarray(seen)
            np.testing.assert_array_equal(bits(coarse[i, view]), by_library(seen, 8))
            np.testing.assert_array_equal(bits(fine[i, view]), by_library(seen, 16))
