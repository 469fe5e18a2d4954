"""Reads images out of tables of Hugging Face's `datasets`, saved to disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from datavol.data.sources.storage.folder import DamagedFile
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset

PARQUET = ".parquet"


@dataclass(frozen=True, eq=False)
class ArrowTables:
    """Reads the images of a column, by keys such as `train/0000012`.

    Tables are mapped into memory: processes share their pages, and a row is read without those before it.
    """

    place: str  # the folder
    column: str
    tables: Mapping[str, Dataset]  # by their splits

    def read(self, key: str) -> bytes:
        """Read the bytes of a row's image, or the file it names."""
        split, _, row = key.rpartition("/")
        cell = self._cells[split][int(row)][self.column][0].as_py()
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if content is None and path:
            with open(os.path.join(self.place, path), "rb") as file:
                content = file.read()
        if content is None:
            raise DamagedFile("its row has no image")
        return bytes(content)

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give an image's size, then the times of its table's files."""
        return len(self.read(key)), *self._times[key.rpartition("/")[0]]

    def locate(self, key: str) -> str:
        """Join the folder and the key."""
        return os.path.join(self.place, key)

    @cached_property
    def _cells(self) -> dict[str, Dataset]:
        return {name: table.select_columns([self.column]).with_format("arrow") for name, table in self.tables.items()}

    @cached_property
    def _times(self) -> dict[str, tuple[int, ...]]:
        return {name: _file_times(table) for name, table in self.tables.items()}


def _file_times(table: Dataset) -> tuple[int, ...]:
    found = [os.stat(file["filename"]) for file in table.cache_files]
    return tuple(time for one in found for time in (one.st_size, one.st_mtime_ns, one.st_ctime_ns))


def open_tables(folder: str, cache_dir: str) -> dict[str, Dataset]:
    """Open the splits of a saved data set, or of Parquet files.

    Parquet is copied into Arrow tables in `cache_dir`, once: a row of it can't be read alone.

    Raises:
        ConfigError: If the folder has neither, or the library is missing.
    """
    try:
        import datasets
    except ImportError:
        raise ConfigError(
            "data=hugging_face must have the library datasets, got an environment without; "
            "try `pip install 'datavol[hugging_face]'`"
        ) from None
    from datasets.exceptions import DatasetGenerationError
    from datasets.table import CastError

    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # its errors are raised as well, and told in one line
    datasets.disable_progress_bars()  # they would be drawn for tables that take no time as well
    parquet = _parquet_files(folder)
    try:
        if not parquet:
            found = datasets.load_from_disk(folder)
        else:
            found = _load_parquet(parquet, os.path.join(cache_dir, "parquet"))
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(
            f"data.root must be a folder that datasets' save_to_disk wrote, or hold Parquet files, got {folder}; "
            "check data.root"
        ) from None
    except (OSError, ValueError, DatasetGenerationError) as error:  # what pyarrow raises at damaged files
        if isinstance(error.__cause__, CastError):
            raise ConfigError(
                f"Parquet files must have the same columns in all splits, got others in some of {folder}; set "
                "data.root to a folder of those that belong together"
            ) from None
        raise ConfigError(
            f"data.root must hold whole tables, got {folder} ({_first(error)}); fetch them again"
        ) from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _load_parquet(parquet: dict[str, list[str]], cache_dir: str) -> dict[str, Dataset]:
    """Load the Parquet files of splits, whatever these are called."""
    import datasets
    from pyarrow.parquet import read_metadata

    if empty := [path for paths in parquet.values() for path in paths if not read_metadata(path).num_rows]:
        raise ConfigError(f"a Parquet file must hold rows, got none in {empty[0]}; remove it")
    files = {f"split{i}": paths for i, paths in enumerate(parquet.values())}  # not all names of splits are taken
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=cache_dir)
    return dict(zip(parquet, (found[name] for name in files), strict=True))


def _first(error: BaseException) -> str:
    """Take the first line of an error, or of what caused it."""
    return str(error.__cause__ or error).strip().split("\n")[0]


def _parquet_files(folder: str) -> dict[str, list[str]]:
    """Find Parquet files by split, as in `data/train-00000-of-00002.parquet` or `train/x.parquet`."""
    found: dict[str, list[str]] = {}
    for around, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(PARQUET) and not name.startswith("."):
                inside = os.path.relpath(around, folder)
                split = name[: -len(PARQUET)].split("-")[0]
                known = inside.split(os.sep)[-1] if inside not in (".", "data", "default") else split
                found.setdefault(known, []).append(os.path.join(around, name))
    return found
