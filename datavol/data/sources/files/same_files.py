"""Finds images that are one file through links.

Such an image could lie in train and val at once.
"""

import os

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.data.sources.files.file_table import FileSplit, split_names
from datavol.data.sources.files.found import plural
from datavol.data.sources.files.scan import file_identity
from datavol.data.sources.files.tree import FolderTree, Tree
from datavol.errors import ConfigError

Files = NDArray[np.uint64]  # (images, 2), device and inode
MISSING = 2**64 - 1  # the device of a file that is not there


def check_same_files(key: str, splits: list[FileSplit], files: list[Files], held_out: bool) -> tuple[str, ...]:
    """Note images that are one file.

    With `held_out`, val will be drawn from the images.

    Raises:
        ConfigError: If one file has two classes, or is or might be in both train and val.
    """
    order = np.lexsort(np.concatenate(files).T)  # equal files stand side by side
    ordered = np.concatenate(files)[order]
    equal = (ordered[1:] == ordered[:-1]).all(axis=1)
    if not equal.any():
        return ()
    paths = [split.files.locate(os.fsdecode(name)) for split in splits for name in split_names(split.paths)]
    # A group is a split's class; nothing may link it to another one. To be held out, each image is its own
    labels = [2 * split.labels + number for number, split in enumerate(splits)]
    group = np.arange(len(order)) if held_out else np.concatenate(labels)
    pairs = [(paths[order[i]], paths[order[i + 1]]) for i in np.flatnonzero(equal)]
    if not _is_one_file(*pairs[0]):
        return ()
    apart = np.flatnonzero(group[order][1:][equal] != group[order][:-1][equal])
    if len(apart):
        first, second = sorted(pairs[apart[0]])
        more = f" (and {len(apart) - 1:,} more)" if len(apart) > 1 else ""
        raise ConfigError(
            f"{key} must name each file once, as train and val may share none and a file has one class, got "
            f"{shown(first)} and {shown(second)}, which are one file{more}; remove the links"
        )
    return (f"{plural(len(pairs), 'link')} to another image of the class, such as {shown(pairs[0][1])}",)


def listed_files(split: FileSplit, tree: Tree) -> Files:
    """Identify a split's files by listing its folders, without a stat each."""
    if not isinstance(tree, FolderTree):  # no two of a list are one file
        there = [tree.holds(split.key(i)) for i in range(len(split))]
        return np.stack([np.where(there, 0, np.uint64(MISSING)), np.arange(len(split), dtype=np.uint64)], axis=1)
    folders: dict[str, dict[str, tuple[int, int]]] = {}
    found = []
    for i in range(len(split)):
        folder, name = os.path.split(split.path(i))
        if folder not in folders:
            folders[folder] = _list(folder)
        found.append(folders[folder].get(name, (MISSING, i)))  # a file that is not there equals no other
    return np.array(found, dtype=np.uint64).reshape(-1, 2)


def _list(folder: str) -> dict[str, tuple[int, int]]:
    try:
        with os.scandir(folder) as entries:
            device = os.stat(folder).st_dev
            return {entry.name: file_identity(entry, device) for entry in entries}
    except OSError:  # reading an image says so, by its name
        return {}


def _is_one_file(first: str, second: str) -> bool:
    """Return whether two paths lead to one file.

    Equal identities do not tell: some file systems number all files alike.
    """
    try:
        return os.path.realpath(first) == os.path.realpath(second) or os.stat(first).st_nlink > 1
    except OSError:
        return False
