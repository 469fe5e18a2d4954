"""Groups images that belong together: one patient, one drive, one clip.

A group is what must not lie in train and val at once. It is named by the folder of an image, by a column of a table, or
by a regular expression on the path.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import per_cent, shown, typed
from datavol.data.sources.files.class_names import as_read
from datavol.data.sources.files.file_table import FileSplit, split_names
from datavol.data.sources.files.found import Found, few
from datavol.errors import ConfigError

FOLDER = "folder"
EXAMPLE = typed("data.group", r"(clip\d+)_")
PLAIN = r"[\w -]+"  # a word that is no expression: the name of a column
MISSING = ("", "nan", "#n/a", "none", "null")  # as pandas, spreadsheets and databases write what is missing


@dataclass(frozen=True, eq=False)
class Groups:
    """Counts the groups of an opened data set."""

    by: str  # data.group
    names: tuple[str, ...]  # of all groups, in the order of their numbers
    train: NDArray[np.int64]  # (groups,), the training images of each
    val: NDArray[np.int64]  # (groups,), the validation images of each

    @cached_property
    def shared(self) -> list[str]:
        """Name the groups that lie in train and val at once."""
        return [self.names[i] for i in np.flatnonzero((self.train > 0) & (self.val > 0)).tolist()]

    @property
    def record(self) -> dict[str, Any]:
        """Describe them as `subset.json` does."""
        return {
            "by": self.by,
            "train": int((self.train > 0).sum()),
            "val": int((self.val > 0).sum()),
            "size": round(float((self.train**2).sum() / self.train.sum()), 1),  # of the group of an average image
            "shared": len(self.shared),
            "shared_val_images": int(self.val[self.train > 0].sum()),
            "shared_names": self.shared[:3],
        }

    @property
    def lines(self) -> list[str]:
        """Describe them in lines for the terminal."""
        sizes = np.sort(self.train[self.train > 0])
        names = [self.names[i] for i in np.flatnonzero(self.train).tolist()]
        counts = f"{sizes[0]:,} images each"
        if sizes[0] < sizes[-1]:
            counts = f"{sizes[0]:,} to {sizes[-1]:,} images each, median {sizes[len(sizes) // 2]:,}"
        lines = [
            f"groups by {shown(self.by)}: {len(sizes):,} in train ({few(names)}; {counts}), "
            f"{np.count_nonzero(self.val):,} in val"
        ]
        if self.shared:
            lines.append(
                f"warning: {_groups(len(self.shared))} in train and in val ({few(self.shared)}), with "
                f"{per_cent(self.val[self.train > 0].sum() / self.val.sum())} of the validation images: accuracy will "
                "look better than on new groups; move each to one side, or put all images into one folder or table "
                "with data.val_fraction=0.2"
            )
        return lines


def _groups(number: int) -> str:
    return f"{number:,} group{'s' * (number > 1)} {'lie' if number > 1 else 'lies'}"


def with_groups(
    rule: str | None,
    splits: Sequence[FileSplit],
    found: Found,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> tuple[list[FileSplit], Found]:
    """Give the images of train and val their groups' numbers.

    Args:
        rule: `data.group`; None groups nothing.
        splits: Training and validation images, or all of them at once.
        found: What was found of them; the names of the groups, and notes on them, are added.
        columns: Of a table, its columns, each with a value for every image of the splits, one after the other.

    Raises:
        ConfigError: If the rule names no group for an image, one for all of them, or a group for each.
    """
    if rule is None:
        return list(splits), found
    paths = [os.fsdecode(path) for split in splits for path in split_names(split.paths)]
    notes: tuple[str, ...] = ()
    if columns is not None and rule in columns:
        _check_one_meaning(rule)
        names, notes = _from_column(rule, columns[rule])
    elif rule == FOLDER:
        names, notes = _from_folders(paths, within_classes=columns is None)
    else:
        names = _from_expression(rule, paths, columns)
    unique = tuple(sorted(set(names)))
    _check_number(rule, unique, len(names))
    number = {name: i for i, name in enumerate(unique)}
    numbers = np.fromiter(map(number.__getitem__, names), dtype=np.int64, count=len(names))
    parts = np.split(numbers, np.cumsum([len(split) for split in splits])[:-1])
    grouped = [replace(split, groups=part) for split, part in zip(splits, parts, strict=True)]
    return grouped, replace(found, groups=unique, notes=(*found.notes, *notes))


def count_groups(by: str, names: tuple[str, ...], train: NDArray[np.int64], val: NDArray[np.int64]) -> Groups:
    """Count the images of each group in train and val."""
    counts = (np.bincount(groups, minlength=len(names)) for groups in (train, val))
    return Groups(by, names, *counts)


def _from_column(rule: str, values: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    names = [value.strip() for value in values]
    gaps = [i for i, name in enumerate(names) if name.lower() in MISSING]
    if gaps:
        raise ConfigError(
            f"data.group={rule} must name a group for every image, got {values[gaps[0]]!r} for {len(gaps):,} of "
            f"{len(names):,}; fill the column in, or leave those rows out"
        )
    return names, _alike(set(names))


def _from_folders(paths: Sequence[str], within_classes: bool) -> tuple[list[str], tuple[str, ...]]:
    """Take the folder of each image as its group.

    It lies in the class folder if `within_classes`; else, in a table, anywhere. Returns the folders, and notes.

    Raises:
        ConfigError: If an image lies in no such folder, or in several within its class folder.
    """
    names = [path.rpartition("/")[0] for path in paths]
    depths = [name.count("/") for name in names] if within_classes else [1 if name else 0 for name in names]
    why = "lies in no folder below its class folder" if within_classes else "lies in no folder"
    _check_all(FOLDER, paths, [depth > 0 for depth in depths], why)
    if deeper := [i for i, depth in enumerate(depths) if depth > 1]:
        path = paths[deeper[0]]
        outer, inner = "/".join(path.split("/")[:2]), names[deeper[0]]
        raise ConfigError(
            f"data.group=folder must find one folder between class and image, got {shown(path)} ({len(deeper):,} of "
            f"{len(paths):,}); try {typed('data.group', '^([^/]+/[^/]+)/')} for {shown(outer)}, or "
            f"{typed('data.group', '^(.+)/')} for {shown(inner)}"
        )
    return names, _in_several_classes(set(names)) if within_classes else ()


def _from_expression(rule: str, paths: Sequence[str], columns: Mapping[str, Sequence[str]] | None) -> list[str]:
    if re.fullmatch(PLAIN, rule):
        raise _no_column(rule, columns)
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise ConfigError(
            f"data.group must be {_rule(columns)}, got {shown(rule)} ({error}); write it as {EXAMPLE}, "
            "or leave data.group out"
        ) from None
    captured: Callable[[re.Match[str]], str] = (
        (lambda match: "/".join(filter(None, match.groups()))) if expression.groups else (lambda match: match[0])
    )
    matches = [expression.search(path) for path in paths]
    names = [captured(match) if match else "" for match in matches]
    _check_all(rule, paths, [bool(name) for name in names], "does not match")
    if expression.groups > 1:
        _check_one_place(rule, names, [match and match.groups("") for match in matches])
    return names


def _check_one_place(rule: str, names: Sequence[str], parts: Sequence[tuple[str, ...] | None]) -> None:
    """Raise if one name comes from several brackets, as of `p(1)|q(1)`."""
    first: dict[str, tuple[str, ...] | None] = {}
    for name, own in zip(names, parts, strict=True):
        if first.setdefault(name, own) != own:
            raise ConfigError(
                f"data.group must name a group by the same brackets in every path, got {shown(name)} by different ones "
                f"of {shown(rule)}; put into brackets what tells them apart, as (p1|q1) does"
            )


def _rule(columns: Mapping[str, Sequence[str]] | None) -> str:
    column = "" if columns is None else "a column of the table, "
    return f"{column}folder or a regular expression on the path"


def _no_column(rule: str, columns: Mapping[str, Sequence[str]] | None) -> ConfigError:
    if columns is None:
        remedy = f"try data.group=folder, or an expression such as {EXAMPLE}; columns are of data=table"
    else:
        near = difflib.get_close_matches(rule, columns, n=1, cutoff=0.4)
        known = f"its columns are {', '.join(map(shown, columns))}"
        remedy = f"{known}; try {typed('data.group', near[0]) if near else 'data.group=folder'}"
    return ConfigError(f"data.group must be {_rule(columns)}, got {shown(rule)}; {remedy}")


def _check_one_meaning(rule: str) -> None:
    if rule == FOLDER:
        raise ConfigError(
            "data.group must have one meaning, got folder, which is a column of the table and the folder of an image; "
            f"rename the column, or try {typed('data.group', '^(.*)/')} for the folder"
        )


def _check_all(rule: str, paths: Sequence[str], matched: Sequence[bool], why: str) -> None:
    """Raise a ConfigError unless every image has a group."""
    without = [path for path, ok in zip(paths, matched, strict=True) if not ok]
    if not without:
        return
    remedy = f"try {typed('data.group', _or_own_group(rule, paths))}, which makes each of these its own group"
    if len(without) == len(paths):
        remedy = f"name what an image's group is called in its path, as {EXAMPLE} does, or leave data.group out"
    raise ConfigError(
        f"data.group must name a group for every image, got {shown(without[0])}, which {why} "
        f"({len(without):,} of {len(paths):,} images); {remedy}"
    )


def _or_own_group(rule: str, paths: Sequence[str]) -> str:
    """Widen a rule to images without a group: each becomes its own."""
    if rule == FOLDER:
        return "^([^/]+/[^/]+)" if all("/" in path for path in paths) else "^(.+)/|([^/]+)$"
    flags = re.match(r"(?:\(\?[a-zA-Z]+\))?", rule)
    start = flags[0] if flags else ""
    kept = rule if re.compile(rule).groups else f"{start}({rule.removeprefix(start)})"
    return f"{kept}|([^/]+)$"


def _check_number(rule: str, names: Sequence[str], images: int) -> None:
    if len(names) == 1:
        raise ConfigError(
            f"data.group must find two groups or more, got one ({shown(names[0])}) with {shown(rule)}; name what tells "
            "them apart, or leave data.group out"
        )
    if len(names) == images:
        raise ConfigError(
            f"data.group must put several images into a group, got {images:,} groups of one image ({few(names)}) with "
            f"{shown(rule)}; name what they have in common, or leave data.group out"
        )


def _alike(names: set[str]) -> tuple[str, ...]:
    """Note names of groups that read alike."""
    count = Counter(as_read(name).casefold() for name in names)
    same = sorted(name for name in names if count[as_read(name).casefold()] > 1)
    return (f"groups that read alike count as several: {few(same)}",) if same else ()


def _in_several_classes(names: set[str]) -> tuple[str, ...]:
    """Note folders of one name in several class folders."""
    count = Counter(name.rpartition("/")[2] for name in names)
    several = sorted(name for name, number in count.items() if number > 1)
    if not several:
        return ()
    return (
        f"folders of one name in several classes count as a group each: {few(several)}; if they are one, try "
        f"{typed('data.group', '^[^/]+/([^/]+)/')}",
    )
