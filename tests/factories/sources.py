"""Makes empty image files, takes files for a split, and reads what a source lists."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from datavol.data.sources.files.file_table import FileSplit, join_names
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError

OWL_IN = "train and val must have the same classes in {root}, got 'owl' in "


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def split_of(root: Path, *names: str) -> FileSplit:
    """Take files of a folder, all of them if none is named, for a split of one class."""
    chosen = names or sorted(path.name for path in root.iterdir())
    return FileSplit(Folder(str(root)), join_names(map(os.fsencode, chosen)), np.zeros(len(chosen), dtype=np.int64))


def items(split) -> list[tuple[str, int]]:
    return [(split.key(i), int(split.labels[i])) for i in range(len(split))]


def says(message: str):
    assert "\n" not in message
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}$")
