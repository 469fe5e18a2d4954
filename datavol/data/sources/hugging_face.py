"""Opens data sets of Hugging Face's `datasets` that lie on the disk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from datavol.cli.text import shown, typed
from datavol.config.data import HuggingFaceConfig
from datavol.data.sources.files.file_table import cache_path, data_root
from datavol.data.sources.files.found import few
from datavol.data.sources.rows import NOT_A_LABEL, Rows, open_rows
from datavol.data.sources.split import Division, Opened
from datavol.data.sources.storage.arrow import ArrowTables, open_tables
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset

LABELS = ("label", "labels", "class", "target", "category", "species", "breed")


def open_hugging_face(data: HuggingFaceConfig) -> Opened:
    """Open a folder of tables, parted by their splits or by val_fraction."""
    root = data_root(data.root)
    tables = open_tables(root, os.path.dirname(cache_path(root, data.cache_dir)))
    features = next(iter(tables.values())).features
    columns = data.columns
    for key, column in (("path", columns.path), ("label", columns.label), ("split", columns.split)):
        if column is not None and column not in features:
            raise ConfigError(
                f"data.columns.{key} must be a column of the table, got {shown(column)}; its columns are "
                f"{few(list(features))}"
            )
    images = [name for name in features if _is_image(features[name])]
    image = columns.path or _only("path", "an image", features, images)
    named = [name for name in features if type(features[name]).__name__ == "ClassLabel"]
    label = columns.label or _only("label", "a label", features, named or [n for n in LABELS if n in features])
    if not (image in images or _is_bytes(features[image])):
        remedy = f"try {typed('data.columns.path', images[0])}" if images else "save the images with the table"
        raise ConfigError(f"data.columns.path must be a column of images or their bytes, got {shown(image)}; {remedy}")
    labels = {name: _labels(table, label, f"split {name} of {root}") for name, table in tables.items()}
    used = {name: found for name, found in labels.items() if found is not None}
    left_out = Counter({f"without labels in split {name}": len(tables[name]) for name in labels.keys() - used})
    if not used:
        raise ConfigError(f"data.root must hold a split with labels, got none in column {shown(label)} of {root}")
    splits = [_splits(name, tables[name], columns.split, alone=len(tables) == 1) for name in used]
    groups = [_text(tables[name], data.group) for name in used] if data.group in features else []
    rows = Rows(
        *(root, "data.root", ArrowTables(root, image, tables)),
        [f"{name}/{row:07d}".encode() for name in used for row in range(len(tables[name]))],
        list(chain(*used.values())),
        list(chain(*splits)),
        {name: list(chain(*groups)) if name == data.group else [] for name in features},
        left_out,
    )
    return open_rows(rows, Division.of(data), data.group)


def _splits(name: str, table: Dataset, column: str | None, alone: bool) -> Sequence[str | None]:
    """Give each row's split, of a column or the table."""
    if column is not None:
        return _text(table, column)
    return [None if alone else name] * len(table)


def _is_image(feature: Any) -> bool:
    """Return whether a column holds images, or structures with their bytes."""
    return type(feature).__name__ == "Image" or (isinstance(feature, dict) and "bytes" in feature)


def _is_bytes(feature: Any) -> bool:
    """Return whether a column holds bytes.

    They may be images, if the column was asked for.
    """
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


def _only(key: str, kind: str, features: Mapping[str, Any], found: Sequence[str]) -> str:
    """Take the only column of a kind; raise for several."""
    if len(found) == 1:
        return found[0]
    remedy = " or ".join(typed(f"data.columns.{key}", name) for name in (found or list(features))[:2])
    raise ConfigError(
        f"a table must have one column of {kind}, got {few(found) if found else 'none'} of its columns "
        f"{few(list(features))}; try {remedy}"
    )


def _text(table: Dataset, name: str | None) -> list[str]:
    """Read a column as text."""
    return [str(value) for value in _values(table, name)]


def _values(table: Dataset, name: str | None) -> list[Any]:
    arrow: list[Any] = table.select_columns([name]).with_format("arrow")[:].column(0).to_pylist()
    return arrow


def _labels(table: Dataset, name: str, where: str) -> list[str] | None:
    """Read labels by name; None if a split has none at all."""
    values, names = _values(table, name), getattr(table.features[name], "names", None)
    missing = [_is_missing(value, names) for value in values]
    if values and all(missing):
        return None
    if any(missing):
        raise ConfigError(
            f"a row must have a label, got none in {sum(missing):,} of {len(values):,} rows of {where}; label them or "
            "leave them out"
        )
    if not all(isinstance(value, (str, int)) for value in values):
        raise ConfigError(f"a label must be text or a whole number, got {values[0]!r} in {where}; try another column")
    if names is not None and (largest := max(values, default=0)) >= len(names):
        raise ConfigError(
            f"a label must be one of the {len(names)} classes of its column, got number {largest} in {where}; mend the "
            "table, or its names"
        )
    return [names[value] if names is not None else str(value) for value in values]


def _is_missing(value: Any, names: Sequence[str] | None) -> bool:
    """Return whether a row has no label.

    That is nothing, a negative number of a class, or text that is no label.
    """
    if names is not None and isinstance(value, int):
        return value < 0
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip().lower() in NOT_A_LABEL))
