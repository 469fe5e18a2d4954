"""Opens what `data.root` names: a folder, an archive or a folder in it, a bucket."""

from __future__ import annotations

import os

from datavol.data.sources.files.file_table import cache_path, data_root
from datavol.data.sources.files.tree import Below, FolderTree, ListedTree, Tree
from datavol.data.sources.storage.archives import Archives, is_archive, open_archives
from datavol.data.sources.storage.bucket import connect, is_address, open_bucket


def open_place(root: str | None, cache_dir: str | None) -> Tree:
    """Open a folder, an archive, or the files below an address.

    Raises:
        ConfigError: If it is none of them, or an archive that can't be read at random.
    """
    if root is not None and is_address(root):
        bucket = open_bucket(root)
        return ListedTree(bucket, bucket.names)
    if root is None or (found := _in_archive(absolute(root), cache_dir)) is None:
        return FolderTree(data_root(root), cache_dir)
    archive, inner = found
    if not inner:
        return ListedTree(archive, archive.names)
    before = os.fsencode(inner) + b"/"
    below = [name[len(before) :] for name in archive.names if name.startswith(before)]
    return ListedTree(Below(archive, inner), below) if below else FolderTree(data_root(root), cache_dir)


def read_file(path: str, cache_dir: str | None) -> bytes:
    """Read a file wherever it lies; raises OSError."""
    if is_address(path):
        system, inner = connect(path)
        content: bytes = system.cat_file(inner)
        return content
    if not os.path.lexists(path) and (found := _in_archive(path, cache_dir)):
        archive, inner = found
        return archive.read(inner)
    with open(path, "rb") as file:
        return file.read()


def absolute(path: str) -> str:
    """Make a path absolute; an address is that already."""
    return path if is_address(path) else os.path.abspath(os.path.expanduser(path))


def _in_archive(path: str, cache_dir: str | None) -> tuple[Archives, str] | None:
    """Open the archive that a path leads into; None without one."""
    outer, inner = path, ""
    while not os.path.lexists(outer) and outer != os.path.dirname(outer):
        outer, inner = os.path.dirname(outer), os.path.join(os.path.basename(outer), inner).rstrip("/")
    if not os.path.isfile(outer) or not is_archive(outer):
        return None
    return open_archives(outer, [outer], os.path.dirname(cache_path(outer, cache_dir))), inner
