"""Keeps what an audit found beside the file tables, so that a second one takes seconds."""

import hashlib
import os

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.files.file_table import cache_path
from datavol.data.sources.storage.kept import Arrays, read_kept

FORMAT = "datavol audit 2"  # count up when hashes, rules or files change


def kept_file(name: str, key: bytes, cache_dir: str | None) -> str:
    """Locate the file of a table by what it was made from."""
    digest = hashlib.sha256(FORMAT.encode() + key).hexdigest()
    return os.path.join(os.path.dirname(cache_path("", cache_dir)), f"{name}-{digest[:32]}.npz")


def kept_table(file: str, dtype: np.dtype[np.void], count: int | None = None) -> NDArray[np.void] | None:
    """Read a kept table of `dtype` and `count` rows, if any."""

    def fits(arrays: Arrays) -> bool:
        table = arrays["table"]
        return table.dtype == dtype and table.ndim == 1 and count in (None, len(table))

    arrays = read_kept(file, fits)
    return None if arrays is None else arrays["table"]
