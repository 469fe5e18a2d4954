"""Plants copies in digits, Fashion-MNIST and photographs, and counts which the audit finds, by kind.

    python -m benchmarks.duplicates /usr/share/datasets/fashion-mnist

Prints Markdown tables (docs/explanation/leaks.md has them): found of each kind, pairs among images that were not
planted, and seconds for Fashion-MNIST whole, from which those of 1.28 million photographs are calculated.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from benchmarks.photographs import photograph, write_photographs
from datavol.config.compose import compose
from datavol.data.duplicates.hashes import HASHES, perceptual, thumbnail
from datavol.data.duplicates.neighbours import near
from datavol.data.duplicates.pairs import find_pairs
from datavol.data.duplicates.reading import hash_splits
from datavol.data.images.pixel_rules import PLAIN
from datavol.data.sources.arrays import digits, fashion_mnist
from datavol.data.sources.open import open_source

Pixels = NDArray[np.uint8]
PLANTED = 1000  # copies of each kind
IMAGENET = 1_281_167
LARGE = 200_000  # random hashes whose search is timed


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Save and read again."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(content)


def resized(image: Image.Image, factor: float) -> Image.Image:
    """Change the size by a factor."""
    return image.resize((round(factor * image.width), round(factor * image.height)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Take a share of each side off, at least a pixel."""
    dx, dy = (max(1, round(share * side)) for side in image.size)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same file": lambda image: image,
    "JPEG, quality 90": lambda image: jpeg(image, 90),
    "JPEG, quality 75": lambda image: jpeg(image, 75),
    "JPEG, quality 50": lambda image: jpeg(image, 50),
    "twice the size": lambda image: resized(image, 2),
    "three quarters of the size": lambda image: resized(image, 0.75),
    "half the size": lambda image: resized(image, 0.5),
    "10 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "mirrored, JPEG 75": lambda image: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 75),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "2 % cropped off each side": lambda image: cropped(image, 0.02),
    "5 % cropped off each side": lambda image: cropped(image, 0.05),
}


def hashes_of(images: list[Pixels]) -> NDArray[np.void]:
    """Hash pixels as the audit does."""
    hashes = np.zeros(len(images), dtype=HASHES)
    for row, pixels in zip(hashes, images, strict=True):
        row["side"], row["file"] = (
            min(pixels.shape[:2]),
            np.void(hash((pixels.shape, pixels.tobytes())).to_bytes(16, "little", signed=True)),
        )
    hashes["pixels"] = hashes["file"]
    hashes["coarse"], hashes["fine"] = perceptual(np.stack([thumbnail(pixels) for pixels in images]))
    return hashes


def found_by_kind(images: list[Pixels]) -> tuple[dict[str, float], int]:
    """Plant a copy of each image, kind by kind.

    Returns:
        The share found of each kind, and the pairs among the images themselves.
    """
    originals, shares = hashes_of(images), {}
    false = len(find_pairs(originals).table)
    for kind, change in COPIES.items():
        copies = hashes_of([np.asarray(change(Image.fromarray(pixels))) for pixels in images])
        table = find_pairs(np.concatenate([originals, copies])).table
        shares[kind] = float((table["second"] - table["first"] == len(images)).sum() / len(images))
    return shares, false


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(0)
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"
    clothes = fashion_mnist(folder, False)[1].images
    sets = {
        "digits, 8 x 8": list(digits()[1].images[:PLANTED]),
        "clothes, 28 x 28": list(clothes[rng.permutation(len(clothes))[:PLANTED]]),
        "photographs, 500 x 375": [photograph(rng, i % 10, 10) for i in range(PLANTED // 5)],
    }
    results = {name: found_by_kind(images) for name, images in sets.items()}
    print("| copy | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    for kind in COPIES:
        print(f"| {kind} | " + " | ".join(f"{100 * shares[kind]:.0f} %" for shares, _ in results.values()) + " |")
    print("| pairs among the others | " + " | ".join(f"{false}" for _, false in results.values()) + " |", flush=True)
    _times(folder)


def _times(folder: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        write_photographs(Path(place, "set"), {"train": 300, "val": 20})
        photos = compose(["data=image_folder", f"data.root={place}/set", f"data.cache_dir={place}"])[0].config.data
        sets = {
            "Fashion-MNIST": compose(["data=fashion_mnist", f"data.root={folder}"])[0].config.data,
            "photographs": photos,
        }
        for name, data in sets.items():
            source, start = open_source(data), time.monotonic()
            hashes = hash_splits([source.train, source.val], PLAIN, place, 1)
            took = time.monotonic() - start
            print(f"{name}: {len(hashes):,} images hashed in {took:.1f} s, {1000 * took / len(hashes):.2f} ms each")
            start = time.monotonic()
            table = find_pairs(hashes).table
            print(f"{name}: {len(table):,} pairs in {time.monotonic() - start:.1f} s")
    codes = np.random.default_rng(0).integers(0, 2**63, LARGE, dtype=np.uint64)
    for name, queries in (("as they are", codes), ("mirrored", codes.copy())):
        start = time.monotonic()
        near(codes, queries, lambda i, j: np.ones(len(i), dtype=bool))
        took = time.monotonic() - start
        whole = took * (IMAGENET / LARGE) ** 2
        print(f"{LARGE:,} random hashes {name}: {took:.0f} s; {IMAGENET:,} by the square of it: {whole / 60:.0f} min")


if __name__ == "__main__":
    main()
