"""Decoded images, kept for all runs: shrunk once, laid end to end in one file, read as views of its memory map.

A store holds the images of one table of files at one short side. Its folder has

| file | what |
|---|---|
| `pixels-*.u8` | height x width x 3 bytes per image, in the order in which they came |
| `index.npz` | the name of that file, its whole length, and per image its place, its size and the mtime of its file |
| `lock` | held by the process that adds images |
| `room` | during a build: as long as an index, so that one can be written when the disk is full |

What keeps readers safe from a builder: bytes that an index knows neither change nor go, an index appears once its bytes
are on the disk, and a store that is built anew gets a pixels' file of another name.
"""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
import os
import secrets
import sys
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datavol.data.sources.file_table import FileSplit, cache_path
from datavol.errors import ConfigError, flat
from datavol.runs.files import write_whole
from datavol.runs.randomness import permutation

STORE_FORMAT = "datavol packed images 1"  # count up when the pixels or the files change
SHARED_MEMORY = "/dev/shm"
ENTRY = np.dtype([("offset", "<i8"), ("height", "<i4"), ("width", "<i4"), ("mtime", "<i8")])
ABSENT = np.array((-1, 0, 0, 0), dtype=ENTRY)

_MAP_NORESERVE = 0x4000  # Linux's; Python names it from 3.13 on
_log = logging.getLogger(__name__)


def cache_folder(kind: Literal["disk", "ram"], cache_dir: str | None) -> str:
    """Where the stores lie: beside the file tables on the disk, or in this user's part of the shared memory.

    Raises:
        ConfigError: this machine has no shared memory.
    """
    if kind == "disk":
        return os.path.join(os.path.dirname(cache_path(os.sep, cache_dir)), "images")
    if not os.path.isdir(SHARED_MEMORY):
        raise ConfigError(f"data.cache=ram must have {SHARED_MEMORY}, got a machine without; try data.cache=disk")
    return os.path.join(SHARED_MEMORY, f"datavol-{os.getuid()}", "images")


def estimated_bytes(split: FileSplit, side: int, sample: int = 64) -> int:
    """What a store of the whole split would take, from the headers of a random sample of its images."""
    sizes = []
    for i in permutation(len(split), "packed sample")[:sample].tolist():
        with (
            suppress(OSError, SyntaxError, ValueError, Image.DecompressionBombError),  # it would not be stored either
            Image.open(os.path.join(split.root, split.key(i))) as image,
        ):
            short, long = sorted(image.size)
            sizes.append(3 * short * long if short <= side else 3 * side * int(side * long / short))
    return round(len(split) * sum(sizes) / max(1, len(sizes)))


@dataclass(frozen=True)
class Store:
    """A folder with the packed images of a table of `images` files, at one short side."""

    folder: str
    side: int
    images: int

    def path(self, name: str) -> str:
        """Where a file of the store lies."""
        return os.path.join(self.folder, name)


def store_of(split: FileSplit, side: int, cache: str) -> Store:
    """The store of a split in a cache folder; a subset of the split uses it under the split's positions."""
    key = hashlib.sha256(STORE_FORMAT.encode() + split.digest() + os.fsencode(split.root) + f"|{side}".encode())
    return Store(os.path.join(cache, key.hexdigest()[:16]), side, len(split))


@dataclass(eq=False)
class Index:
    """What of a store is whole: the name and length of its pixels' file, and an `ENTRY` per image of the table."""

    pixels: str
    length: int
    entries: NDArray[np.void]

    def lacks(self, positions: NDArray[np.int64], mtimes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which images are not there, or changed since."""
        entries = self.entries[positions]
        lacking: NDArray[np.bool_] = (entries["offset"] < 0) | (entries["mtime"] != mtimes)
        return lacking


class Unusable(Exception):
    """A store that cannot be trusted."""


def read_index(store: Store) -> Index:
    """The index of a store, an empty one where nothing was stored yet.

    Raises:
        Unusable: it is damaged, or not of this table, or pixels are missing.
    """
    if not os.path.exists(store.path("index.npz")):
        return new_index(store)
    try:
        with np.load(store.path("index.npz"), allow_pickle=False) as kept:
            index = Index(str(kept["pixels"]), int(kept["length"]), kept["entries"])
        size = os.path.getsize(store.path(index.pixels))
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise Unusable(flat(error)) from error  # RuntimeError: zipfile on flags it does not know
    if index.entries.dtype != ENTRY or index.entries.shape != (store.images,):
        raise Unusable("its index is of another table")
    if size < index.length:
        raise Unusable(f"{index.length - size:,} bytes of pixels are missing")
    return index


def write_index(store: Store, index: Index) -> None:
    """Let readers see the images of an index, whose pixels are on the disk."""
    content = io.BytesIO()
    np.savez(content, pixels=np.array(index.pixels), length=np.array(index.length), entries=index.entries)
    write_whole(Path(store.path("index.npz")), content.getvalue())


def new_index(store: Store) -> Index:
    """An index without an image, for a pixels' file that is not there yet."""
    return Index(f"pixels-{secrets.token_hex(8)}.u8", 0, np.full(store.images, ABSENT, dtype=ENTRY))


class PackedImages:
    """The images of a store as it is when this is made, or in a worker process unpickled."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._entries, self._pixels = new_index(store).entries, torch.empty(0, dtype=torch.uint8)
        try:
            index = read_index(store)
            self._pixels = _mapped(store.path(index.pixels), index.length)
            self._entries = index.entries
        except (Unusable, OSError) as error:
            _log.warning("the image cache %s is unusable (%s); its images are decoded each time", store.folder, error)

    def __reduce__(self) -> tuple[type[PackedImages], tuple[Store]]:
        return PackedImages, (self.store,)

    def holds(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some positions of the split are there."""
        there: NDArray[np.bool_] = self._entries["offset"][positions] >= 0
        return there

    def image(self, position: int) -> Tensor | None:
        """Image (3, H, W) uint8 at a position of the split, or None if it is not there.

        A view of the memory map, channels last. Whoever writes to it changes what this process reads later, but not the
        store.
        """
        offset, height, width, _ = self._entries[position].item()
        if offset < 0:
            return None
        return self._pixels.as_strided((3, height, width), (1, 3 * width, 3), offset)


def _mapped(path: str, length: int) -> Tensor:
    """The first bytes of a file as a tensor; what is written to it stays in this process."""
    if not length:
        return torch.empty(0, dtype=torch.uint8)
    # Linux refuses a private map larger than the machine's memory unless told that it will not be filled
    flags = mmap.MAP_PRIVATE | (_MAP_NORESERVE if sys.platform == "linux" else 0)
    with open(path, "rb") as file:
        pages = mmap.mmap(file.fileno(), length, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return torch.frombuffer(pages, dtype=torch.uint8)
