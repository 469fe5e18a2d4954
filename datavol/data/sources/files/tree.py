"""Looks into a data set's folders, on a disk or in a list of paths.

What a data set is taken for depends on the names of its folders and files alone, so an archive, whose members are a
list of paths, is understood as the folder that it would unpack to.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from datavol.data.sources.files.file_table import FileTable, file_table, join_names
from datavol.data.sources.files.found import by_tools
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, NO_ENDING, first_bytes, is_image, kind_of
from datavol.data.sources.storage.folder import Folder, Storage
from datavol.errors import ConfigError

PLAIN = frozenset(ending[1:].encode() for ending in IMAGE_ENDINGS)
DEEP = 12  # folders inside each other that are looked into


class Names(NamedTuple):
    """Holds the names in a folder, sorted."""

    folders: list[str]  # without those of tools
    files: list[str]
    left: Counter[str]  # folders and files of tools, by kind

    @property
    def kinds(self) -> Counter[str]:
        """Count all files by kind, and the folders of tools."""
        return Counter(kind_of(os.fsencode(name)) for name in self.files) + self.left


class Tree(Protocol):
    """Gives the folders of a data set, by paths from its top.

    The top itself is the empty path.
    """

    place: str  # the absolute path of its folder, or of its archive

    def look(self, folder: str) -> Names:
        """List the names in a folder."""

    def holds(self, path: str) -> bool:
        """Return whether there is such a file."""

    def first_bytes(self, path: str) -> bytes:
        """Read how a file begins; nothing if that cannot be read."""

    def table(self, folder: str) -> FileTable:
        """List the images below a folder by class."""

    def storage(self, folder: str) -> Storage:
        """Give what reads the files below a folder."""


@dataclass(frozen=True)
class Below:
    """Reads a storage's files that lie below one of its folders."""

    files: Storage
    folder: str

    @property
    def place(self) -> str:
        """Name the folder."""
        return self.files.locate(self.folder)

    def read(self, key: str) -> bytes:
        """Read a file."""
        return self.files.read(inside(self.folder, key))

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give a file's size, then numbers that differ once it changes."""
        return self.files.stamp(inside(self.folder, key))

    def locate(self, key: str) -> str:
        """Write where a file lies."""
        return self.files.locate(inside(self.folder, key))


def at(tree: Tree, folder: str) -> str:
    """Locate a folder, for messages."""
    return os.path.join(tree.place, folder) if folder else tree.place


def inside(folder: str, name: str) -> str:
    """Join a path from the top and a name."""
    return f"{folder}/{name}" if folder else name


def images_in(tree: Tree, folder: str) -> int:
    """Count the images right in a folder."""
    return sum(1 for _ in image_names(tree, folder))


def image_names(tree: Tree, folder: str) -> Iterator[str]:
    """Yield the names of the images right in a folder."""
    for name in tree.look(folder).files:
        kind = kind_of(os.fsencode(name))
        if kind in IMAGE_ENDINGS or (kind == NO_ENDING and is_image(tree.first_bytes(inside(folder, name)))):
            yield name


def holds_images(tree: Tree, folder: str) -> bool:
    """Return whether an image lies in or below a folder."""
    # A link may lead round in a circle, which the file table refuses by name
    return any(image_names(tree, folder)) or (
        folder.count("/") < DEEP and any(holds_images(tree, inside(folder, name)) for name in tree.look(folder).folders)
    )


class FolderTree:
    """Looks into a folder of the disk."""

    def __init__(self, root: str, cache_dir: str | None) -> None:
        self.place, self.cache_dir = root, cache_dir
        self._seen: dict[str, Names] = {}

    def look(self, folder: str) -> Names:
        """List the names in a folder, once."""
        if folder not in self._seen:
            self._seen[folder] = self._list(at(self, folder))
        return self._seen[folder]

    def holds(self, path: str) -> bool:
        """Return whether there is such a file; a broken link counts."""
        return os.path.lexists(at(self, path)) and not os.path.isdir(at(self, path))

    def first_bytes(self, path: str) -> bytes:
        """Read how a file begins."""
        return first_bytes(at(self, path))

    def table(self, folder: str) -> FileTable:
        """List the images below a folder, from the cache if nothing changed."""
        return file_table(at(self, folder), self.cache_dir)

    def storage(self, folder: str) -> Storage:
        """Give what reads the files below a folder."""
        return Folder(at(self, folder))

    def _list(self, path: str) -> Names:
        try:
            with os.scandir(path) as entries:
                return _sorted([(entry.name, entry.is_dir()) for entry in entries])
        except OSError as error:
            raise ConfigError(
                f"data.root must be readable, got {path!r} ({error.strerror}); check data.root"
            ) from error


class ListedTree:
    """Looks into a list of paths, such as an archive's members.

    Folders in a path are separated by `/`.
    """

    def __init__(self, files: Storage, paths: Iterable[bytes]) -> None:
        self.place, self._files, self._paths = files.place, files, list(paths)

    @cached_property
    def _known(self) -> frozenset[bytes]:
        return frozenset(self._paths)

    @cached_property
    def _folders(self) -> dict[bytes, tuple[set[bytes], list[bytes]]]:
        """Map each folder to the names of its folders and files."""
        held: dict[bytes, tuple[set[bytes], list[bytes]]] = {b"": (set(), [])}

        def enter(folder: bytes) -> tuple[set[bytes], list[bytes]]:
            if folder not in held:
                around, _, name = folder.rpartition(b"/")
                held[folder] = (set(), [])
                enter(around)[0].add(name)
            return held[folder]

        for path in self._paths:
            folder, _, name = path.rpartition(b"/")
            enter(folder)[1].append(name)
        return held

    def look(self, folder: str) -> Names:
        """List the names in a folder."""
        folders, files = self.names(os.fsencode(folder))
        return _sorted([(os.fsdecode(name), isinstance(held, set)) for held in (folders, files) for name in held])

    def holds(self, path: str) -> bool:
        """Return whether there is such a file."""
        return os.fsencode(os.path.normpath(path)) in self._known

    def first_bytes(self, path: str) -> bytes:
        """Read how a file begins."""
        try:
            return self._files.read(path)[:64]
        except OSError:
            return b""

    def storage(self, folder: str) -> Storage:
        """Give what reads the files below a folder."""
        return Below(self._files, folder) if folder else self._files

    def table(self, folder: str) -> FileTable:
        """List the images below a folder, in the order of a scan.

        The scan is that of the unpacked folder.
        """
        found = _Listing(self)
        paths = found.walk(os.fsencode(folder), b"", deep=False)
        labels = [-1] * len(paths)
        for label, name in enumerate(self.look(folder).folders):
            images = sorted(found.walk(os.fsencode(inside(folder, name)), os.fsencode(name)))
            paths += images
            labels += [label] * len(images)
        # No two of a list are one file, in whatever folder
        own = np.full(len(paths), zlib.crc32(os.fsencode(folder)), dtype=np.uint64)
        return FileTable(
            at(self, folder),
            join_names(found.visited),
            np.zeros(len(found.visited), dtype=np.int64),
            join_names(paths),
            np.array(labels, dtype=np.int32),
            np.stack([own, np.arange(len(paths), dtype=np.uint64)], axis=1),
            found.left_out,
            found.by_content,
        )

    def names(self, folder: bytes) -> tuple[set[bytes], list[bytes]]:
        """Give the names of the folders and files in a folder."""
        return self._folders.get(folder, (set(), []))


class _Listing:
    """Gathers what a walk through a list meets."""

    def __init__(self, tree: ListedTree) -> None:
        self.tree, self.visited = tree, list[bytes]()
        self.left_out, self.by_content = Counter[str](), 0

    def walk(self, path: bytes, from_root: bytes, deep: bool = True) -> list[bytes]:
        """List the images in `path` and below; count what is left out.

        `from_root` is the same folder, from the root of the table. Unless `deep`, folders inside are not entered.
        """
        self.visited.append(from_root)
        folders, files = self.tree.names(path)
        before = from_root + b"/" if from_root else b""
        images = [before + name for name in files if self._is_image(path, name)]
        for name in sorted(folders):
            if by_tools(kind := kind_of(name)):
                self.left_out[kind] += 1
            elif deep:
                images += self.walk(path + b"/" + name, before + name)
        return images

    def _is_image(self, path: bytes, name: bytes) -> bool:
        """Return whether a file is an image; count it if not.

        Images without an ending are counted too.
        """
        stem, _, ending = name.rpartition(b".")
        if stem and ending.lower() in PLAIN and name[:1] != b".":  # nearly all
            return True
        kind = kind_of(name)
        if kind == NO_ENDING and is_image(self.tree.first_bytes(os.fsdecode(path + b"/" + name if path else name))):
            self.by_content += 1
            return True
        self.left_out[kind] += 1
        return False


def _sorted(entries: list[tuple[str, bool]]) -> Names:
    """Sort names as bytes; set those of tools aside."""
    folders: list[bytes] = []
    files: list[bytes] = []
    left: Counter[str] = Counter()
    for name, is_folder in entries:
        encoded = os.fsencode(name)
        if by_tools(kind := kind_of(encoded)):
            left[kind] += 1
        else:
            (folders if is_folder else files).append(encoded)
    return Names([os.fsdecode(name) for name in sorted(folders)], [os.fsdecode(name) for name in sorted(files)], left)
