"""Opens the images that runs were validated on, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.load.folds import parts_of
from datavol.study.load.run_data import source_of

if TYPE_CHECKING:
    from datavol.data.images.pixel_rules import PixelRules
    from datavol.data.sources.split import Split


class ValidationImages:
    """Reads a run's validation images, those of all folds after one another."""

    def __init__(self, folder: Path | str) -> None:
        """Open the data sets of a run.

        Raises:
            ConfigError: If the data are not where the run found them, or have changed since.
        """
        self._parts: list[tuple[Split, PixelRules | None]] = []
        for part in parts_of(folder):
            self._parts.append(_opened(part))
        self.labels = np.concatenate([split.labels for split, _ in self._parts])
        self._starts = np.cumsum([0, *(len(split.labels) for split, _ in self._parts)])

    def name(self, position: int) -> str:
        """Return an image's path; of arrays, which have none, its position."""
        split, _, own = self._at(position)
        key = split.key(own)
        return f"validation image {position}" if key == str(own) else key

    def pixels(self, position: int) -> NDArray[np.uint8]:
        """Read an image as it is, (H, W) if gray or (H, W, 3).

        Raises:
            RunError: If its file cannot be read.
        """
        split, rules, own = self._at(position)
        if rules is None:
            pixels: NDArray[np.uint8] = split.images[own]  # type: ignore[union-attr]
            return pixels
        from datavol.data.images.decode import decode_pixels

        return decode_pixels(split, own, rules)  # type: ignore[arg-type]

    def _at(self, position: int) -> tuple[Split, PixelRules | None, int]:
        part = int(np.searchsorted(self._starts, position, side="right")) - 1
        return *self._parts[part], position - int(self._starts[part])


def _opened(folder: Path) -> tuple[Split, PixelRules | None]:
    """Open a run's validation split, with the rules of its files; arrays have none."""
    from datavol.config.compose import check
    from datavol.config.data import FilesConfig
    from datavol.data.images.pixel_rules import rules_of
    from datavol.data.sources.files.file_table import FileSplit

    source, run = source_of(folder), RunFolder(folder)
    if not isinstance(source.train, FileSplit):
        return source.val, None
    data = check(run.values).data
    if not isinstance(data, FilesConfig):
        raise ConfigError(f"{folder} must be a run on files, got data={data.source}; bring its record back")
    return source.val, rules_of(data, source.train, next(iter(run.record.get("sessions", ())), None))
