"""Keeps arrays in the cache folder, and checks them before they are believed."""

import io
import logging
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.runs.files import write_whole

Arrays = dict[str, NDArray[Any]]

_log = logging.getLogger(__name__)


def read_kept(path: str, fits: Callable[[Arrays], bool]) -> Arrays | None:
    """Read kept arrays; None without any to be trusted.

    Those that are damaged, or lack what `fits` asks for, are warned of.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        if fits(arrays):
            return arrays
        reason: object = "its columns differ in length or kind"
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error  # RuntimeError: zipfile on flags it does not know
    _log.warning("%s is unreadable (%s); making it anew", path, reason)
    return None


def keep(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays whole, or warn that it failed."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # its own flag is no name of an array
    try:
        write_whole(Path(path), content.getvalue())
    except OSError as error:
        _log.warning("%s could not be kept (%s); try data.cache_dir=/path/to/a/writable/folder", path, error)


def as_bytes(blob: bytes) -> NDArray[np.uint8]:
    """View a blob as an array."""
    return np.frombuffer(blob, dtype=np.uint8)
