"""Opens the images that a CSV file lists."""

import csv
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from datavol.cli.text import shown
from datavol.config.data import TableConfig
from datavol.data.sources.files.class_names import check_class_names, check_same_classes
from datavol.data.sources.files.file_table import FileSplit, data_root, join_names
from datavol.data.sources.files.found import Found
from datavol.data.sources.files.layout import split_role
from datavol.data.sources.files.same_files import check_same_files, listed_files
from datavol.data.sources.groups import with_groups
from datavol.data.sources.split import Opened, check_one_validation, hold_out
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError

DELIMITERS = (",", ";", "\t", "|")
NOT_A_LABEL = ("nan", "#n/a")  # as pandas and spreadsheets write what is missing


def open_table(data: TableConfig) -> Opened:
    """Open the images that a CSV file lists."""
    if data.table is None:
        raise ConfigError(
            "data.table must be a CSV file with the columns path, label and split, got nothing; "
            "try data.table=/path/to/labels.csv"
        )
    table = os.path.abspath(os.path.expanduser(data.table))
    root = os.path.dirname(table) if data.root is None else data_root(data.root)
    rows, columns = _read_images(table, root, data.group)
    parts = [part for _, _, part, _ in rows if part is not None]
    check_one_validation(bool(parts), data.val_fraction, "data.table", "column split", table)
    # Without rows of val, those of test are what is left to evaluate on
    val_role = "val" if "val" in map(split_role, parts) else "test"
    used = [row for row in rows if row[2] is None or split_role(row[2]) in ("train", val_role)]
    left_out = Counter(f"in rows of split {part}" for part in parts if split_role(part) not in ("train", val_role))
    classes = tuple(sorted({label for _, label, _, _ in used}))
    notes = check_class_names(classes, table, "label another class")
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[label] for _, label, _, _ in used], dtype=np.int64)
    whole = FileSplit(Folder(root), join_names(os.fsencode(path) for path, _, _, _ in used), labels)
    files = listed_files(whole)
    groups = {name: [group or "" for *_, group in used] if name == data.group else [] for name in columns}
    if data.val_fraction is not None:
        notes += check_same_files("data.table", [whole], [files], held_out=True)
        found = Found(table, "its rows", f"{data.val_fraction:g} of them, drawn", left_out, notes)
        (whole,), found = with_groups(data.group, [whole], found, groups)
        return classes, *hold_out(whole, data.val_fraction, data.split_seed), found
    in_val = np.array([split_role(str(part)) == val_role for _, _, part, _ in used])  # (images,)
    where = [np.flatnonzero(~in_val), np.flatnonzero(in_val)]
    (whole,), found = with_groups(data.group, [whole], Found(table), groups)
    train, val = (whole.take(index) for index in where)
    has_train, has_val = ([classes[i] for i in np.unique(split.labels)] for split in (train, val))
    check_same_classes(has_train, has_val, table)
    notes += check_same_files("data.table", [train, val], [files[index] for index in where], held_out=False)
    words = [" or ".join(sorted({str(used[i][2]) for i in index.tolist()})) for index in where]
    found = replace(found, train=f"its split {words[0]}", val=f"its split {words[1]}", left_out=left_out)
    return classes, train, val, replace(found, notes=(*notes, *found.notes))


Row = tuple[str, str, str | None, str | None]  # path, label and, where there are such columns, split and group


def _read_images(table: str, root: str, group: str | None) -> tuple[list[Row], list[str]]:
    """Read the images of a table, and the names of its columns.

    Raises:
        ConfigError: If a row has no label or no known split, or a path comes twice.
    """
    rows, columns, seen = [], list[str](), dict[str, tuple[int, str]]()
    for line, row in read_rows(table, "data.table", ("path", "label")):
        path, label, part, where = row["path"], row["label"], row.get("split"), f"on line {line} of {shown(table)}"
        if label.strip().lower() in NOT_A_LABEL:
            raise ConfigError(f"data.table must have a label in every row, got {label!r} {where}; label or remove it")
        if "split" in row and split_role(part or "") is None:
            raise ConfigError(f"data.table must have train, val or test in column split, got {part!r} {where}")
        _check_path(path, root, table, where)
        # a.jpg, ./a.jpg and b/../a.jpg are one path
        first, other = seen.setdefault(os.path.normpath(os.path.join(root, path)), (line, label))
        if first != line:
            also = f", first as {other!r} and now as {label!r}" if other != label else ""
            raise ConfigError(
                f"data.table must name each path once, got {path!r} of line {first} again {where}{also}; remove one"
            )
        rows.append((path, label, part, row.get(group or "")))
        columns = columns or [name for name in row if name]
    if not rows:
        raise ConfigError(f"data.table must have a row per image, got none in {shown(table)}")
    return rows, columns


def _check_path(path: str, root: str, table: str, where: str) -> None:
    """Raise a ConfigError for a Windows path or an unknown encoding."""
    if path.isascii() and "\\" not in path:
        return
    there = os.path.lexists(os.path.join(root, path))  # a file may have such a name
    if "\\" in path and not there and os.path.lexists(os.path.join(root, path.replace("\\", "/"))):
        raise ConfigError(f"data.table must have / between folders, got {path!r} {where}; replace each \\")
    if not is_unicode(path) and not there:
        raise _not_utf8("data.table", path, table, where)


def is_unicode(text: str) -> bool:
    """Return whether text was read without bytes that are no UTF-8."""
    return not any("\udc80" <= letter <= "\udcff" for letter in text)


def _not_utf8(name: str, text: str, table: str, where: str, encoding: str = "latin1") -> ConfigError:
    quoted = [shlex.quote(path) for path in (table, f"{os.path.splitext(table)[0]}_utf8.csv")]
    return ConfigError(
        f"{name} must be UTF-8, got {shown(text)} {where}; save it as UTF-8, or try "
        f"`iconv -f {encoding} -t utf-8 {quoted[0]} > {quoted[1]}`"
    )


def read_rows(path: str, name: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file as (line, row), with text in all `columns`.

    Fields may be parted by commas, semicolons, tabs or bars.

    Raises:
        ConfigError: If it is unreadable or has a gap; `name` is the key that points to it.
    """
    try:
        # Excel's byte order mark is dropped, and file names that are not UTF-8 survive as they do in `os.fsdecode`
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            delimiter = _delimiter(file.readline(), path, name, columns)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True, restval="")
            reader.fieldnames = [field.strip() for field in reader.fieldnames or ()]
            for row in reader:
                where = f"on line {reader.line_num} of {shown(path)}"
                if any(row.pop(None, ())):  # fields beyond the header
                    raise ConfigError(f"{name} must have a field per column, got more {where}; quote commas in names")
                if not all(row[column].strip() and "\0" not in row[column] for column in columns):
                    raise ConfigError(
                        f"{name} must have text for {', '.join(columns)} in every row, got a gap or NUL {where}"
                    )
                if not is_unicode(row[columns[1]]):
                    raise _not_utf8(name, row[columns[1]], path, where)
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} must be a readable CSV file, got {path} ({reason}); check {name}") from error


def _delimiter(head: str, path: str, name: str, columns: Sequence[str]) -> str:
    """Choose the delimiter by which the first line has all columns.

    Raises:
        ConfigError: If there is none.
    """
    if head.startswith(("\udcff\udcfe", "\udcfe\udcff")):  # the byte order marks of UTF-16
        raise _not_utf8(name, "UTF-16", path, f"in {shown(path)}", "utf-16")
    found: list[str] = []
    for delimiter in DELIMITERS:
        names = [
            field.strip() for row in csv.reader([head], delimiter=delimiter, skipinitialspace=True) for field in row
        ]
        if set(columns) <= set(names):
            if twice := [field for field, number in Counter(names).items() if number > 1 and field]:
                raise ConfigError(f"{name} must have each column once, got {shown(twice[0])} twice in {shown(path)}")
            return delimiter
        found = max(found, names, key=len)
    missing = ", ".join(column for column in columns if column not in found)
    raise ConfigError(
        f"{name} must have the columns {', '.join(columns)}, got {', '.join(map(shown, found)) or 'none'} in "
        f"{shown(path)}; name {missing} so in its first line"
    )
