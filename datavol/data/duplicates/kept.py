"""Keeps what an audit found beside the file tables, so that a second one takes seconds."""

import hashlib
import io
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.files.file_table import cache_path
from datavol.errors import flat
from datavol.runs.files import write_whole

FORMAT = "datavol audit 1"  # count up when hashes, rules or files change

_log = logging.getLogger(__name__)


def kept_file(name: str, key: bytes, cache_dir: str | None) -> Path:
    """Locate the file of a table by what it was made from."""
    digest = hashlib.sha256(FORMAT.encode() + key).hexdigest()
    return Path(cache_path("", cache_dir)).with_name(f"{name}-{digest[:32]}.npy")


def kept(file: Path, dtype: np.dtype[np.void], count: int | None = None) -> NDArray[np.void] | None:
    """Read a kept table; None where there is none that fits.

    It fits if it is of `dtype` and has `count` rows (if given). One that is unreadable or does not fit is warned of.
    """
    try:
        table = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        if table.dtype == dtype and table.ndim == 1 and count in (None, len(table)):
            return np.array(table)
        reason: object = "it is another table"
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError) as error:
        reason = flat(error)
    _log.warning("%s is unreadable (%s); looking at the images anew", file, reason)
    return None


def keep(file: Path, table: NDArray[np.void]) -> None:
    """Write a table, whole or not at all."""
    content = io.BytesIO()
    np.save(content, table)
    try:
        write_whole(file, content.getvalue())
    except OSError as error:
        _log.warning("what the audit found could not be kept (%s); try DATAVOL_CACHE=/path/to/a/folder", error)
