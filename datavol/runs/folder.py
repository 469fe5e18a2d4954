"""Reads and writes run folders; no other module opens their files.

| file | what |
|---|---|
| `.hydra/` | the composed configuration and its overrides |
| `subset.json`, `subset.npy` | the subset's manifest, and its sorted index list (int64) |
| `metrics.csv` | a row per budget epoch |
| `run.json` | the run's state, best and last metrics, time, versions, devices |
| `output.log` | what the last failed job of a sweep printed |
| `predictions/` | the network's outputs for every validation image: `last.npz`, or one per evaluation as well |
| `checkpoints/` | `last.ckpt` and `best.ckpt`, or one per budget epoch as well |

Every file is written whole, then renamed, so that a reader never meets a part of one.
"""

import csv
import io
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
import yaml
from numpy.typing import NDArray

from datavol.config.upgrade import SCHEMA_VERSION, check_version, upgrade
from datavol.errors import ConfigError, RunLocked, flat
from datavol.runs.columns import FIRST_EPOCH_COLUMNS, WHOLE_EPOCH_COLUMNS
from datavol.runs.files import file_lock, write_json, write_whole
from datavol.runs.predictions import Predictions

Row = dict[str, float]
T = TypeVar("T")

WITHIN = "within_budget_epoch"
"""Name of the checkpoint inside a budget epoch, deleted when that ends and never evaluated."""

SUPERSEDED = "superseded"
TRACES = ("run.json", ".hydra", "subset.json", "metrics.csv", "output.log")
"""Files that mark a folder as a run's, the surest first."""


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes one run's folder, from disk each time."""

    path: Path

    @property
    def record(self) -> dict[str, Any]:
        """Read `run.json`, upgraded to today's schema; empty before the first start.

        Raises:
            ConfigError: If it cannot be read, or a newer datavol wrote it.
        """
        record = self._record
        version = record.get("schema_version", 1)
        check_version(version)
        if isinstance(record.get("config"), dict):
            record["config"] = upgrade(record["config"] | {"schema_version": version})
        return record

    @property
    def _record(self) -> dict[str, Any]:
        file = self.path / "run.json"
        try:
            record = json.loads(file.read_text()) if file.exists() else {}
            if not isinstance(record, dict):
                raise ValueError("no JSON object")
        except ValueError as error:
            raise ConfigError(
                f"{file} must be a record that datavol wrote, got {error}; move its folder away"
            ) from None
        return record

    @property
    def state(self) -> str | None:
        """Read `running`, `finished` or `failed`; None before the first start."""
        return self.record.get("state")

    @property
    def manifest(self) -> dict[str, Any]:
        """Read `subset.json`."""
        manifest: dict[str, Any] = json.loads((self.path / "subset.json").read_text())
        return manifest

    @property
    def images_per_class(self) -> NDArray[np.int64]:
        """Read the subset's images of each class, shape (classes,).

        Raises:
            ConfigError: If `subset.json` cannot be read.
        """
        file = self.path / "subset.json"
        return _parsed(file, lambda _: np.array(self.manifest["images_per_class"], dtype=np.int64))

    @property
    def indices(self) -> NDArray[np.int64]:
        """Read `subset.npy`: sorted positions in the full training set, shape (N,).

        Raises:
            ConfigError: If it cannot be read.
        """
        indices: NDArray[np.int64] = _parsed(self.path / "subset.npy", lambda file: np.load(file, allow_pickle=False))
        return indices

    @property
    def superseded(self) -> bool:
        """Return whether `supersede` moved the run here."""
        return self.path.parent.name == SUPERSEDED

    @property
    def values(self) -> dict[str, Any]:
        """Read the configuration of the first start, upgraded to today's schema.

        Raises:
            ConfigError: If this is no run folder, or one of a newer datavol.
        """
        file = self.path / ".hydra" / "config.yaml"
        if not file.is_file():
            raise ConfigError(f"{self.path} must be a run folder or a checkpoint, got neither; check the path")
        return upgrade(yaml.safe_load(file.read_text()))

    @property
    def overrides(self) -> tuple[str, ...] | None:
        """Read the overrides of the first start, or None where not kept."""
        file = self.path / ".hydra" / "overrides.yaml"
        overrides = yaml.safe_load(file.read_text()) if file.is_file() else None
        return tuple(map(str, overrides)) if isinstance(overrides, list) else None

    def start(
        self,
        values: Mapping[str, Any],
        overrides: Sequence[str],
        manifest: Mapping[str, Any],
        indices: NDArray[np.int64],
    ) -> None:
        """Write what stays the same over a run's life."""
        versioned = {"schema_version": SCHEMA_VERSION, **values}
        write_whole(self.path / ".hydra" / "config.yaml", yaml.safe_dump(versioned, sort_keys=False).encode())
        write_whole(self.path / ".hydra" / "overrides.yaml", yaml.safe_dump(list(overrides)).encode())
        buffer = io.BytesIO()
        np.save(buffer, indices.astype(np.int64))
        write_whole(self.path / "subset.npy", buffer.getvalue())
        write_json(self.path / "subset.json", manifest)

    def update(self, **facts: Any) -> None:
        """Add facts to `run.json`, replacing those of the same name."""
        with self._record_lock():
            write_json(self.path / "run.json", self._record | facts)

    def close(self, state: str, reason: str | None) -> str | None:
        """Record a running run's end once; return the recorded reason."""
        if not (self.path / "run.json").exists():
            return None
        with self._record_lock():
            record = self._record
            if record.get("state") == "running":  # else another rank or the launcher was first, and its reason stays
                record |= {"state": state, "reason": reason, "ended": now()}
                write_json(self.path / "run.json", record)
        return record.get("reason")

    def _record_lock(self) -> AbstractContextManager[None]:
        # Held while `run.json` is read, changed and written: every rank and the launcher change it. The lock is a file
        # of its own, since each write replaces `run.json` and a lock would stay with the file that was replaced.
        return file_lock(self.path / ".run.json.lock")

    @property
    def rows(self) -> list[Row]:
        """Read `metrics.csv`, a row per budget epoch; an empty field is NaN."""
        lines = io.StringIO(self.table.decode(), newline="")
        return [{name: _number(name, text) for name, text in row.items()} for row in csv.DictReader(lines)]

    @property
    def table(self) -> bytes:
        """Read `metrics.csv` unparsed; empty before the first budget epoch."""
        file = self.path / "metrics.csv"
        return file.read_bytes() if file.exists() else b""

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Write `metrics.csv`; numbers keep every digit."""
        # The keys of a dict are unique and stay in order: the first columns, then the others as rows bring them up
        names = dict.fromkeys([*FIRST_EPOCH_COLUMNS, *(name for row in rows for name in row)])
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if math.isnan(value) else value for name, value in row.items()} for row in rows)
        write_whole(self.path / "metrics.csv", text.getvalue().encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run's lock, so that no other process trains it.

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
                # A run that was refused before it wrote anything leaves no folder; the lock is still held here
                if self.path.is_dir() and os.listdir(self.path) == [".lock"]:
                    lock.unlink()
                    self.path.rmdir()

    def supersede(self) -> None:
        """Move the run to its study's `superseded/`, which tables leave out.

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

    def keep_output(self, output: bytes) -> None:
        """Write a failed job's output, its traceback above all, as `output.log`."""
        write_whole(self.path / "output.log", output)

    def write_predictions(self, name: str, predictions: Predictions) -> None:
        """Write predictions as `last` or `budget_epoch_0007`."""
        write_whole(self.path / "predictions" / f"{name}.npz", predictions.to_bytes())

    def predictions(self, name: str = "last") -> Predictions | None:
        """Read predictions, or None where none were kept.

        Raises:
            ConfigError: If they cannot be read.
        """
        file = self.path / "predictions" / f"{name}.npz"
        return _parsed(file, lambda file: Predictions.from_bytes(file.read_bytes()) if file.exists() else None)

    def checkpoint(self, name: str) -> Path:
        """Return a checkpoint's path: `last`, `best`, `budget_epoch_0007` or `WITHIN`."""
        return self.path / "checkpoints" / f"{name}.ckpt"

    @property
    def checkpoints(self) -> list[Path]:
        """List all kept checkpoints: budget epochs in order, best, last."""
        kept = [path for path in (self.path / "checkpoints").glob("*.ckpt") if path.stem != WITHIN]
        return sorted(kept, key=lambda path: (path.stem in ("best", "last"), path))


def check_world_size(folder: RunFolder, world_size: int) -> None:
    """Raise a ConfigError if a resumed run's number of ranks has changed."""
    before = folder.record.get("world_size", world_size)
    if before != world_size:
        raise ConfigError(
            f"trainer.devices must stay what the run started with ({before} ranks), got {world_size} ranks for "
            f"{folder.path}; try trainer.devices={before}"
        )


def runs_of(study: Path) -> list[RunFolder]:
    """List a study's folders with a `run.json`, by name."""
    return [RunFolder(file.parent) for file in sorted(study.glob("*/run.json"))]


def folders_in(study: Path) -> list[RunFolder]:
    """List all run folders of a study, half-written and superseded ones too."""
    paths = sorted([*study.iterdir(), *(study / SUPERSEDED).glob("*")])
    return [RunFolder(path) for path in paths if any((path / trace).exists() for trace in TRACES)]


def best_of(rows: Sequence[Row]) -> Row:
    """Return the first row with the highest validation top-1."""
    return max(rows, key=lambda row: row["val/top1"])


def now() -> str:
    """Format the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _parsed(file: Path, parse: Callable[[Path], T]) -> T:
    try:
        return parse(file)
    # All that JSON, NumPy and zip files raise when they are cut off or damaged
    except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error) as error:
        got = f"{type(error).__name__} {flat(error)}"
        raise ConfigError(f"{file} must be a file that datavol wrote, got {got}; move its folder away") from None


def _number(name: str, text: str) -> float:
    if name in WHOLE_EPOCH_COLUMNS:
        return int(text)
    return float(text) if text else math.nan
