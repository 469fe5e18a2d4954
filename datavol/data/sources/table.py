"""Opens the images that a CSV file lists."""

import csv
import os
from collections.abc import Iterator, Sequence

import numpy as np

from datavol.config.data import TableConfig
from datavol.data.sources.file_table import FileSplit, data_root, join_names
from datavol.data.sources.split import Splits, check_one_validation, check_same_classes, hold_out
from datavol.errors import ConfigError


def open_table(data: TableConfig) -> Splits:
    """Open the images that a CSV file lists."""
    if data.table is None:
        raise ConfigError(
            "data.table must be a CSV file with the columns path, label and split, got nothing; "
            "try data.table=/path/to/labels.csv"
        )
    table = os.path.abspath(os.path.expanduser(data.table))
    root = os.path.dirname(table) if data.root is None else data_root(data.root)
    paths, names, parts = _read_columns(table)
    classes = tuple(sorted(set(names)))
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for name in names], dtype=np.int64)
    whole = FileSplit(root, join_names(map(os.fsencode, paths)), labels)
    check_one_validation(bool(parts), data.val_fraction, "data.table", "column split", table)
    if data.val_fraction is not None:
        return classes, *hold_out(whole, data.val_fraction, data.split_seed)
    in_val = np.array(parts) == "val"  # (images,)
    train, val = whole.take(np.flatnonzero(~in_val)), whole.take(np.flatnonzero(in_val))
    has_train, has_val = ([classes[i] for i in np.unique(split.labels)] for split in (train, val))
    check_same_classes(has_train, has_val, table)
    return classes, train, val


def _read_columns(table: str) -> tuple[list[str], list[str], list[str]]:
    """Read the paths, labels and splits (none without that column)."""
    paths, labels, parts, seen = [], [], [], set()  # `seen`: a list would make the check quadratic
    for line, row in read_rows(table, "data.table", ("path", "label")):
        if row["path"] in seen:
            raise ConfigError(
                f"data.table must name each path once, got {row['path']!r} again on line {line} of {table}; remove one"
            )
        if "split" in row and row["split"] not in ("train", "val"):
            raise ConfigError(
                f"data.table must have train or val in column split, got {row['split']!r} on line {line} of {table}"
            )
        seen.add(row["path"])
        paths.append(row["path"])
        labels.append(row["label"])
        parts += [row["split"]] if "split" in row else []
    if not paths:
        raise ConfigError(f"data.table must have a row per image, got none in {table}")
    return paths, labels, parts


def read_rows(path: str, name: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file as (line, row), with text in all `columns`.

    Raises:
        ConfigError: If it is unreadable or has a gap; `name` is the key that points to it.
    """
    try:
        # Excel's byte order mark is dropped, and file names that are not UTF-8 survive as they do in `os.fsdecode`
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            for column in columns:
                if column not in (reader.fieldnames or ()):
                    raise ConfigError(f"{name} must have the columns {', '.join(columns)}, got no {column} in {path}")
            for row in reader:
                if not all(row[column] and "\0" not in row[column] for column in columns):
                    raise ConfigError(
                        f"{name} must have text for {', '.join(columns)} in every row, "
                        f"got a gap or NUL on line {reader.line_num} of {path}"
                    )
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} must be a readable CSV file, got {path} ({reason}); check {name}") from error
