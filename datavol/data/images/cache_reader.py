"""Reads cached images as views of a memory map.

A store holds the images of one table of files, shrunk to one short side and shared by all runs. Its folder has

| file | content |
|---|---|
| `pixels-*.u8` | height x width x 3 bytes per image, end to end, in the order in which they came |
| `index.npz` | the name of that file, its whole length, and per image its offset, its size and its file's stamp |
| `lock` | held by the process that adds images |
| `room` | during a build: as long as an index, so that one can be written when the disk is full |

Readers take no lock. Three rules keep them safe from a builder: bytes that an index lists neither change nor go, an
index appears once its bytes are on the disk, and a store that is built anew gets a pixels file of another name.
"""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datavol.data.images.cache_place import PIXELS, check_store
from datavol.data.images.decode import DECODING
from datavol.data.images.pixel_rules import PLAIN, PixelRules
from datavol.data.sources.files.file_table import FileSplit
from datavol.errors import flat
from datavol.runs.files import write_whole

STORE_FORMAT = f"datavol packed images 2.{DECODING}"  # count up when the files of a store change
OLDER_FORMAT = "datavol packed images 1"
ENTRY = np.dtype([("offset", "<i8"), ("height", "<i4"), ("width", "<i4"), ("stamp", "<i8")])
ABSENT = np.array((-1, 0, 0, 0), dtype=ENTRY)
NONE = np.empty(0, dtype=np.int64)

_MAP_NORESERVE = 0x4000  # Linux's; Python names it from 3.13 on
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """Names a folder with the packed images of a table of files."""

    folder: str
    older: str  # the folder that an earlier version kept them in
    side: int  # the short side in pixels
    images: int  # of the table, stored or not

    def path(self, name: str) -> str:
        """Locate a file of the store."""
        return os.path.join(self.folder, name)


def store_of(split: FileSplit, side: int, cache: str, rules: PixelRules = PLAIN) -> Store:
    """Name a split's store by its short side and rules of pixels.

    A subset of the split uses the same store, under the split's positions.
    """
    table = split.digest() + os.fsencode(split.files.place) + f"|{side}".encode()

    def folder(form: str) -> str:
        return os.path.join(cache, hashlib.sha256(form.encode() + table).hexdigest()[:16])

    return Store(folder(f"{STORE_FORMAT}|{rules.text}"), folder(OLDER_FORMAT), side, len(split))


@dataclass(eq=False)
class Index:
    """Lists the committed images of a store."""

    pixels: str  # name of the pixels file
    length: int  # bytes of it that are whole; what follows is of a build that was stopped
    entries: NDArray[np.void]  # an `ENTRY` per image of the table

    def lacks(self, positions: NDArray[np.int64], stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Flag images that are absent, or whose file changed since."""
        entries = self.entries[positions]
        return (entries["offset"] < 0) | (entries["stamp"] != stamps)


class UnusableStore(Exception):
    """Reports a store that cannot be trusted."""


def read_index(store: Store) -> Index:
    """Read the index of a store, empty for a new store.

    Raises:
        UnusableStore: If it is damaged, or not of this table, or pixels are missing.
    """
    if not os.path.exists(store.path("index.npz")):
        return new_index(store)
    try:
        with np.load(store.path("index.npz"), allow_pickle=False) as kept:
            index = Index(str(kept["pixels"]), int(kept["length"]), kept["entries"])
        if not PIXELS.fullmatch(index.pixels):  # before it is opened: a path would lead elsewhere
            raise UnusableStore("its index names a file that is none of pixels")
        size = os.path.getsize(store.path(index.pixels))
    except MemoryError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds at damaged files
        raise UnusableStore(flat(error)) from error
    if index.entries.dtype != ENTRY or index.entries.shape != (store.images,):
        raise UnusableStore("its index is of another table")
    if size < index.length:
        raise UnusableStore(f"{index.length - size:,} bytes of pixels are missing")
    return index


def write_index(store: Store, index: Index) -> None:
    """Show readers an index whose pixels are on the disk."""
    content = io.BytesIO()
    np.savez(content, pixels=np.array(index.pixels), length=np.array(index.length), entries=index.entries)
    write_whole(Path(store.path("index.npz")), content.getvalue())


def new_index(store: Store) -> Index:
    """Make an index without images and name its pixels file."""
    return Index(f"pixels-{secrets.token_hex(8)}.u8", 0, np.full(store.images, ABSENT, dtype=ENTRY))


class PackedImages:
    """Reads a store as it is when this is made or unpickled."""

    def __init__(self, store: Store, outdated: NDArray[np.int64] = NONE) -> None:
        """Map a store, without the images at `outdated` positions."""
        self.store, self.outdated = store, outdated
        check_store(store.folder)
        self._entries, self._pixels = new_index(store).entries, torch.empty(0, dtype=torch.uint8)
        try:
            index = read_index(store)
            self._pixels = _map_file(store.path(index.pixels), index.length)
            self._entries = index.entries
            self._entries[outdated] = ABSENT
        except (UnusableStore, OSError) as error:
            _log.warning("the image cache %s is unusable (%s); its images are decoded each time", store.folder, error)

    def __reduce__(self) -> tuple[type[PackedImages], tuple[Store, NDArray[np.int64]]]:
        # A spawned worker maps the file itself: pickling the tensor would copy all pixels
        return PackedImages, (self.store, self.outdated)

    def holds(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Flag the positions of the split whose images are stored."""
        return self._entries["offset"][positions] >= 0

    def image(self, position: int) -> Tensor | None:
        """View the image (3, H, W) at a position; None if absent.

        Writing to the view changes what this process reads later, but not the store.
        """
        offset, height, width, _ = self._entries[position].item()
        if offset < 0:
            return None
        # Bytes lie as (H, W, 3): one step along C is 1 byte, along H a row of 3 W bytes, along W a pixel of 3
        return self._pixels.as_strided((3, height, width), (1, 3 * width, 3), offset)


def _map_file(path: str, length: int) -> Tensor:
    """Map the first bytes of a file into memory as a tensor."""
    if not length:
        return torch.empty(0, dtype=torch.uint8)
    # A map reads pages on first use, and the kernel keeps them once for all processes. It is private (copy on write):
    # torch wants a writable buffer, and a stray write must not reach the file. Linux refuses a private map larger than
    # the machine's memory unless it is flagged as never to be filled (NORESERVE).
    flags = mmap.MAP_PRIVATE | (_MAP_NORESERVE if sys.platform == "linux" else 0)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        pages = mmap.mmap(file.fileno(), length, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return torch.frombuffer(pages, dtype=torch.uint8)  # holds on to the map, also after the file is deleted
