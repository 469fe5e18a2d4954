"""Finds the columns of paths, labels and splits in a table."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from datavol.cli.text import shown, typed
from datavol.errors import ConfigError

USUAL = {
    "path": (
        *("path", "file", "filename", "filepath", "image", "imagepath", "img", "imgpath", "imagename", "imgname"),
        *("imagefile", "imagefilename", "imgfile", "fname", "id", "imageid", "imgid", "imageids", "fileid", "relpath"),
        *("relativepath", "images", "files", "filenames", "paths", "photo", "picture", "url", "imageurl"),
    ),
    "label": (
        *("label", "labels", "class", "classname", "classlabel", "classes", "category", "categories", "categoryname"),
        *("target", "targets", "breed", "species", "tag", "diagnosis", "labelname", "classid", "labelid", "y"),
    ),
    "split": ("split", "splits", "set", "subset", "fold", "partition", "dataset", "usage", "isvalid", "isval"),
}
"""Usual names, in small letters without spaces and signs."""


@dataclass(frozen=True)
class Table:
    """Names a table in messages."""

    path: str
    key: str = "data.table"  # that points to it
    command: str = ""  # the overrides that its user typed
    cache_dir: str | None = None  # of the list of an archive's members, where it lies in one


@dataclass(frozen=True)
class Columns:
    """Holds the columns of a table, counted from 0."""

    path: int
    label: int
    split: int | None
    asked: bool = False  # the split column was asked for by its name, or is called `split`


class SeveralColumns(ConfigError):
    """Reports several columns that may have a role, by their names."""

    def __init__(self, role: str, names: list[str], message: str) -> None:
        super().__init__(message)
        self.role, self.names = role, names


def usual(name: str) -> str:
    """Write a column's name as `USUAL` does.

    >>> usual("Image_ID"), usual("class name")
    ('imageid', 'classname')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def candidates(header: Sequence[str], role: str, asked: str | None) -> list[int]:
    """Find the columns that may have a role.

    The one of that very name is meant, whatever others there are.
    """
    wanted = role if asked is None else asked
    if exact := [i for i, name in enumerate(header) if name == wanted]:
        return exact
    if asked is not None:
        return []
    return [i for i, name in enumerate(header) if usual(name) in USUAL[role]]


def positions(asked: dict[str, str | None]) -> Columns | None:
    """Return columns that were asked for by their numbers, from 1."""
    path, label, split = (int(n) - 1 if (n := asked[role] or "").isdecimal() and int(n) else None for role in USUAL)
    return None if path is None or label is None else Columns(path, label, split, split is not None)


def check_numbers(numbered: Columns, asked: dict[str, str | None], width: int, table: Table) -> None:
    """Raise a ConfigError unless numbers name different columns of a table."""
    split = asked["split"]
    if split is not None and (numbered.split is None or numbered.split >= width):
        raise ConfigError(
            f"data.columns.split must be a number up to {width}, as the other two are, got {shown(split)}; give its "
            "number, or leave it out"
        )
    if numbered.path == numbered.label:
        raise ConfigError(
            f"data.columns.label must be another column than that of paths, got {asked['label']} for both; "
            f"try data.columns.label={2 if asked['path'] == '1' else 1}"
        )
    if max(numbered.path, numbered.label) >= width:
        raise ConfigError(
            f"data.columns must be numbers up to {width} in {shown(table.path)}, got {asked['path']} and "
            f"{asked['label']}; try data.columns.path=1 data.columns.label=2"
        )


def choose_columns(
    header: Sequence[str],
    asked: dict[str, str | None],
    first: Sequence[str],
    is_file: Callable[[str], bool],
    table: Table,
) -> Columns:
    """Choose a table's columns of paths, labels and splits.

    Of several for paths the one that leads to a file, by its `first` row.

    Raises:
        ConfigError: If there are none for a role, or several.
    """
    chosen: dict[str, int | None] = {}
    for role in USUAL:
        found = candidates(header, role, asked[role])
        if len(found) > 1 and len({header[i] for i in found}) == 1:
            raise ConfigError(
                f"{table.key} must have each column once, got {shown(header[found[0]])} twice in {shown(table.path)}; "
                "name one otherwise"
            )
        if len(found) > 1 and role == "path" and len(there := _leading(found, first, is_file)) == 1:
            found = there
        if len(found) > 1:
            options = [f"{table.command} {typed(f'data.columns.{role}', header[i])}" for i in found]
            names = " and ".join(shown(header[i]) for i in found)
            raise SeveralColumns(
                role,
                [header[i] for i in found],
                f"{table.key} must have one column of {role}s, got {names} in {shown(table.path)}; try "
                f"{', or '.join(options)}",
            )
        if not found and (role != "split" or asked[role] is not None):
            _refuse_missing(header, role, asked, table, first, is_file)
        chosen[role] = found[0] if found else None
    if chosen["path"] == chosen["label"]:
        name = shown(header[chosen["path"] or 0])
        raise ConfigError(
            f"data.columns.label must be another column than that of paths, got {name} for both; leave it out"
        )
    split = chosen["split"]
    named = split is not None and (asked["split"] is not None or header[split] == "split")
    return Columns(chosen["path"] or 0, chosen["label"] or 0, split, named)


def _leading(columns: list[int], first: Sequence[str], is_file: Callable[[str], bool]) -> list[int]:
    """Select the columns that lead to a file in the first row."""
    return [i for i in columns if i < len(first) and is_file(first[i])]


def _refuse_missing(
    header: Sequence[str],
    role: str,
    asked: dict[str, str | None],
    table: Table,
    first: Sequence[str],
    is_file: Callable[[str], bool],
) -> NoReturn:
    columns, key = ", ".join(map(shown, header)) or "none", f"data.columns.{role}"
    if not table.command:  # another file than data.table, whose columns have one name each
        raise ConfigError(
            f"{table.key} must have the column {asked[role]}, got {columns} in {shown(table.path)}; name it so in the "
            "first line"
        )
    if asked[role] is not None:
        near = difflib.get_close_matches(asked[role] or "", header, n=1, cutoff=0.0)
        remedy = f"; try {typed(key, near[0])}" if near else ""
        raise ConfigError(
            f"{key} must be a column of {shown(table.path)}, got {asked[role]!r} beside {columns}{remedy}"
        )
    taken = {i for other in ("path", "label") for i in candidates(header, other, asked[other])}
    free = [i for i, name in enumerate(header) if i not in taken and name]
    leading = _leading(free, first, is_file)
    if role == "path":
        free = leading or free
    # A label is rather a word than a number or a path
    free.sort(key=lambda i: (i in leading, bool(re.fullmatch(r"[\d.,+-]*", first[i] if i < len(first) else ""))))
    names = [header[i] for i in free[:2]]
    remedy = ", or ".join(f"{table.command} {typed(key, name)}" for name in names)
    raise SeveralColumns(
        role,
        names,
        f"{table.key} must have a column of {role}s, got {columns} in {shown(table.path)}; "
        + (f"try {remedy}" if remedy else f"add it, with {role} in the first line"),
    )
