"""Opens images that are listed one by one, each with its label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.data.sources.files.class_names import check_class_names, check_same_classes
from datavol.data.sources.files.file_table import FileSplit, join_names
from datavol.data.sources.files.found import Found, count, few
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.same_files import MISSING, Files, check_same_files, listed_files
from datavol.data.sources.files.tree import Tree
from datavol.data.sources.groups import with_groups
from datavol.data.sources.split import Division, Opened, check_one_validation, hold_out
from datavol.data.sources.storage.folder import Storage
from datavol.errors import ConfigError

NOT_A_LABEL = ("nan", "#n/a")  # as pandas and spreadsheets write what is missing


@dataclass(frozen=True, eq=False)
class Rows:
    """Lists images with their labels."""

    place: str  # what lists them
    key: str  # the key that points to it, such as `data.table`
    files: Storage
    paths: Sequence[bytes]
    labels: Sequence[str]
    splits: Sequence[str | None]  # the words for train, val and test; None for all where nothing says
    columns: Mapping[str, Sequence[str]] | None = None  # of a table; those that name no groups may be empty
    left_out: Counter[str] = field(default_factory=Counter)
    read: str = ""  # how they were read
    notes: tuple[str, ...] = ()
    tree: Tree | None = None  # of files, which may be missing, or one file through links


def open_rows(rows: Rows, division: Division, group: str | None) -> Opened:
    """Part listed images by their splits, or by a division.

    Raises:
        ConfigError: If neither or both part them, or classes are missing on one side.
    """
    given = any(word is not None for word in rows.splits)
    check_one_validation(given, division, rows.key, "split", rows.place)
    roles = np.array([split_role(word or "") or "" for word in rows.splits])
    # Without images of val, those of test are what is left to evaluate on
    val_role = "val" if "val" in roles else "test"
    if given and not {"train", val_role} <= set(roles.tolist()):
        called = few(sorted({str(word) for word in rows.splits}))
        others = f" (left out: {count(rows.left_out)})" if rows.left_out else ""
        raise ConfigError(
            f"{rows.key} must part images into train and val, got {called} in {shown(rows.place)}{others}; call its "
            "splits train and val"
        )
    used = np.flatnonzero(np.isin(roles, ["train", val_role])) if given else np.arange(len(roles))
    left_out = rows.left_out + Counter(f"in split {word}" for word in np.delete(np.array(rows.splits), used).tolist())
    names = [rows.labels[i] for i in used.tolist()]
    classes = tuple(sorted(set(names)))
    warnings = check_class_names(classes, rows.place, "label another class")
    number = {name: label for label, name in enumerate(classes)}
    labels = np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names))
    whole = FileSplit(rows.files, join_names(rows.paths[i] for i in used.tolist()), labels)
    columns = rows.columns and {name: [all_[i] for i in used.tolist() if all_] for name, all_ in rows.columns.items()}
    found = Found(rows.place, read=rows.read, left_out=left_out, notes=rows.notes, warnings=warnings)
    files = None if rows.tree is None else listed_files(whole, rows.tree)
    (whole,), found = with_groups(group, [whole], found, columns)
    if division.given:
        found = _with_files(found, rows, files, [whole], [slice(None)])
        found = replace(found, val=str(division))
        return classes, *hold_out(whole, division), found
    sides = [np.flatnonzero(roles[used] == role) for role in ("train", val_role)]
    train, val = (whole.take(side) for side in sides)
    has_train, has_val = ([classes[i] for i in np.unique(split.labels)] for split in (train, val))
    check_same_classes(has_train, has_val, rows.place)
    found = _with_files(found, rows, files, [train, val], sides)
    words = [" or ".join(sorted({shown(str(rows.splits[used[i]])) for i in side.tolist()})) for side in sides]
    other = ", as there is no other" if val_role == "test" else ""
    return classes, train, val, replace(found, train=f"split {words[0]}", val=f"split {words[1]}{other}")


def _with_files(
    found: Found, rows: Rows, files: Files | None, splits: list[FileSplit], where: Sequence[NDArray[np.int64] | slice]
) -> Found:
    """Check links between files on the disk; warn of missing files."""
    if files is None:
        return found
    links = check_same_files(rows.key, splits, [files[part] for part in where], held_out=len(splits) == 1)
    missing = [
        split.key(i)
        for split, part in zip(splits, where, strict=True)
        for i in np.flatnonzero(files[part][:, 0] == MISSING).tolist()
    ]
    warnings = found.warnings
    if missing:
        warnings += (f"{len(missing):,} of {len(files):,} files are not there, such as {shown(missing[0])}",)
    return replace(found, notes=(*found.notes, *links), warnings=warnings)
