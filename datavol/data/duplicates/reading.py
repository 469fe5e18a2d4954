"""Decodes the images of a split once, and keeps their hashes."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datavol.data.duplicates.hashes import HASHES, Hashes, digest, perceptual, pixel_digest, thumbnail
from datavol.data.duplicates.kept import kept_file, kept_table
from datavol.data.duplicates.neighbours import Positions
from datavol.data.images.decode import decode_pixels
from datavol.data.images.pixel_rules import PixelRules
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.files.file_table import DamagedImage, FileSplit
from datavol.data.sources.files.stamps import file_stamps
from datavol.data.sources.split import Split
from datavol.data.sources.storage.kept import keep

BATCH, TASK = 1024, 32  # images whose thumbnails are transformed at once, and that a thread looks at

Read = Callable[[int], tuple[np.void, NDArray[np.uint8] | None]]  # hash of the file, and its pixels unless damaged


def hash_splits(splits: list[Split], rules: PixelRules, cache_dir: str | None, threads: int) -> Hashes:
    """Hash the images of several splits, reading only new or changed ones.

    The rows of a split follow those of the one before it.

    Raises:
        RunError: If the disk does not give a file.
    """
    return np.concatenate([_hash_split(split, rules, cache_dir, threads) for split in splits])


def _hash_split(split: Split, rules: PixelRules, cache_dir: str | None, threads: int) -> Hashes:
    place = split.files.place if isinstance(split, FileSplit) else ""
    file = kept_file("hashes", repr((place, split.digest(), rules.text)).encode(), cache_dir)
    with ThreadPoolExecutor(threads) as pool:
        stamps = file_stamps(split, np.arange(len(split)), pool) if isinstance(split, FileSplit) else np.int64(0)
        hashes = kept_table(file, HASHES, len(split))
        if hashes is None:
            hashes = np.zeros(len(split), dtype=HASHES)
            hashes["side"] = -1
        # Cached are the images whose files have the size and times that they had
        todo = np.flatnonzero((hashes["stamp"] != stamps) | (hashes["side"] < 0))
        if not len(todo):
            return hashes
        read: Read = _array_reader(split) if isinstance(split, ArraySplit) else _file_reader(split, rules)
        silent = len(todo) <= BATCH or not sys.stderr.isatty()
        with tqdm(total=len(todo), desc="audit", unit="image", leave=False, disable=silent) as bar:
            for part in np.split(todo, range(BATCH, len(todo), BATCH)):
                looks = pool.map(lambda some: [_look(*read(i)) for i in some.tolist()], _tasks(part))
                hashes[part] = _hash(chain.from_iterable(looks), len(part))
                bar.update(len(part))
        hashes["stamp"] = stamps
    keep(file, {"table": hashes})
    return hashes


def _tasks(positions: Positions) -> list[Positions]:
    """Split positions into the tasks of threads.

    A task is several images, as handing one over takes as long as hashing a little image.
    """
    return np.split(positions, range(TASK, len(positions), TASK))


def _look(content: np.void, pixels: NDArray[np.uint8] | None) -> tuple[np.void, np.void, int, NDArray[np.uint8] | None]:
    if pixels is None:
        return content, np.void(16), 0, None
    return content, pixel_digest(pixels), min(pixels.shape[:2]), thumbnail(pixels)


def _hash(looks: Iterator[tuple[np.void, np.void, int, NDArray[np.uint8] | None]], count: int) -> Hashes:
    """Gather what threads found in a batch; hash its thumbnails at once."""
    hashes = np.zeros(count, dtype=HASHES)
    thumbnails = []
    for row, (content, pixels, side, small) in zip(hashes, looks, strict=True):
        row["file"], row["pixels"], row["side"] = content, pixels, side
        if small is not None:
            thumbnails.append(small)
    if thumbnails:
        sound = hashes["side"] > 0
        hashes["coarse"][sound], hashes["fine"][sound] = perceptual(np.stack(thumbnails))
    return hashes


def _array_reader(split: ArraySplit) -> Read:
    def read(i: int) -> tuple[np.void, NDArray[np.uint8]]:
        return pixel_digest(split.images[i]), split.images[i]

    return read


def _file_reader(split: FileSplit, rules: PixelRules) -> Read:
    def read(i: int) -> tuple[np.void, NDArray[np.uint8] | None]:
        try:
            return digest(split.content(i)), decode_pixels(split, i, rules)
        except DamagedImage:  # its bytes or its pixels
            return np.void(16), None  # counted; training says what is wrong with it

    return read
