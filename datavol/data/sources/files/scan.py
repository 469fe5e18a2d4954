"""Walks through folders of images."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import AnyStr

from datavol.data.sources.files.found import by_tools
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, NO_ENDING, first_bytes, is_image, kind_of
from datavol.errors import ConfigError

FolderStamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Scan:
    """Gathers what a scan of `root` meets."""

    root: bytes
    stamps: dict[bytes, FolderStamp] = field(default_factory=dict)
    files: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    by_content: list[bytes] = field(default_factory=list)  # images without an ending, known by their first bytes

    def walk(self, inside: bytes, around: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
        """List the images in `inside` and below.

        `around` identifies the folders around it.
        """
        here = self.identity(inside)
        if here in around:
            raise ConfigError(
                f"data.root must hold no folder inside itself, got {os.fsdecode(os.path.join(self.root, inside))!r}, "
                "a link to a folder around it; remove the link"
            )
        images, folders = self.list_folder(inside)
        yield from images
        for folder in folders:
            yield from self.walk(folder, (*around, here))

    def identity(self, inside: bytes) -> tuple[int, int]:
        """Return a folder's device and inode."""
        status = os.stat(os.path.join(self.root, inside))
        return status.st_dev, status.st_ino

    def list_folder(self, inside: bytes) -> tuple[list[bytes], list[bytes]]:
        """List the images and folders in `inside`, sorted; note its stamp."""
        folder = os.path.join(self.root, inside)
        # Before the listing: a file added meanwhile makes the table stale, never wrong
        status = os.stat(folder)
        self.stamps[inside] = folder_stamp(status)
        images, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                path = inside + b"/" + entry.name if inside else entry.name  # from `root`
                kind = kind_of(entry.name)
                if by_tools(kind):
                    self.left_out[kind] += 1
                elif entry.is_dir():
                    folders.append(path)
                elif kind in IMAGE_ENDINGS or self._looks_like_one(kind, path):
                    images.append(path)
                    self.files[path] = file_identity(entry, status.st_dev)
                else:
                    self.left_out[kind] += 1
        return sorted(images), sorted(folders)

    def _looks_like_one(self, kind: str, path: bytes) -> bool:
        """Return whether a file without an ending begins as an image does."""
        if kind != NO_ENDING or not is_image(first_bytes(os.path.join(self.root, path))):
            return False
        self.by_content.append(path)
        return True


def folder_stamp(status: os.stat_result) -> FolderStamp:
    """Describe a folder by its inode, size, mtime and ctime."""
    # An mtime may be set back after a change, and comes along where one folder takes another's place; a ctime is the
    # kernel's own
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_identity(entry: os.DirEntry[AnyStr], device: int) -> tuple[int, int]:
    """Return a file's device and inode; of a link, its target's."""
    if not entry.is_symlink():
        return device, entry.inode()  # as the listing gave it: no further call for each of a million files
    try:
        status = entry.stat()
    except OSError:  # a broken link, which is an error once the image is read
        return device, entry.inode()
    return status.st_dev, status.st_ino
