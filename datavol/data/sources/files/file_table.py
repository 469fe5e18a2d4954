"""Lists and reads images as files; remembers the list.

A scan of 1.28 million files takes a while, so its outcome is kept in a cache folder. A remembered table holds as long
as every folder that the scan visited has the stamp it had: adding, removing or renaming a file changes its folder's.
What lies in the files is for those to check who keep something of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import typed
from datavol.data.sources.files.image_names import IMAGE_ENDINGS
from datavol.data.sources.files.scan import Scan, folder_stamp
from datavol.data.sources.storage.folder import DamagedFile, Storage
from datavol.data.sources.storage.kept import Arrays, as_bytes, keep, read_kept
from datavol.data.sources.storage.settled import settled
from datavol.errors import ConfigError, RunError, flat

CACHE_FORMAT = "datavol file table 4"  # count up when the scan or the file changes

COLUMNS = ("stamps", "labels", "files")  # of a kept table, in the order of `FileTable`
BLOBS = ("folders", "paths", "left_out")


class DamagedImage(RunError):
    """Names a file that was read but does not decode."""


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Holds labelled image files of a storage.

    The paths are one blob, each ended by NUL (file names may hold a newline). Workers share it or get it in one piece;
    1.28 million strings would be pickled one by one or, in forked workers, be copied as references to them are counted.
    """

    files: Storage
    paths: bytes
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None  # the number of each image's group, where images belong together

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:  # of the paths in the blob, where the NULs are
        return np.flatnonzero(np.frombuffer(self.paths, dtype=np.uint8) == 0)

    def key(self, i: int) -> str:
        """Name image `i` by its path in the storage."""
        start = int(self._ends[i - 1]) + 1 if i else 0
        return os.fsdecode(self.paths[start : self._ends[i]])  # bytes that are not UTF-8 become surrogates

    def path(self, i: int) -> str:
        """Locate image `i`."""
        return self.files.locate(self.key(i))

    def content(self, i: int) -> bytes:
        """Read the bytes of image `i`.

        Raises:
            RunError: If the storage does not give the file (missing, forbidden, a lost mount).
            DamagedImage: If it gives a part of it.
        """
        try:
            return self.files.read(self.key(i))
        except DamagedFile as error:
            raise DamagedImage(
                f"an image must be whole, got {self.path(i)!r} ({error}); mend or remove it, or try "
                "data.on_damaged=replace"
            ) from None
        except OSError as error:
            reason = error.strerror or flat(error)
            raise RunError(f"an image must be readable, got {self.path(i)!r} ({reason}); check data.root") from error

    def stamp(self, i: int) -> tuple[int, ...] | None:
        """Give image `i`'s size and marks of change; None if missing."""
        try:
            return self.files.stamp(self.key(i))
        except OSError:
            return None  # reading it names it

    def take(self, index: NDArray[np.int64]) -> FileSplit:
        """Take the files of `index`, in its order."""
        paths, groups = split_names(self.paths), None if self.groups is None else self.groups[index]
        return FileSplit(self.files, join_names(paths[i] for i in index.tolist()), self.labels[index], groups)

    def digest(self) -> bytes:
        """Hash the labels and keys, wherever the files lie."""
        content = hashlib.sha256(self.labels.astype("<i8").tobytes())
        content.update(self.paths)
        return content.digest()


@dataclass(frozen=True, eq=False)
class FileTable:
    """Lists the images below a folder by class, then by path."""

    root: str  # absolute
    folders: bytes  # every visited folder from the root, which is the empty path, each ended by NUL
    stamps: NDArray[np.int64]  # (folders, 4), see `folder_stamp`
    paths: bytes  # the images' paths from the root, each ended by NUL
    labels: NDArray[np.int32]  # of the folder right below the root; -1, before all others, for images in the root
    files: NDArray[np.uint64]  # (images, 2), the device and inode of each: links to one file share them
    left_out: Counter[str]  # files that are no images, by ending
    by_content: int  # images without an ending, known by their first bytes

    @property
    def classes(self) -> tuple[str, ...]:
        """List class names: the folders right below the root, in byte order."""
        return tuple(os.fsdecode(folder) for folder in split_names(self.folders) if folder and b"/" not in folder)

    @property
    def nested(self) -> list[str]:
        """List folders inside class folders, by their paths from the root."""
        return [os.fsdecode(folder) for folder in split_names(self.folders) if b"/" in folder]

    @property
    def loose(self) -> int:
        """Count the images in the root, outside of class folders."""
        return int((self.labels < 0).sum())


def file_table(folder: str, cache_dir: str | None) -> FileTable:
    """List the images below a folder, from the cache if nothing changed.

    What is hidden or left by tools (`.ipynb_checkpoints`, `._x.jpg`, `@eaDir`) is left out, and so are files with
    another ending than `IMAGE_ENDINGS`, or without an ending and no image by their first bytes; all are counted.

    Raises:
        ConfigError: If a folder is unreadable, or lies inside itself by a link.
    """
    root = os.path.abspath(folder)
    cached = cache_path(root, cache_dir)
    table = _read(cached, root)
    if table is None or not _unchanged(table):
        started = time.time_ns()
        table = _scan(root)
        if settled(table.stamps[:, -1].tolist(), started):  # else a change might go unseen: the next run scans again
            _write(table, cached)
    return table


def cache_path(folder: str, cache_dir: str | None) -> str:
    """Locate a folder's table: `cache_dir`, else $DATAVOL_CACHE, else ~/.cache/datavol."""
    cache = cache_dir or os.environ.get("DATAVOL_CACHE") or os.path.join("~", ".cache", "datavol")
    endings = ",".join(sorted(IMAGE_ENDINGS))  # more where a plug-in is installed
    name = hashlib.sha256(f"{CACHE_FORMAT}|{endings}|".encode() + os.fsencode(os.path.abspath(folder))).hexdigest()
    return os.path.join(os.path.expanduser(cache), f"files-{name[:32]}.npz")


def data_root(root: str | None) -> str:
    """Resolve data.root to the absolute path of a folder."""
    if root is None:
        raise ConfigError("data.root must be a folder, got nothing; try data.root=/path/to/images")
    folder = os.path.abspath(os.path.expanduser(root))
    if not os.path.isdir(folder):
        kind = "is a file" if os.path.exists(folder) else "does not exist"
        if os.path.islink(folder) and kind == "does not exist":
            kind = "is a broken link"
        packed = folder.lower().endswith((".zip", ".tar")) and kind == "is a file"
        remedy = f"data=image_folder {typed('data.root', folder)}" if packed else "data.root=/path/to/images"
        raise ConfigError(f"data.root must be a folder, got {root}, which {kind}; try {remedy}")
    return folder


def join_names(names: Iterable[bytes]) -> bytes:
    """Join names, each ended by NUL, which no path can hold."""
    return b"".join(name + b"\0" for name in names)


def split_names(blob: bytes) -> list[bytes]:
    """Split a blob into its names."""
    return blob.split(b"\0")[:-1]


def _scan(folder: str) -> FileTable:
    scan = Scan(os.fsencode(folder))
    try:
        root, (paths, classes) = scan.identity(b""), scan.list_folder(b"")
        labels = [-1] * len(paths)
        for label, name in enumerate(classes):
            images = sorted(scan.walk(name, (root,)))
            paths += images
            labels += [label] * len(images)
    except OSError as error:
        remedy = "check its permissions" if isinstance(error, PermissionError) else "check data.root"
        raise ConfigError(
            f"data.root must be readable throughout, got {os.fsdecode(error.filename)!r} ({error.strerror}); {remedy}"
        ) from error
    stamps = np.array(list(scan.stamps.values()), dtype=np.uint64).astype(np.int64)
    files = np.array([scan.files[path] for path in paths], dtype=np.uint64).reshape(-1, 2)
    numbers = np.array(labels, dtype=np.int32)
    return FileTable(
        folder, join_names(scan.stamps), stamps, join_names(paths), numbers, files, scan.left_out, len(scan.by_content)
    )


def _unchanged(table: FileTable) -> bool:
    root = os.fsencode(table.root)
    folders = (os.path.join(root, name) for name in split_names(table.folders))
    try:  # a stat per folder, not per file: 1,001 for ImageNet's training set
        stamps = [folder_stamp(os.stat(folder)) for folder in folders]
        return np.array_equal(np.array(stamps, dtype=np.uint64).astype(np.int64), table.stamps)
    except OSError:
        return False  # a folder that is gone; the new scan says so if it matters


def _read(cached: str, root: str) -> FileTable | None:
    """Read a table from a cache file; None if absent or untrustworthy."""
    if (kept := read_kept(cached, _fits)) is None:
        return None
    folders, paths, left_out = (kept[name].tobytes() for name in BLOBS)
    stamps, labels, files = (kept[name] for name in COLUMNS)
    return FileTable(
        root, folders, stamps, paths, labels, files, Counter(json.loads(left_out)), int(kept["by_content"])
    )


def _fits(kept: Arrays) -> bool:
    """Return whether the columns of a kept table are of one length."""
    lengths = [len(kept[name]) for name in COLUMNS]
    folders, paths = (kept[name].tobytes().count(b"\0") for name in BLOBS[:2])
    return lengths == [folders, paths, paths]


def _write(table: FileTable, cached: str) -> None:
    blobs = table.folders, table.paths, json.dumps(table.left_out).encode()
    arrays: Arrays = dict(zip(COLUMNS, (table.stamps, table.labels, table.files), strict=True))
    arrays |= dict(zip(BLOBS, map(as_bytes, blobs), strict=True))
    keep(cached, arrays | {"by_content": np.array(table.by_content)})
