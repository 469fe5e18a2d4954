"""Decides if a study's images are shrunk and cached.

There is one answer for all runs of a study, since it shows in the pixels.
"""

import shutil
from pathlib import Path
from typing import Any

from datavol.config.data import FilesConfig
from datavol.data.images.cache_size import bytes_of_stores, cache_folder, estimate_bytes
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.open import Source
from datavol.runs.files import nearest_folder

LEAST = 256  # pixels of the short side; a crop of 8 % of the area is some 80 pixels wide then
LEFT_FREE = 0.1  # of the disk


def short_side(data: FilesConfig, source: Source) -> dict[str, Any]:
    """Choose `data.short_side=auto`: the larger of `data.resize` and 256 if cached.

    `data.cache=auto` caches if all of the data set fits into `data.cache_gb`, not the subset alone, and whatever room
    the disk has: then every fraction has the same pixels, on every day.
    """
    if data.cache == "off":
        return {"short_side": None}
    side, needed = max(LEAST, data.resize), 0
    for split in (source.train, source.val):
        assert isinstance(split, FileSplit)
        needed += estimate_bytes(split, side)
    fits = data.cache != "auto" or needed <= data.cache_gb * 1e9
    return {"short_side": side if fits else None, "estimated_gigabytes": round(needed / 1e9, 3)}


def limit_bytes(data: FilesConfig) -> int:
    """Compute how many bytes the cache may take.

    They are `data.cache_gb`, or fewer, so that a tenth of the disk stays free.
    """
    folder = Path(cache_folder("ram" if data.cache == "ram" else "disk", data.cache_dir))
    disk = shutil.disk_usage(nearest_folder(folder))
    held = bytes_of_stores(str(folder))  # counts as room: it is the cache's already
    return round(min(data.cache_gb * 1e9, disk.free + held - LEFT_FREE * disk.total))
