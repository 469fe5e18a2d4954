"""Images as files: what lies in a folder, found once and remembered, and read one at a time.

A scan of 1.28 million files takes a while, so its outcome is kept in a cache folder. A remembered table holds as long
as every folder that the scan visited has the mtime it had: adding, removing or renaming a file changes its folder's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datavol.errors import ConfigError, RunError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # as torchvision's
CACHE_FORMAT = "datavol file table 1"  # count up when the scan or the file changes

_ENDINGS = tuple(ending.encode() for ending in IMAGE_ENDINGS)
_log = logging.getLogger(__name__)


class DamagedImage(RunError):
    """A file that was read but does not decode to an image; the message names it."""


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Labelled image files below `root`.

    The paths are one blob, each ended by NUL (file names may hold a newline): a worker process gets 1.28 million of
    them in one piece.
    """

    root: str
    paths: bytes
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.frombuffer(self.paths, dtype=np.uint8) == 0)

    def key(self, i: int) -> str:
        """The file's path from `root`, with `/` between folders; bytes that are not UTF-8 become surrogates."""
        start = int(self._ends[i - 1]) + 1 if i else 0
        return os.fsdecode(self.paths[start : self._ends[i]])

    def path(self, i: int) -> str:
        """Where image `i` lies."""
        return os.path.join(self.root, self.key(i))

    def content(self, i: int) -> bytes:
        """The bytes of image `i`.

        Raises:
            RunError: the disk does not give the file (missing, forbidden, a lost mount).
        """
        path = self.path(i)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise RunError(f"an image must be readable, got {path!r} ({error.strerror}); check data.root") from error

    def take(self, index: NDArray[np.int64]) -> FileSplit:
        """The files of `index`, in its order."""
        paths = parted(self.paths)
        return FileSplit(self.root, joined(paths[i] for i in index.tolist()), self.labels[index])

    def digest(self) -> bytes:
        """What makes this split itself: sha256 of its labels and keys, wherever `root` is."""
        content = hashlib.sha256(self.labels.astype("<i8").tobytes())
        content.update(self.paths)
        return content.digest()


@dataclass(frozen=True, eq=False)
class FileTable:
    """The images below one folder, by class (the folder right below it), then by path.

    Attributes:
        root: the folder's absolute path.
        folders: every visited folder from the root, which is the empty path, each ended by NUL.
        mtimes: their modification times in nanoseconds.
        paths: the images' paths from the root, each ended by NUL.
        labels: the index of each image's class; -1, before all others, for images right in the root.
    """

    root: str
    folders: bytes
    mtimes: NDArray[np.int64]
    paths: bytes
    labels: NDArray[np.int32]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the folders right below the root, with or without images, sorted by their bytes."""
        return tuple(os.fsdecode(folder) for folder in parted(self.folders) if folder and b"/" not in folder)

    def in_classes(self) -> FileSplit:
        """The images in class folders; those right in the root belong to no class."""
        split = FileSplit(self.root, self.paths, self.labels.astype(np.int64))
        return split if (split.labels >= 0).all() else split.take(np.flatnonzero(split.labels >= 0))


def file_table(folder: str, cache_dir: str | None) -> FileTable:
    """The images below `folder`, from the cache if nothing changed.

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
    """Where the table of `folder` is kept: in `cache_dir`, else $DATAVOL_CACHE, else ~/.cache/datavol."""
    place = cache_dir or os.environ.get("DATAVOL_CACHE") or os.path.join("~", ".cache", "datavol")
    name = hashlib.sha256(CACHE_FORMAT.encode() + b"|" + os.fsencode(os.path.abspath(folder))).hexdigest()
    return os.path.join(os.path.expanduser(place), f"files-{name[:32]}.npz")


def joined(names: Iterable[bytes]) -> bytes:
    """One blob of names, each ended by NUL, the one byte that no path can hold."""
    return b"".join(name + b"\0" for name in names)


def parted(blob: bytes) -> list[bytes]:
    """The names of a blob."""
    return blob.split(b"\0")[:-1]


def _scan(folder: str) -> FileTable:
    root, mtimes = os.fsencode(folder), dict[bytes, int]()
    try:
        paths, classes = _listed(root, b"", mtimes)
        labels = [-1] * len(paths)
        for label, name in enumerate(classes):
            found = sorted(_below(root, name, mtimes))
            paths += found
            labels += [label] * len(found)
    except OSError as error:
        raise ConfigError(
            f"data.root must be readable throughout, got {error.filename!r} ({error.strerror}); check its permissions"
        ) from error
    times = np.fromiter(mtimes.values(), dtype=np.int64)
    return FileTable(folder, joined(mtimes), times, joined(paths), np.array(labels, dtype=np.int32))


def _below(root: bytes, inside: bytes, mtimes: dict[bytes, int]) -> Iterator[bytes]:
    images, folders = _listed(root, inside, mtimes)
    yield from images
    for folder in folders:
        yield from _below(root, folder, mtimes)


def _listed(root: bytes, inside: bytes, mtimes: dict[bytes, int]) -> tuple[list[bytes], list[bytes]]:
    """The images and the folders right in `inside`, sorted, as paths from `root`."""
    place = os.path.join(root, inside)
    # Before the listing: a file added meanwhile makes the table stale, never wrong.
    mtimes[inside] = os.stat(place).st_mtime_ns
    images, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            path = inside + b"/" + entry.name if inside else entry.name
            if entry.name.startswith(b"."):
                continue
            if entry.is_dir():
                folders.append(path)
            elif entry.name.lower().endswith(_ENDINGS):
                images.append(path)
    return sorted(images), sorted(folders)


def _unchanged(table: FileTable) -> bool:
    root = os.fsencode(table.root)
    places = (os.path.join(root, name) for name in parted(table.folders))
    try:
        return all(os.stat(place).st_mtime_ns == mtime for place, mtime in zip(places, table.mtimes, strict=True))
    except OSError:
        return False  # a folder that is gone; the new scan says so if it matters


def _read(cached: str, root: str) -> FileTable | None:
    """The table of `root` kept in file `cached`; nothing if there is none or it cannot be trusted."""
    try:
        with np.load(cached, allow_pickle=False) as kept:
            table = FileTable(root, kept["folders"].tobytes(), kept["mtimes"], kept["paths"].tobytes(), kept["labels"])
        if table.folders.count(b"\0") == len(table.mtimes) and table.paths.count(b"\0") == len(table.labels):
            return table
        reason: object = "its columns differ in length"
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error  # RuntimeError is what zipfile says to flags it does not know
    _log.warning("the file table %s is unreadable (%s); scanning the folder anew", cached, reason)
    return None


def _write(table: FileTable, cached: str) -> None:
    """Keep `table` whole or not at all, also while another process does the same."""
    partial = f"{cached}.{secrets.token_hex(8)}.tmp"
    folders, paths = (np.frombuffer(blob, dtype=np.uint8) for blob in (table.folders, table.paths))
    try:
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        with open(partial, "xb") as file:
            np.savez(file, folders=folders, mtimes=table.mtimes, paths=paths, labels=table.labels)
        os.replace(partial, cached)
    except OSError as error:
        _log.warning("the file table could not be kept (%s); try data.cache_dir=/path/to/a/writable/folder", error)
        with suppress(OSError):
            os.remove(partial)
