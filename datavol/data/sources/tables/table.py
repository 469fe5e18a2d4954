"""Opens the images that a table lists."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from datavol.cli.text import shown, typed
from datavol.config.data import TableConfig
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.tree import Tree, at
from datavol.data.sources.place import absolute, open_place
from datavol.data.sources.rows import NOT_A_LABEL, Rows, open_rows
from datavol.data.sources.split import Division, Opened
from datavol.data.sources.tables.columns import Table, usual
from datavol.data.sources.tables.paths import Paths
from datavol.data.sources.tables.sheet import Sheet, open_sheet
from datavol.errors import ConfigError

TRUTH = {"true": "val", "1": "val", "false": "train", "0": "train"}  # of a column such as `is_valid`


def open_table(data: TableConfig) -> Opened:
    """Open the images that a CSV file lists."""
    if data.table is None:
        raise ConfigError(
            "data.table must be a CSV file with the columns path, label and split, got nothing; "
            "try data.table=/path/to/labels.csv"
        )
    table = absolute(data.table)
    tree = open_place(os.path.dirname(table) if data.root is None else data.root, data.cache_dir)
    sheet = _open_sheet(data, table, tree)
    paths = Paths(tree, sheet.encoding)
    images = _read_images(data, sheet, paths)
    _check_folder(sheet, paths, os.fsdecode(images.paths[0]))
    columns = {name: images.groups if name == data.group else [] for name in sheet.header or []}
    rows = Rows(
        table, "data.table", tree.storage(""), images.paths, images.labels, images.splits, columns, sheet.skipped,
        sheet.words, (*images.notes, *paths.notes), tree,
    )  # fmt: skip
    return open_rows(rows, Division.of(data), data.group)


def _open_sheet(data: TableConfig, table: str, tree: Tree) -> Sheet:
    """Open the table; messages repeat what was typed."""
    asked = data.columns.model_dump()
    pairs = [("data.table", table), ("data.root", data.root), ("data.encoding", data.encoding)]
    pairs += [(f"data.columns.{role}", name) for role, name in asked.items()]
    words = [typed(key, value) for key, value in pairs if value is not None]
    words += [f"data.val_fraction={data.val_fraction:g}"] if data.val_fraction else []
    named = Table(table, command=" ".join(["data=table", *words]), cache_dir=data.cache_dir)
    paths = Paths(tree, "utf-8")
    return open_sheet(named, asked, data.encoding, lambda path: paths.is_file(path) or bool(_folders_of(paths, path)))


def _folders_of(paths: Paths, path: str) -> list[str]:
    """List the folders at the top that hold a path."""
    return [name for name in paths.tree.look("").folders if paths.is_file(os.path.join(name, path))]


def _check_folder(sheet: Sheet, paths: Paths, first: str) -> None:
    """Raise a ConfigError if the first image lies in another folder.

    Looked into are the folders in the one that the table's paths are from.
    """
    if paths.tree.holds(first):
        return
    if there := [at(paths.tree, name) for name in _folders_of(paths, first)]:
        commands = [f"{sheet.table.command} {typed('data.root', folder)}" for folder in there]
        raise ConfigError(
            f"data.table must name its files from {shown(paths.tree.place)}, got {shown(first)}, which lies in "
            f"{' and in '.join(map(shown, there))}; try {', or '.join(commands)}"
        )


@dataclass
class Images:
    """Gathers the images of a table, column by column."""

    paths: list[bytes] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # empty unless a column has them
    notes: list[str] = field(default_factory=list)


def _read_images(data: TableConfig, sheet: Sheet, paths: Paths) -> Images:
    """Read the images of a table.

    Raises:
        ConfigError: If a row has no label or no known split, or a path comes twice.
    """
    columns, header, images = sheet.columns, sheet.header or [], Images()
    split = columns.split
    truth = TRUTH if split is not None and header and usual(header[split]) in ("isvalid", "isval") else {}
    if split is not None and not columns.asked and (reason := _no_split(data, sheet, split, truth)):
        if not Division.of(data).given:
            raise ConfigError(
                f"data.val_fraction must be given when no column parts the images, got null and column "
                f"{shown(header[split])}, in which {reason}; try {sheet.table.command} data.val_fraction=0.2"
            )
        images.notes.append(f"column {shown(header[split])} is not used, as {reason}")
        split = None
    if data.group is not None and header.count(data.group) > 1:
        raise ConfigError(
            f"data.group must be one column, got {shown(data.group)} twice in {shown(sheet.table.path)}; name one "
            "otherwise"
        )
    group = header.index(data.group) if data.group in header else None
    seen: dict[str, tuple[int, str]] = {}
    place = shown(sheet.table.path)
    for line, row in checked_rows(sheet, (columns.path, columns.label)):
        path, label, where = row[columns.path], sys.intern(row[columns.label]), f"on line {line} of {place}"
        part = None if split is None else sys.intern(truth.get(row[split].lower(), row[split]))
        if label.strip().lower() in NOT_A_LABEL:
            raise ConfigError(f"data.table must have a label in every row, got {label!r} {where}; label or remove it")
        if part is not None and split_role(part) is None:
            name = header[split] if header and split is not None else "split"
            raise ConfigError(f"data.table must have train, val or test in column {shown(name)}, got {part!r} {where}")
        path = paths.resolve(path, where)
        # a.jpg, ./a.jpg and b/../a.jpg are one path
        first, other = seen.setdefault(paths.one(path), (line, label))
        if first != line:
            also = f", first as {other!r} and now as {label!r}" if other != label else ""
            raise ConfigError(
                f"data.table must name each path once, got {path!r} of line {first} again {where}{also}; remove one"
            )
        images.paths.append(os.fsencode(path))
        images.labels.append(label)
        images.splits.append(part)
        if group is not None:
            images.groups.append(row[group])
    if not images.paths:
        raise ConfigError(f"data.table must have a row per image, got none in {shown(sheet.table.path)}")
    return images


def _no_split(data: TableConfig, sheet: Sheet, split: int, truth: dict[str, str]) -> str:
    """Say why a column that may be one of splits is none."""
    if Division.of(data).given:
        return "data.val_fraction is given" if data.folds is None else "data.folds is given"
    words = dict.fromkeys(row[split] for _, row in sheet.rows())
    strange = next((word for word in words if split_role(truth.get(word.lower(), word)) is None), None)
    return "" if strange is None else f"{shown(strange) or 'nothing'} is neither train nor val"


def checked_rows(sheet: Sheet, needed: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """Read rows, with text in all `needed` columns.

    Raises:
        ConfigError: If one has a gap.
    """
    for line, row in sheet.rows():
        if not all(row[column].strip() and "\0" not in row[column] for column in needed):
            names = ", ".join(sheet.header[column] if sheet.header else str(column + 1) for column in needed)
            raise ConfigError(
                f"{sheet.table.key} must have text for {names} in every row, got a gap or NUL on line {line} of "
                f"{shown(sheet.table.path)}; fill or remove it"
            )
        yield line, row


def read_rows(path: str, key: str, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Read two columns of a CSV file that `key` points to.

    Raises:
        ConfigError: If it is unreadable or has a gap.
    """
    asked: dict[str, str | None] = {"path": columns[0], "label": columns[1], "split": None}
    sheet = open_sheet(Table(path, key), asked, None, lambda _: False)
    for _, row in checked_rows(sheet, (sheet.columns.path, sheet.columns.label)):
        yield row[sheet.columns.path], row[sheet.columns.label]
