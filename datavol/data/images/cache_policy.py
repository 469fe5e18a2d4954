"""Whether a study's images are shrunk and cached: one answer for all its runs, since it is seen in the pixels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from datavol.config import FilesConfig
from datavol.data.images.cache_reader import cache_folder, estimated_bytes
from datavol.data.sources.file_table import FileSplit
from datavol.data.sources.open import Source
from datavol.runs.files import nearest_folder

LEAST = 256
"""Pixels of the short side; a crop of 8 % of the area is some 80 pixels wide then."""
LEFT_FREE = 0.1  # of the disk


def short_side(data: FilesConfig, source: Source) -> dict[str, Any]:
    """What `data.short_side=auto` is: `data.resize`, at least 256, where the images are to be cached, else none.

    `data.cache=auto` caches if all of the data set fits, not the subset alone: then every fraction has the same pixels.
    """
    if data.cache == "off":
        return {"short_side": None}
    side, needed = max(LEAST, data.resize), 0
    for split in (source.train, source.val):
        assert isinstance(split, FileSplit)
        needed += estimated_bytes(split, side)
    fits = data.cache != "auto" or needed <= min(data.cache_gb * 1e9, _room(data))
    return {"short_side": side if fits else None, "estimated_gigabytes": round(needed / 1e9, 3)}


def _room(data: FilesConfig) -> float:
    """Bytes that the cache may take of its disk, what it holds already included."""
    folder = Path(cache_folder("disk", data.cache_dir))
    disk = shutil.disk_usage(nearest_folder(folder))
    held = sum(file.stat().st_size for file in folder.glob("*/pixels-*"))
    return disk.free + held - LEFT_FREE * disk.total
