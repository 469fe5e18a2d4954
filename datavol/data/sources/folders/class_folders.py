"""Reads class folders: one class each, with the folders inside it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.data.sources.files.file_table import FileSplit, split_names
from datavol.data.sources.files.found import count
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.tree import Tree, at
from datavol.errors import ConfigError

LOOSE = "outside of class folders"


@dataclass(frozen=True, eq=False)
class ClassFolders:
    """Holds the images of class folders."""

    folder: str  # from the top of the data set
    classes: tuple[str, ...]
    split: FileSplit
    files: NDArray[np.uint64]  # (images, 2), the device and inode of each
    nested: list[str]  # folders inside class folders
    left_out: Counter[str]
    by_content: int = 0  # images without an ending, known by their first bytes

    def keep(self, mask: NDArray[np.bool_]) -> ClassFolders:
        """Keep some images."""
        index = np.flatnonzero(mask)
        return replace(self, split=self.split.take(index), files=self.files[index])

    def without(self, name: str) -> ClassFolders:
        """Leave out a folder that is no class; renumber those behind it."""
        number = self.classes.index(name)
        kept = self.keep(self.split.labels != number)
        labels = kept.split.labels - (kept.split.labels > number)
        classes = tuple(one for one in self.classes if one != name)
        nested = [path for path in self.nested if not path.startswith(f"{name}/")]
        return replace(kept, classes=classes, nested=nested, split=replace(kept.split, labels=labels))


def read_classes(tree: Tree, folder: str) -> ClassFolders:
    """List the images of class folders, none of which may be empty."""
    table = tree.table(folder)
    place = at(tree, folder)
    if not table.classes:
        raise ConfigError(
            f"a folder of images must hold a folder per class, got none in {shown(place)}; check data.root"
        )
    split = FileSplit(tree.storage(folder), table.paths, table.labels.astype(np.int64))
    counts = np.bincount(split.labels[split.labels >= 0], minlength=len(table.classes))
    if not counts.all():
        empty = os.path.join(place, table.classes[int(np.argmin(counts))])
        others = f" (left out: {count(table.left_out)})" if table.left_out else ""
        raise ConfigError(
            f"a class folder must hold images, got none in {shown(empty)}{others}; remove or fill the folder"
        )
    left_out = table.left_out + Counter({LOOSE: table.loose})
    found = ClassFolders(folder, table.classes, split, table.files, table.nested, left_out, table.by_content)
    return found.keep(split.labels >= 0) if table.loose else found


Halves = tuple[ClassFolders, ClassFolders, Counter[str], tuple[str, str]]


def divide_inside(folders: ClassFolders) -> Halves | None:
    """Divide images by folders of train and val inside each class folder.

    Returns:
        Train, val, what is left out, and where the two lie; None unless all class folders hold nothing else.
    """
    with_folders = {path.partition("/")[0] for path in folders.nested}
    # A folder further inside, such as `cat/train/siamese`, has no role
    all_split = all(split_role(path.partition("/")[2]) for path in folders.nested if path.count("/") == 1)
    deeper = any(path.count("/") > 1 for path in folders.nested)
    if deeper or not all_split or len(with_folders) < len(folders.classes):
        return None
    names = [os.fsdecode(path).split("/") for path in split_names(folders.split.paths)]
    if not all(len(parts) == 3 for parts in names):
        return None
    roles = np.array([split_role(parts[1]) for parts in names])
    val = "val" if "val" in roles else "test"
    if not {"train", val} <= set(roles.tolist()):
        return None
    rest = int(((roles != "train") & (roles != val)).sum())
    left_out = folders.left_out + Counter({"in folders of test images": rest})
    bare = replace(folders, nested=[], left_out=Counter())
    halves = [bare.keep(roles == role) for role in ("train", val)]
    words = [
        " or ".join(sorted({parts[1] for parts, one in zip(names, roles, strict=True) if one == role}))
        + " inside each class" + (", as there is no other" if role == "test" else "")
        for role in ("train", val)
    ]  # fmt: skip
    return halves[0], halves[1], +left_out, (words[0], words[1])
