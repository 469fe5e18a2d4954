"""Fills a store of packed images, which survives crashes.

Threads decode; one process at a time, which holds the store's lock, writes.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from datavol.data.augment.transforms import shrink
from datavol.data.images.cache_place import check_store, make_store, own_files
from datavol.data.images.cache_reader import (
    ABSENT,
    NONE,
    PackedImages,
    Store,
    UnusableStore,
    new_index,
    read_index,
    write_index,
)
from datavol.data.images.cache_size import bytes_of_stores
from datavol.data.sources.files.file_table import DamagedImage, FileSplit
from datavol.data.sources.files.stamps import file_stamps
from datavol.runs.files import file_lock

PUBLISH_SECONDS = 30.0  # the work that a crash may cost
BLOCK = 256  # images that may be decoded ahead of the one to write

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk, quota, largest file
_log = logging.getLogger(__name__)
Decode = Callable[[int], Tensor]


def fill(
    store: Store, split: FileSplit, decode: Decode, positions: NDArray[np.int64], limit_bytes: int, threads: int
) -> NDArray[np.int64]:
    """Add the images that a store lacks, or whose files changed since.

    A store that cannot take them all, for want of room or permission, keeps those that it took, and a warning says so.

    Args:
        store: The store of `split`.
        split: The whole table of files, also for a subset.
        decode: Gives the image (3, H, W) uint8 at a position; called from several threads. Damaged ones are left out.
        positions: Positions in the split of the images needed.
        limit_bytes: Bytes of pixels that all stores of the cache folder may take together.
        threads: Images decoded at a time.

    Returns:
        The positions that are stored still, although their files have changed: of a store that can't be written.

    Raises:
        ConfigError: If the store is a link or somebody else's.
        RunError: If `decode` could not read an image; those before it are kept.
    """
    check_store(store.folder)
    wanted = np.unique(np.asarray(positions, dtype=np.int64))
    with ThreadPoolExecutor(threads) as pool:
        stamps = file_stamps(split, wanted, pool)
        with suppress(UnusableStore):  # nothing to add, the usual case: no lock to wait for
            if not read_index(store).lacks(wanted, stamps).any():
                return NONE
        try:
            make_store(store.folder)
            _remove(store.older)
            with _lock(store), _Builder(store, limit_bytes) as builder:
                _add_lacking(builder, decode, wanted, stamps, pool)
        except OSError as error:
            state, remedy = ("is full", "make room in") if error.errno in _FULL else ("cannot be written", "see to")
            _log.warning(
                "the image cache %s after %d of %d images (%s); the others are decoded each time; %s %s or try "
                "data.cache=off",
                *(state, PackedImages(store).holds(wanted).sum(), len(wanted), error.strerror),
                *(remedy, os.path.dirname(store.folder)),
            )
    try:
        index = read_index(store)
    except UnusableStore:
        return NONE  # its reader gives no image at all
    there = index.entries["offset"][wanted] >= 0
    return wanted[there & index.lacks(wanted, stamps)]


def _remove(folder: str) -> None:
    """Remove a store that nobody builds; its readers keep their map."""
    if not os.path.isdir(folder):
        return
    check_store(folder)
    with suppress(BlockingIOError), file_lock(Path(folder, "lock"), wait=False):
        for name in own_files(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


@contextmanager
def _lock(store: Store) -> Iterator[None]:
    """Hold the lock of a store, which dies with its owner."""
    lock = Path(store.path("lock"))
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lock, wait=False))
        except BlockingIOError:
            _report(f"another run is building {store.folder}; waiting for it")
            stack.enter_context(file_lock(lock))
        yield


def _add_lacking(
    builder: _Builder, decode: Decode, wanted: NDArray[np.int64], stamps: NDArray[np.int64], pool: ThreadPoolExecutor
) -> None:
    lacking = builder.index.lacks(wanted, stamps)  # anew: another run may have added them before the lock was ours
    todo, folder, silent = wanted[lacking], builder.store.folder, not sys.stderr.isatty()
    if not len(todo):
        return
    builder.forget(todo)
    _report(f"decoding {len(todo):,} images into {folder}")
    damaged: list[DamagedImage] = []
    with tqdm(total=len(todo), desc="image cache", unit="image", leave=False, disable=silent) as bar:
        # `pool.map` decodes a block as fast as it can and gives it in order: blocks bound what waits in memory
        for block in np.array_split(np.flatnonzero(lacking), 1 + len(todo) // BLOCK):
            images = pool.map(partial(_pack, decode, builder.store.side), wanted[block].tolist())
            for i, pixels in zip(block.tolist(), images, strict=True):
                if isinstance(pixels, DamagedImage):
                    damaged.append(pixels)
                else:
                    builder.add(int(wanted[i]), pixels, int(stamps[i]))
                bar.update()
    if damaged:  # their readers meet them again, hours later perhaps
        _report(f"{len(damaged):,} of {len(todo):,} images are damaged, the first: {damaged[0]}")
    _report(f"{tqdm.format_sizeof(builder.index.length, 'B')} in {folder}")


def _report(line: str) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":  # the others meet the same store after it
        print(f"image cache: {line}", file=sys.stderr, flush=True)


def _pack(decode: Decode, side: int, position: int) -> NDArray[np.uint8] | DamagedImage:
    """Decode and shrink an image to (height, width, 3); return its damage."""
    try:
        image = shrink(decode(position), side)
    except DamagedImage as error:
        return error  # its reader will meet it again
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))  # torch would start threads of its own in each thread


class _Builder:
    """Appends images to a store whose lock is held, and publishes them.

    A crash at any moment leaves a whole store, since the order is: append pixels behind those that the published index
    lists; fsync them; write an index that lists them to a temporary file, fsync it and rename it over the old one. What
    no index lists is cut off by the next builder.
    """

    def __init__(self, store: Store, limit_bytes: int) -> None:
        self.store, self.limit_bytes = store, limit_bytes
        try:
            self.index = read_index(store)
        except UnusableStore as error:
            _log.warning("the image cache %s is unusable (%s); building it anew", store.folder, error)
            self.index = new_index(store)  # with a pixels file of a new name: readers of the old one keep their map
        for name in set(own_files(store.folder)) - {"index.npz", "lock", self.index.pixels}:
            os.unlink(store.path(name))  # from a builder that was killed, or unusable
        with open(store.path("room"), "xb") as room:
            room.write(bytes(self.index.entries.nbytes + 8192))
        self.file = open(store.path(self.index.pixels), "ab", buffering=0, opener=_no_link)  # noqa: SIM115
        self.file.truncate(self.index.length)  # cuts off what a killed builder appended and did not publish
        self._note_published()

    def _note_published(self) -> None:
        self.kept, self.kept_at, self.changed = self.index.length, time.monotonic(), False
        self.others = bytes_of_stores(os.path.dirname(self.store.folder)) - self.index.length

    def __enter__(self) -> _Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Publish the images that are whole."""
        try:
            os.unlink(self.store.path("room"))  # makes room for the index on a full disk
            self.file.truncate(self.index.length)  # part of an image, where a write failed
            if self.changed:
                self.publish()
        except OSError:
            if kind is None:  # else what stopped the build says more
                raise
        finally:
            self.file.close()

    def forget(self, positions: NDArray[np.int64]) -> None:
        """Remove images whose files changed from the published index."""
        if (self.index.entries["offset"][positions] >= 0).any():
            self.changed = True  # first: after an interrupt in between, the index is published on the way out
            self.index.entries[positions] = ABSENT  # their bytes stay, for readers of an older index
            try:
                self.publish()
            except OSError:
                os.unlink(self.store.path("index.npz"))  # better no image than an outdated one
                raise

    def add(self, position: int, pixels: NDArray[np.uint8], stamp: int) -> None:
        """Append an image (height, width, 3).

        Raises:
            OSError: If it does not fit.
        """
        offset, (height, width, _) = self.index.length, pixels.shape
        if self.others + offset + pixels.nbytes > self.limit_bytes:
            raise OSError(errno.EDQUOT, f"its limit is {tqdm.format_sizeof(self.limit_bytes, 'B')}")
        unwritten = memoryview(pixels.data).cast("B")
        while unwritten:  # an unbuffered write may take a part only
            unwritten = unwritten[self.file.write(unwritten) :]
        self.index.length, self.changed = offset + pixels.nbytes, True  # first: an interrupt may come in between
        self.index.entries[position] = (offset, height, width, stamp)
        if time.monotonic() - self.kept_at > PUBLISH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Sync the pixels to the disk, then replace the index."""
        try:
            os.fsync(self.file.fileno())
            write_index(self.store, self.index)
        except OSError:
            self.index.length, self.changed = self.kept, False  # not again: a second fsync knows nothing of the first
            self.file.truncate(self.kept)
            raise
        self._note_published()


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)
