"""Where a run begins: at the start, where it stopped, or at another run's checkpoint."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from datavol.config.run import Config
from datavol.config.section import hashed_values
from datavol.data.prepare import Prepared, check_manifest
from datavol.errors import ConfigError
from datavol.runs.folder import WITHIN, Row, RunFolder


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        folder: The run's folder.
        checkpoint: What is loaded first, or None.
        rows: What was measured up to there.
        resumed: Whether the run has started before; then ranks and threads stay.
        world_size: Ranks of the run's first start.
        threads: CPU threads per rank of the run's first start.
        parent: The run that this one goes on from.
    """

    folder: Path
    checkpoint: Path | None = None
    rows: list[Row] = field(default_factory=list)
    resumed: bool = False
    world_size: int | None = None
    threads: int | None = None
    parent: dict[str, Any] | None = None


def find_start(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    """Find where a run begins.

    Raises:
        ConfigError: If the data are no longer those of the run's manifest, or `start_from` does not fit.
    """
    record = folder.record
    if not record:
        return _from_parent(config, folder, prepared) if config.start_from else Start(folder.path)
    check_manifest(folder, prepared)
    fixed: dict[str, Any] = {key: record.get(key) for key in ("world_size", "threads", "parent")}
    latest = _latest(folder)
    if latest is not None:
        path, iteration = latest
        done = iteration // prepared.budget.iterations_per_epoch
        rows = [row for row in folder.rows if row["budget_epoch"] <= done]
        return Start(folder.path, path, rows, resumed=True, **fixed)
    parent = Path(str(config.start_from)) if config.start_from else None
    return Start(folder.path, parent, resumed=True, **fixed)


def _latest(folder: RunFolder) -> tuple[Path, int] | None:
    """The checkpoint that is furthest, and its iteration."""
    paths = [path for path in (folder.checkpoint("last"), folder.checkpoint(WITHIN)) if path.exists()]
    return max(((path, read_checkpoint(path)["global_step"]) for path in paths), key=lambda one: one[1], default=None)


def _from_parent(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    path = Path(str(config.start_from))
    checkpoint = read_checkpoint(path)
    origin = RunFolder(path.resolve().parent.parent)
    _check_parent(config, prepared, origin)
    done = checkpoint["global_step"] // prepared.budget.iterations_per_epoch
    if done >= config.epochs:
        raise ConfigError(
            f"start_from must be a checkpoint before the run's end, got one of budget epoch {done} of {config.epochs}; "
            "try an earlier one, which checkpoint.keep=all keeps"
        )
    parent = {
        "study": origin.record.get("study"),
        "name": origin.record.get("name"),
        "checkpoint": path.name,
        "budget_epoch": done,
        "iteration": checkpoint["global_step"],
    }
    return Start(folder.path, path, parent=parent)


def _check_parent(config: Config, prepared: Prepared, origin: RunFolder) -> None:
    """The network, the recipe and its schedule come with the checkpoint, so they must be what this run asks for."""
    theirs = Config.model_validate(origin.values)
    record = origin.record
    pairs = {
        "model": (hashed_values(config.model), hashed_values(theirs.model)),
        "recipe": (hashed_values(config.recipe), hashed_values(theirs.recipe)),
        "epochs": (config.epochs, theirs.epochs),
        "budget": (config.budget, theirs.budget),
        "data (its classes)": (list(prepared.source.classes), record["classes"]),
        "data (its budget epoch)": (
            prepared.budget.iterations_per_epoch,
            record["budget"]["iterations_per_epoch"],
        ),
    }
    for name, (ours, parents) in pairs.items():
        if ours != parents:
            raise ConfigError(
                f"{name} must be the same as in the run of start_from, {origin.path.name}, got another; "
                "only order_seed, draw_seed and fraction may differ"
            )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint or torchvision's weights with `weights_only=True`.

    Raises:
        ConfigError: If it is missing, or holds more than weights and plain values.
    """
    if not path.is_file():
        raise ConfigError(f"a checkpoint must be a file, got {path}; check the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        raise ConfigError(
            f"a checkpoint must hold weights and plain values alone, got {path}, which is damaged or holds more; "
            "it is not loaded"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"a checkpoint must hold a dictionary of weights, got {type(content).__name__} in {path}")
    return content
