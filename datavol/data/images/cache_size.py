"""Measures and foretells how large image caches are, without torch."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from datavol.data.images.cache_place import SHARED_MEMORY
from datavol.data.images.decode import size_of
from datavol.data.sources.files.file_table import FileSplit, cache_path
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation


def cache_folder(kind: Literal["disk", "ram"], cache_dir: str | None) -> str:
    """Locate the stores: beside the file tables, or in shared memory.

    Raises:
        ConfigError: If this machine has no shared memory.
    """
    if kind == "disk":
        return os.path.join(os.path.dirname(cache_path(os.sep, cache_dir)), "images")
    if not os.path.isdir(SHARED_MEMORY):
        raise ConfigError(f"data.cache=ram must have {SHARED_MEMORY}, got a machine without; try data.cache=disk")
    return os.path.join(SHARED_MEMORY, f"datavol-{os.getuid()}", "images")


def estimate_bytes(split: FileSplit, side: int) -> int:
    """Estimate a store's size from the headers of 64 random images."""
    sizes = []
    for i in permutation(len(split), "packed sample")[:64].tolist():
        if size := size_of(split, i):  # else it would not be stored either
            short, long = sorted(size)
            sizes.append(3 * short * long if short <= side else 3 * side * int(side * long / short))
    return round(len(split) * sum(sizes) / max(1, len(sizes)))


def bytes_of_stores(cache: str) -> int:
    """Sum the sizes of the pixels of all stores in a folder."""
    sizes = []
    for path in Path(cache).glob("*/pixels-*.u8"):
        with suppress(FileNotFoundError):  # removed by who builds that store anew
            sizes.append(path.stat().st_size)
    return sum(sizes)
