"""Opens a trained run's data again, for questions beyond its records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder

if TYPE_CHECKING:
    from datavol.data.sources.open import Source


def source_of(folder: Path | str) -> Source:
    """Open a run's data set; no image is decoded.

    Raises:
        ConfigError: If the data are not where the run found them, or have changed since.
    """
    from datavol.config.compose import check
    from datavol.data.sources.open import open_source

    run = RunFolder(Path(folder))
    source = open_source(check(run.values).data)
    if source.fingerprint != run.manifest["fingerprint"]:
        raise ConfigError(
            f"data must be those of the run {folder} (fingerprint {run.manifest['fingerprint'][:12]}), got "
            f"{source.fingerprint[:12]}; bring them back"
        )
    return source
