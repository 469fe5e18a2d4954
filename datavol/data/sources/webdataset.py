"""Opens WebDataset shards: tar archives whose members belong together by name, `000012.jpg` and `000012.cls`."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datavol.cli.text import shown
from datavol.config.data import WebDatasetConfig
from datavol.data.sources.files.class_names import check_class_names
from datavol.data.sources.files.file_table import FileSplit, cache_path, data_root, join_names, split_names
from datavol.data.sources.files.found import Found
from datavol.data.sources.files.layout import split_role
from datavol.data.sources.files.scan import IMAGE_ENDINGS
from datavol.data.sources.split import Opened, part_splits
from datavol.data.sources.storage.archives import Archives, open_archives
from datavol.data.sources.storage.kept import as_bytes, keep, read_kept
from datavol.errors import ConfigError

LABELS_FORMAT = "datavol shard labels 1"  # count up when labels are read otherwise
LABEL_FIELDS = ("label", "class", "cls", "category", "class_name", "label_name")  # of a JSON object


def open_webdataset(data: WebDatasetConfig) -> Opened:
    """Open a folder of shards, parted by their names or by val_fraction."""
    root = data_root(data.root)
    shards = sorted(os.path.relpath(path, root) for path in Path(root).rglob("*.tar"))
    if not shards:
        raise ConfigError(f"data.root must hold shards that end in .tar, got none in {root}; check data.root")
    cache = os.path.dirname(cache_path(root, data.cache_dir))
    archives = open_archives(root, [os.path.join(root, shard) for shard in shards], cache)
    paths, words = _samples(archives, data.columns.label, cache)
    roles = {shard: role_in(shard) for shard in shards}
    parts = [roles[_shard(path)] for path in paths]
    classes = tuple(sorted(set(words)))
    notes = check_class_names(classes, root, "check the labels")
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[word] for word in words], dtype=np.int64)
    # By class, then by name, as a folder of them
    order = np.argsort(labels, kind="stable")
    whole = FileSplit(archives, join_names(paths), labels).take(order)
    return part_splits(data, classes, whole, [parts[i] for i in order.tolist()], Found(root, notes=notes))


def role_in(name: str) -> str | None:
    """Find the one split that a shard's name or folder has.

    >>> [role_in(name) for name in ("imagenet-train-000000.tar", "val/0001.tar", "shard-3.tar")]
    ['train', 'val', None]
    """
    roles = {role for word in re.split(r"[\W\d_]+", name.removesuffix(".tar")) if (role := split_role(word))}
    return roles.pop() if len(roles) == 1 else None


def _shard(path: bytes) -> str:
    """Take the shard of a member's path."""
    return os.fsdecode(path[: path.index(b".tar/") + 4])
