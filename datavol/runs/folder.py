"""Reads and writes run folders; no other module opens their files.

| file | what |
|---|---|
| `.hydra/` | the composed configuration and its overrides |
| `subset.json`, `subset.npy` | the subset's manifest, and its sorted index list (int64) |
| `metrics.csv` | a row per budget epoch |
| `run.json` | the run's state, best and last metrics, time, versions, devices |
| `output.log` | what the last failed job of a sweep printed |
| `predictions/` | the network's outputs for every validation image: `last.npz`, or one per evaluation as well |
| `checkpoints/` | `last.ckpt` and `best.ckpt`, or one per budget epoch as well; `trunk.ckpt` where asked for |

Every file is written whole, then renamed, so that a reader never meets a part of one.
"""

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from datavol.config.upgrade import SCHEMA_VERSION, check_version, upgrade
from datavol.errors import ConfigError, RunError, RunLocked
from datavol.runs.files import file_lock, parsed, read_json, write_json, write_whole
from datavol.runs.predictions import Predictions
from datavol.runs.rows import Row, rows_from_text, rows_to_text

WITHIN = "within_budget_epoch"
"""Name of the checkpoint inside a budget epoch, deleted when that ends and never evaluated."""

TRUNK, TRUNK_BEST = "trunk", "trunk_best"
"""Names of the checkpoint where a cool-down begins, and of the best until then, from which longer runs begin."""

SUPERSEDED = "superseded"
TRACES = ("run.json", ".hydra", "subset.json", "metrics.csv", "output.log")
"""Files that mark a folder as a run's, the surest first."""

ANEW = "bring it back, or train the run again with sweep.rerun=true, which keeps this one in superseded/"
"""Remedy for a run whose files are damaged."""

# what `write_whole` and a checkpoint's writing leave when they are killed
_TEMPORARY = re.compile(r"\..+\.(json|csv|npy|npz|yaml|log)\.[a-z0-9_]{8}|\..+\.ckpt\.tmp")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is


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
        return read_json(file, ANEW) if file.exists() else {}

    @property
    def has_traces(self) -> bool:
        """Return whether a run has left anything here."""
        return any((self.path / trace).exists() for trace in TRACES)

    @property
    def measured_without_record(self) -> str | None:
        """Name what a run measured that has no `run.json`."""
        there = (name for name in ("metrics.csv", "checkpoints/last.ckpt") if (self.path / name).exists())
        return None if (self.path / "run.json").exists() else next(there, None)

    @property
    def state(self) -> str | None:
        """Read `running`, `finished` or `failed`; None before the first start."""
        return self.record.get("state")

    @property
    def manifest(self) -> dict[str, Any]:
        """Read `subset.json`.

        Raises:
            ConfigError: If it cannot be read, or lacks what it must hold.
        """
        file = self.path / "subset.json"
        manifest = read_json(file, ANEW)
        if missing := [name for name in ("fingerprint", "sha256", "images_per_class") if name not in manifest]:
            raise ConfigError(f"{file} must be a whole file that datavol wrote, got one without {missing[0]}; {ANEW}")
        return manifest

    @property
    def images_per_class(self) -> NDArray[np.int64]:
        """Read the subset's images of each class, shape (classes,).

        Raises:
            ConfigError: If `subset.json` cannot be read.
        """
        numbers = self.manifest["images_per_class"]
        return parsed(self.path / "subset.json", lambda _: np.array(numbers, dtype=np.int64), ANEW)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Read `subset.npy`: sorted positions in the full training set, shape (N,).

        Raises:
            ConfigError: If it cannot be read.
        """
        file = self.path / "subset.npy"
        return parsed(file, lambda file: np.load(file, allow_pickle=False).astype(np.int64, casting="safe"), ANEW)

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
        values = self.kept_values or self.record.get("config")
        if not isinstance(values, dict):
            raise ConfigError(f"{self.path} must be a run folder or a checkpoint, got neither; check the path")
        return values

    @property
    def kept_values(self) -> dict[str, Any] | None:
        """Read `.hydra/config.yaml`, upgraded to today's schema; None without it.

        Raises:
            ConfigError: If it cannot be read.
        """
        file = self.path / ".hydra" / "config.yaml"
        if not file.is_file():
            return None
        remedy = "move it away: run.json holds the configuration as well"
        return upgrade(parsed(file, lambda file: dict(yaml.load(file.read_bytes(), _YAML)), remedy))

    @property
    def overrides(self) -> tuple[str, ...] | None:
        """Read the overrides of the first start, or None where not kept."""
        file = self.path / ".hydra" / "overrides.yaml"
        try:
            overrides = yaml.load(file.read_bytes(), _YAML) if file.is_file() else None
        except (OSError, yaml.YAMLError):  # only the commands of a report rest on them
            return None
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
        """Add facts to `run.json`, replacing those of the same name.

        Raises:
            RunError: If the folder was removed while its run trains.
        """
        if "state" not in facts:  # which opens a record
            self.check_there()
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

    def check_there(self) -> None:
        """Raise a RunError if the folder of a started run was removed."""
        if not (self.path / "run.json").exists():
            raise RunError(f"{self.path} must stay while its run trains, got no run.json; type the command again")

    def _record_lock(self) -> AbstractContextManager[None]:
        # Held while `run.json` is read, changed and written: every rank and the launcher change it. The lock is a file
        # of its own, since each write replaces `run.json` and a lock would stay with the file that was replaced.
        return file_lock(self.path / ".run.json.lock")

    @property
    def rows(self) -> list[Row]:
        """Read `metrics.csv`, a row per budget epoch; an empty field is NaN.

        Raises:
            ConfigError: If it does not hold whole rows.
        """
        return parsed(self.path / "metrics.csv", lambda _: rows_from_text(self.table.decode()), ANEW)

    @property
    def table(self) -> bytes:
        """Read `metrics.csv` unparsed; empty before the first budget epoch."""
        file = self.path / "metrics.csv"
        return file.read_bytes() if file.exists() else b""

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Write `metrics.csv`; numbers keep every digit."""
        write_whole(self.path / "metrics.csv", rows_to_text(rows).encode())

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
        """Move a held run to its study's `superseded/`, which tables leave out."""
        attic = self.path.parent / SUPERSEDED
        attic.mkdir(exist_ok=True)
        numbers = [path.name.removeprefix(f"{self.path.name}.") for path in attic.iterdir()]
        number = 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)  # none is used twice
        self.path.rename(attic / f"{self.path.name}.{number}")

    def remove_temporary(self) -> None:
        """Remove what a killed writer left; the caller holds the run."""
        for place in (".", ".hydra", "predictions", "checkpoints"):
            for path in (self.path / place).glob(".*"):
                if _TEMPORARY.fullmatch(path.name):
                    path.unlink(missing_ok=True)

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
        return parsed(file, lambda file: Predictions.from_bytes(file.read_bytes()) if file.exists() else None, ANEW)

    def checkpoint(self, name: str) -> Path:
        """Return a checkpoint's path: `last`, `best`, `budget_epoch_0007` or `WITHIN`."""
        return self.path / "checkpoints" / f"{name}.ckpt"

    @property
    def checkpoints(self) -> list[Path]:
        """List all kept checkpoints to evaluate: budget epochs in order, best, last."""
        others = (WITHIN, TRUNK, TRUNK_BEST)
        kept = [path for path in (self.path / "checkpoints").glob("*.ckpt") if path.stem not in others]
        return sorted(kept, key=lambda path: (path.stem in ("best", "last"), path))


def runs_of(study: Path) -> list[RunFolder]:
    """List a study's folders with a `run.json`, by name."""
    return [RunFolder(file.parent) for file in sorted(study.glob("*/run.json"))]


def folders_in(study: Path) -> list[RunFolder]:
    """List all run folders of a study, half-written and superseded ones too."""
    paths = sorted([*study.iterdir(), *(study / SUPERSEDED).glob("*")])
    return [folder for folder in map(RunFolder, paths) if folder.has_traces]


def best_of(rows: Sequence[Row]) -> Row:
    """Return the first row with the highest validation top-1."""
    return max(rows, key=lambda row: row["val/top1"])


def now() -> str:
    """Format the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
