"""Filling a store of packed images: decoded by threads, written by one process at a time, whole whatever happens."""

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
from datavol.data.images.cache_reader import ABSENT, PackedImages, Store, Unusable, new_index, read_index, write_index
from datavol.data.sources.file_table import DamagedImage, FileSplit
from datavol.runs.files import file_lock

PUBLISH_SECONDS = 30.0
BLOCK = 256  # images that may be decoded ahead of the one to write

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


def fill(
    store: Store,
    split: FileSplit,
    decode: Callable[[int], Tensor],
    positions: NDArray[np.int64],
    limit_bytes: int,
    threads: int,
    progress: bool = True,
) -> None:
    """Add what the store lacks of some positions; an image whose file changed since is stored anew.

    A store that cannot take them all, for want of room or permission, keeps those that it took, and a warning says so.

    Args:
        store: The store of `split`.
        split: The table of files.
        decode: Image (3, H, W) uint8 at a position; what is damaged is left out. It is called from several threads.
        positions: What is needed of the split.
        limit_bytes: How many bytes of pixels all stores of the cache folder may take together.
        threads: How many images are decoded at a time.
        progress: Whether to tell on stderr what happens.

    Raises:
        RunError: `decode` could not get at an image; those before it are kept.
    """
    wanted = np.unique(np.asarray(positions, dtype=np.int64))
    with ThreadPoolExecutor(threads) as pool:
        mtimes = _mtimes(split, wanted, pool)
        with suppress(Unusable):
            if not read_index(store).lacks(wanted, mtimes).any():
                return
        try:
            with _locked(store, progress), _Builder(store, limit_bytes) as builder:
                _add_lacking(builder, decode, wanted, mtimes, pool, progress)
        except OSError as error:
            state, remedy = ("is full", "make room in") if error.errno in _FULL else ("cannot be written", "see to")
            _log.warning(
                "the image cache %s after %d of %d images (%s); the others are decoded each time; %s %s or try "
                "data.cache=off",
                *(state, PackedImages(store).holds(wanted).sum(), len(wanted), error.strerror),
                *(remedy, os.path.dirname(store.folder)),
            )


def _mtimes(split: FileSplit, positions: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[np.int64]:
    """When the files of some positions last changed, in nanoseconds; -1 for what is gone, as `decode` will say."""

    def mtime(position: int) -> int:
        try:
            return os.stat(os.path.join(split.root, split.key(position))).st_mtime_ns
        except OSError:
            return -1

    chunks = np.array_split(positions, 1 + len(positions) // 4096)  # in parallel: a network drive takes its time
    found = pool.map(lambda chunk: [mtime(position) for position in chunk.tolist()], chunks)
    return np.array([one for part in found for one in part], dtype=np.int64)


@contextmanager
def _locked(store: Store, progress: bool) -> Iterator[None]:
    """Alone with the store, by a lock that dies with its owner."""
    lock = Path(store.path("lock"))
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lock, wait=False))
        except BlockingIOError:
            _tell(progress, f"another run is building {store.folder}; waiting for it")
            stack.enter_context(file_lock(lock))
        yield


def _add_lacking(
    builder: _Builder,
    decode: Callable[[int], Tensor],
    wanted: NDArray[np.int64],
    mtimes: NDArray[np.int64],
    pool: ThreadPoolExecutor,
    progress: bool,
) -> None:
    lacking = builder.index.lacks(wanted, mtimes)
    todo, folder, silent = wanted[lacking], builder.store.folder, not (progress and sys.stderr.isatty())
    if not len(todo):
        return
    builder.forget(todo)
    _tell(progress, f"decoding {len(todo):,} images into {folder}")
    with tqdm(total=len(todo), desc="image cache", unit="image", leave=False, disable=silent) as bar:
        for block in np.array_split(np.flatnonzero(lacking), 1 + len(todo) // BLOCK):
            images = pool.map(partial(_packed, decode, builder.store.side), wanted[block].tolist())
            for i, pixels in zip(block.tolist(), images, strict=True):
                if pixels is not None:
                    builder.add(int(wanted[i]), pixels, int(mtimes[i]))
                bar.update()
    _tell(progress, f"{tqdm.format_sizeof(builder.index.length, 'B')} in {folder}")


def _tell(progress: bool, line: str) -> None:
    if progress:
        print(f"image cache: {line}", file=sys.stderr, flush=True)


def _packed(decode: Callable[[int], Tensor], side: int, position: int) -> NDArray[np.uint8] | None:
    """What is stored of an image, (height, width, 3); nothing of a damaged one, which its reader will meet again."""
    try:
        image = shrink(decode(position), side)
    except DamagedImage:
        return None
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))  # torch would start threads of its own in each thread


class _Builder:
    """Adds to a store, whose lock is held, and publishes what it added: now and then, and at the end."""

    def __init__(self, store: Store, limit_bytes: int) -> None:
        self.store, self.limit_bytes = store, limit_bytes
        try:
            self.index = read_index(store)
        except Unusable as error:
            _log.warning("the image cache %s is unusable (%s); building it anew", store.folder, error)
            self.index = new_index(store)
        for name in set(os.listdir(store.folder)) - {"index.npz", "lock", self.index.pixels}:
            os.unlink(store.path(name))  # from a builder that was killed, or unusable
        Path(store.path("room")).write_bytes(bytes(self.index.entries.nbytes + 8192))
        self.file = open(store.path(self.index.pixels), "ab", buffering=0)  # noqa: SIM115
        self.file.truncate(self.index.length)
        self._published()

    def _published(self) -> None:
        self.kept, self.kept_at, self.changed = self.index.length, time.monotonic(), False
        self.others = _bytes_of_stores(os.path.dirname(self.store.folder)) - self.index.length

    def __enter__(self) -> _Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Publish what is whole."""
        try:
            os.unlink(self.store.path("room"))
            self.file.truncate(self.index.length)
            if self.changed:
                self.publish()
        except OSError:
            if kind is None:  # else what stopped the build says more
                raise
        finally:
            self.file.close()

    def forget(self, positions: NDArray[np.int64]) -> None:
        """Take images whose files changed out of the index, for readers too; their bytes stay."""
        if (self.index.entries["offset"][positions] >= 0).any():
            self.index.entries[positions] = ABSENT
            try:
                self.publish()
            except OSError:
                os.unlink(self.store.path("index.npz"))
                raise

    def add(self, position: int, pixels: NDArray[np.uint8], mtime: int) -> None:
        """Add an image (height, width, 3).

        Raises:
            OSError: it does not fit.
        """
        offset, (height, width, _) = self.index.length, pixels.shape
        if self.others + offset + pixels.nbytes > self.limit_bytes:
            raise OSError(errno.EDQUOT, f"its limit is {tqdm.format_sizeof(self.limit_bytes, 'B')}")
        unwritten = memoryview(pixels.data).cast("B")
        while unwritten:
            unwritten = unwritten[self.file.write(unwritten) :]
        self.index.length, self.changed = offset + pixels.nbytes, True  # first: an interrupt may come in between
        self.index.entries[position] = (offset, height, width, mtime)
        if time.monotonic() - self.kept_at > PUBLISH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Put the index in place once the pixels are on the disk; if that fails, the last published one holds."""
        try:
            os.fsync(self.file.fileno())
            write_index(self.store, self.index)
        except OSError:
            self.index.length, self.changed = self.kept, False  # not again: a second fsync knows nothing of the first
            self.file.truncate(self.kept)
            raise
        self._published()


def _bytes_of_stores(cache: str) -> int:
    sizes = []
    for path in Path(cache).glob("*/pixels-*.u8"):
        with suppress(FileNotFoundError):  # removed by who builds that store anew
            sizes.append(path.stat().st_size)
    return sum(sizes)
