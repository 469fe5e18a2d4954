"""Lists and reads images as files; remembers the list.

A scan of 1.28 million files takes a while, so its outcome is kept in a cache folder. A remembered table holds as long
as every folder that the scan visited has the mtime it had: adding, removing or renaming a file changes its folder's.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datavol.errors import ConfigError, RunError
from datavol.runs.files import write_whole

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # as torchvision's
CACHE_FORMAT = "datavol file table 1"  # count up when the scan or the file changes

_ENDINGS = tuple(ending.encode() for ending in IMAGE_ENDINGS)
_log = logging.getLogger(__name__)


class DamagedImage(RunError):
    """Names a file that was read but does not decode."""


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Holds labelled image files below `root`.

    The paths are one blob, each ended by NUL (file names may hold a newline). Workers share it or get it in one piece;
    1.28 million strings would be pickled one by one or, in forked workers, be copied as references to them are counted.
    """

    root: str
    paths: bytes
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:  # of the paths in the blob, where the NULs are
        return np.flatnonzero(np.frombuffer(self.paths, dtype=np.uint8) == 0)

    def key(self, i: int) -> str:
        """Name image `i` by its path from `root`, with `/` between folders."""
        start = int(self._ends[i - 1]) + 1 if i else 0
        return os.fsdecode(self.paths[start : self._ends[i]])  # bytes that are not UTF-8 become surrogates

    def path(self, i: int) -> str:
        """Locate image `i`."""
        return os.path.join(self.root, self.key(i))

    def content(self, i: int) -> bytes:
        """Read the bytes of image `i`.

        Raises:
            RunError: If the disk does not give the file (missing, forbidden, a lost mount).
        """
        path = self.path(i)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise RunError(f"an image must be readable, got {path!r} ({error.strerror}); check data.root") from error

    def take(self, index: NDArray[np.int64]) -> FileSplit:
        """Take the files of `index`, in its order."""
        paths = split_names(self.paths)
        return FileSplit(self.root, join_names(paths[i] for i in index.tolist()), self.labels[index])

    def digest(self) -> bytes:
        """Hash the labels and keys, wherever `root` is."""
        content = hashlib.sha256(self.labels.astype("<i8").tobytes())
        content.update(self.paths)
        return content.digest()


@dataclass(frozen=True, eq=False)
class FileTable:
    """Lists the images below a folder by class, then by path."""

    root: str  # absolute
    folders: bytes  # every visited folder from the root, which is the empty path, each ended by NUL
    mtimes: NDArray[np.int64]  # their modification times in nanoseconds
    paths: bytes  # the images' paths from the root, each ended by NUL
    labels: NDArray[np.int32]  # of the folder right below the root; -1, before all others, for images in the root

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names: the folders right below the root, in byte order."""
        return tuple(os.fsdecode(folder) for folder in split_names(self.folders) if folder and b"/" not in folder)

    def in_classes(self) -> FileSplit:
        """Take the images in class folders, without those in the root."""
        split = FileSplit(self.root, self.paths, self.labels.astype(np.int64))
        return split if (split.labels >= 0).all() else split.take(np.flatnonzero(split.labels >= 0))


def file_table(folder: str, cache_dir: str | None) -> FileTable:
    """List the images below a folder, from the cache if nothing changed.

    Names that begin with a dot are left out: they are what tools leave behind (`.ipynb_checkpoints`, `._x.jpg`).
    """
    root = os.path.abspath(folder)
    cached = cache_path(root, cache_dir)
    table = _read(cached, root)
    if table is None or not _unchanged(table):
        table = _scan(root)
        _write(table, cached)
    return table


def cache_path(folder: str, cache_dir: str | None) -> str:
    """Locate a folder's table: `cache_dir`, else $DATAVOL_CACHE, else ~/.cache/datavol."""
    cache = cache_dir or os.environ.get("DATAVOL_CACHE") or os.path.join("~", ".cache", "datavol")
    name = hashlib.sha256(CACHE_FORMAT.encode() + b"|" + os.fsencode(os.path.abspath(folder))).hexdigest()
    return os.path.join(os.path.expanduser(cache), f"files-{name[:32]}.npz")


def data_root(root: str | None) -> str:
    """Resolve data.root to the absolute path of a folder."""
    if root is None:
        raise ConfigError("data.root must be a folder, got nothing; try data.root=/path/to/images")
    folder = os.path.abspath(os.path.expanduser(root))
    if not os.path.isdir(folder):
        kind = "is a file" if os.path.exists(folder) else "does not exist"
        raise ConfigError(f"data.root must be a folder, got {root}, which {kind}; try data.root=/path/to/images")
    return folder


def join_names(names: Iterable[bytes]) -> bytes:
    """Join names, each ended by NUL, which no path can hold."""
    return b"".join(name + b"\0" for name in names)


def split_names(blob: bytes) -> list[bytes]:
    """Split a blob into its names."""
    return blob.split(b"\0")[:-1]


def _scan(folder: str) -> FileTable:
    root, mtimes = os.fsencode(folder), dict[bytes, int]()
    try:
        paths, classes = _list_folder(root, b"", mtimes)
        labels = [-1] * len(paths)
        for label, name in enumerate(classes):
            images = sorted(_walk(root, name, mtimes))
            paths += images
            labels += [label] * len(images)
    except OSError as error:
        raise ConfigError(
            f"data.root must be readable throughout, got {error.filename!r} ({error.strerror}); check its permissions"
        ) from error
    times = np.fromiter(mtimes.values(), dtype=np.int64)
    return FileTable(folder, join_names(mtimes), times, join_names(paths), np.array(labels, dtype=np.int32))


def _walk(root: bytes, inside: bytes, mtimes: dict[bytes, int]) -> Iterator[bytes]:
    images, folders = _list_folder(root, inside, mtimes)
    yield from images
    for folder in folders:
        yield from _walk(root, folder, mtimes)


def _list_folder(root: bytes, inside: bytes, mtimes: dict[bytes, int]) -> tuple[list[bytes], list[bytes]]:
    """List the images and folders in `inside`, sorted; note its mtime."""
    folder = os.path.join(root, inside)
    # Before the listing: a file added meanwhile makes the table stale, never wrong
    mtimes[inside] = os.stat(folder).st_mtime_ns
    images, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            path = inside + b"/" + entry.name if inside else entry.name  # from `root`
            if entry.name.startswith(b"."):
                continue
            if entry.is_dir():
                folders.append(path)
            elif entry.name.lower().endswith(_ENDINGS):
                images.append(path)
    return sorted(images), sorted(folders)


def _unchanged(table: FileTable) -> bool:
    root = os.fsencode(table.root)
    folders = (os.path.join(root, name) for name in split_names(table.folders))
    try:  # a stat per folder, not per file: 1,001 for ImageNet's training set
        return all(os.stat(folder).st_mtime_ns == mtime for folder, mtime in zip(folders, table.mtimes, strict=True))
    except OSError:
        return False  # a folder that is gone; the new scan says so if it matters


def _read(cached: str, root: str) -> FileTable | None:
    """Read a table from a cache file; None if absent or untrustworthy."""
    try:
        with np.load(cached, allow_pickle=False) as kept:
            table = FileTable(root, kept["folders"].tobytes(), kept["mtimes"], kept["paths"].tobytes(), kept["labels"])
        if table.folders.count(b"\0") == len(table.mtimes) and table.paths.count(b"\0") == len(table.labels):
            return table
        reason: object = "its columns differ in length"
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error  # RuntimeError: zipfile on flags it does not know
    _log.warning("the file table %s is unreadable (%s); scanning the folder anew", cached, reason)
    return None


def _write(table: FileTable, cached: str) -> None:
    """Write a table to a cache file, whole or not at all."""
    content = io.BytesIO()
    folders, paths = (np.frombuffer(blob, dtype=np.uint8) for blob in (table.folders, table.paths))
    np.savez(content, folders=folders, mtimes=table.mtimes, paths=paths, labels=table.labels)
    try:
        write_whole(Path(cached), content.getvalue())
    except OSError as error:
        _log.warning("the file table could not be kept (%s); try data.cache_dir=/path/to/a/writable/folder", error)
