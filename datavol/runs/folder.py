"""The only module that knows what a run folder holds; it writes it, whole file by whole file, and reads it.

| file | what |
|---|---|
| `.hydra/` | the composed configuration and its overrides |
| `subset.json`, `subset.npy` | the subset's manifest, and its sorted index list (int64) |
| `metrics.csv` | a row per budget epoch |
| `run.json` | the run's state, best and last metrics, time, versions, devices |
| `output.log` | what the last failed job of a sweep printed |
| `predictions/` | what the network said of every validation image: `last.npz`, or one per evaluation as well |
| `checkpoints/` | `last.ckpt` and `best.ckpt`, or one per budget epoch as well |
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import yaml
from numpy.typing import NDArray

from datavol.config.upgrade import SCHEMA_VERSION, check_version, upgrade
from datavol.errors import ConfigError, RunLocked, flat
from datavol.runs.columns import FIRST_EPOCH_COLUMNS, WHOLE_EPOCH_COLUMNS
from datavol.runs.files import file_lock, write_whole
from datavol.runs.predictions import Predictions

Row = dict[str, float]

WITHIN = "within_budget_epoch"
"""The checkpoint inside a budget epoch: there only until that ends, and not one to evaluate."""

SUPERSEDED = "superseded"
TRACES = ("run.json", ".hydra", "subset.json", "metrics.csv", "output.log")
"""What shows that a folder is a run's, the surest first."""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; what it says is read from disk each time."""

    path: Path

    @property
    def record(self) -> dict[str, Any]:
        """Read `run.json`, its configuration brought up to today's schema; empty before the run's first start.

        Raises:
            ConfigError: If the file is there and cannot be read, or is of a newer datavol.
        """
        record = self._record
        if not record:
            return record
        version = record.get("schema_version", 1)
        check_version(version)
        if isinstance(record.get("config"), dict):
            record["config"] = upgrade(record["config"] | {"schema_version": version})
        return record

    @property
    def _record(self) -> dict[str, Any]:
        """Read `run.json` as it stands."""
        file = self.path / "run.json"
        if not file.exists():
            return {}
        try:
            record = json.loads(file.read_text())
        except ValueError as error:
            raise ConfigError(
                f"{file} must be a record that datavol wrote, got {error}; move its folder away"
            ) from None
        if not isinstance(record, dict):
            raise ConfigError(f"{file} must be a record that datavol wrote, got no JSON object; move its folder away")
        return record

    @property
    def state(self) -> str | None:
        """`running`, `finished`, `failed`, or None before the run's first start."""
        return self.record.get("state")

    @property
    def manifest(self) -> dict[str, Any]:
        """`subset.json`."""
        manifest = json.loads((self.path / "subset.json").read_text())
        assert isinstance(manifest, dict)
        return manifest

    @property
    def images_per_class(self) -> NDArray[np.int64]:
        """The subset's images of each class, shape (classes,).

        Raises:
            ConfigError: If `subset.json` cannot be read.
        """
        try:
            return np.array(self.manifest["images_per_class"], dtype=np.int64)
        except (OSError, ValueError, LookupError) as error:
            raise _unreadable(self.path / "subset.json", error) from None

    @property
    def indices(self) -> NDArray[np.int64]:
        """`subset.npy`: the subset's sorted places in the full training set, shape (N,).

        Raises:
            ConfigError: If it cannot be read.
        """
        try:
            indices: NDArray[np.int64] = np.load(self.path / "subset.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _unreadable(self.path / "subset.npy", error) from None
        return indices

    @property
    def superseded(self) -> bool:
        """Whether `supersede` put the run away."""
        return self.path.parent.name == SUPERSEDED

    @property
    def values(self) -> dict[str, Any]:
        """Read the configuration that the run first started with, brought up to today's schema.

        Raises:
            ConfigError: If this is no run folder, or one of a newer datavol.
        """
        file = self.path / ".hydra" / "config.yaml"
        if not file.is_file():
            raise ConfigError(f"{self.path} must be a run folder or a checkpoint, got neither; check the path")
        return upgrade(yaml.safe_load(file.read_text()))

    @property
    def overrides(self) -> tuple[str, ...] | None:
        """What the user asked for when the run first started, or None where that was not kept."""
        file = self.path / ".hydra" / "overrides.yaml"
        said = yaml.safe_load(file.read_text()) if file.is_file() else None
        return tuple(map(str, said)) if isinstance(said, list) else None

    def start(
        self,
        values: Mapping[str, Any],
        overrides: Sequence[str],
        manifest: Mapping[str, Any],
        indices: NDArray[np.int64],
    ) -> None:
        """Write what stays the same over a run's life, at its first start."""
        versioned = {"schema_version": SCHEMA_VERSION, **values}
        write_whole(self.path / ".hydra" / "config.yaml", yaml.safe_dump(versioned, sort_keys=False).encode())
        write_whole(self.path / ".hydra" / "overrides.yaml", yaml.safe_dump(list(overrides)).encode())
        buffer = io.BytesIO()
        np.save(buffer, indices.astype(np.int64))
        write_whole(self.path / "subset.npy", buffer.getvalue())
        write_whole(self.path / "subset.json", _json(manifest))

    def update(self, **facts: Any) -> None:
        """Add facts to `run.json`, replacing those of the same name."""
        with self._record_lock():
            write_whole(self.path / "run.json", _json(self._record | facts))

    def close(self, state: str, reason: str | None) -> str | None:
        """Record how a running run ended, unless another process has; returns the reason that stands."""
        if not (self.path / "run.json").exists():
            return None
        with self._record_lock():
            record = self._record
            if record.get("state") == "running":
                record |= {"state": state, "reason": reason, "ended": now()}
                write_whole(self.path / "run.json", _json(record))
        return record.get("reason")

    def _record_lock(self) -> AbstractContextManager[None]:
        """Hold `run.json` while it is read, changed and written: every rank and the launcher may do so."""
        return file_lock(self.path / ".run.json.lock")

    @property
    def rows(self) -> list[Row]:
        """`metrics.csv`: one row per budget epoch; an empty field is NaN."""
        file = self.path / "metrics.csv"
        if not file.exists():
            return []
        with file.open(newline="") as lines:
            return [{name: _number(name, text) for name, text in row.items()} for row in csv.DictReader(lines)]

    @property
    def table(self) -> bytes:
        """`metrics.csv` as it stands, for readers of many; empty before the first budget epoch."""
        file = self.path / "metrics.csv"
        return file.read_bytes() if file.exists() else b""

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Write `metrics.csv` whole. Numbers keep every digit."""
        names = list(FIRST_EPOCH_COLUMNS) + [name for name in _names(rows) if name not in FIRST_EPOCH_COLUMNS]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if math.isnan(value) else value for name, value in row.items()} for row in rows)
        write_whole(self.path / "metrics.csv", text.getvalue().encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for this process, so that no other trains it at the same time.

        Raises:
            RunLocked: If another process holds it.
        """
        lock = self.path / ".lock"
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(lock, wait=False))
            except BlockingIOError:
                raise RunLocked(f"{self.path} is being trained by another process") from None
            try:
                yield
            finally:
                if self.path.is_dir() and os.listdir(self.path) == [".lock"]:  # nothing came of it
                    lock.unlink()
                    self.path.rmdir()

    def supersede(self) -> None:
        """Move the run to `superseded/` of its study, where tables do not look; nothing that was measured is lost.

        Raises:
            RunLocked: If another process is training it.
        """
        if not self.record:
            return
        with self.held():
            attic = self.path.parent / SUPERSEDED
            attic.mkdir(exist_ok=True)
            number = sum(1 for _ in attic.glob(f"{self.path.name}.*")) + 1
            self.path.rename(attic / f"{self.path.name}.{number}")

    def keep_output(self, said: bytes) -> None:
        """Keep what a failed job printed, its traceback above all, as `output.log`."""
        write_whole(self.path / "output.log", said)

    def write_predictions(self, name: str, predictions: Predictions) -> None:
        """Keep what the network said of every validation image: `last`, or `budget_epoch_0007`."""
        write_whole(self.path / "predictions" / f"{name}.npz", predictions.to_bytes())

    def predictions(self, name: str = "last") -> Predictions | None:
        """What `write_predictions` kept, or None if that was nothing.

        Raises:
            ConfigError: If it cannot be read.
        """
        file = self.path / "predictions" / f"{name}.npz"
        try:
            return Predictions.from_bytes(file.read_bytes()) if file.exists() else None
        except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error) as error:
            raise _unreadable(file, error) from None

    def checkpoint(self, name: str) -> Path:
        """Where a checkpoint lies: `last`, `best`, `budget_epoch_0007` or `WITHIN`."""
        return self.path / "checkpoints" / f"{name}.ckpt"

    @property
    def checkpoints(self) -> list[Path]:
        """All kept checkpoints: budget epochs in order, then best and last."""
        kept = [path for path in (self.path / "checkpoints").glob("*.ckpt") if path.stem != WITHIN]
        return sorted(kept, key=lambda path: (path.stem in ("best", "last"), path))


def check_world_size(folder: RunFolder, world_size: int) -> None:
    """Raise a ConfigError if a run that goes on would do so with another number of ranks."""
    before = folder.record.get("world_size", world_size)
    if before != world_size:
        raise ConfigError(
            f"trainer.devices must stay what the run started with ({before} ranks), got {world_size} ranks for "
            f"{folder.path}; try trainer.devices={before}"
        )


def runs_of(study: Path) -> list[RunFolder]:
    """The runs of a study folder, in the order of their names; a folder without `run.json` is none."""
    return [RunFolder(file.parent) for file in sorted(study.glob("*/run.json"))]


def folders_in(study: Path) -> list[RunFolder]:
    """Everything that runs left in a study, in the order of paths: whole, half-written, and superseded ones too."""
    places = [*study.iterdir(), *(study / SUPERSEDED).glob("*")]
    return [RunFolder(place) for place in sorted(places) if any((place / trace).exists() for trace in TRACES)]


def best_of(rows: Sequence[Row]) -> Row:
    """The first row with the highest validation top-1."""
    return max(rows, key=lambda row: row["val/top1"])


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _unreadable(file: Path, error: Exception) -> ConfigError:
    said = flat(error)
    return ConfigError(
        f"{file} must be a file that datavol wrote, got {type(error).__name__} {said}; move its folder away"
    )


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _number(name: str, text: str) -> float:
    if name in WHOLE_EPOCH_COLUMNS:
        return int(text)
    return float(text) if text else math.nan


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(_finite(values), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """NaN and infinities as null, which is what JSON has for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value
