"""Finds where a run begins: anew, resumed, from a parent, or on a trunk."""

import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datavol.config.identity import hashed_values
from datavol.config.run import Config
from datavol.data.prepare import Prepared, check_manifest
from datavol.errors import ConfigError
from datavol.runs.folder import ANEW, WITHIN, RunFolder
from datavol.runs.integrity import check_world_size, measured_rows
from datavol.runs.rows import Row, digest_of
from datavol.runs.trunk import WITHOUT, Trunk, find_trunk
from datavol.training.changes import check_weights_stayed, files_differ


@dataclass(frozen=True)
class Start:
    """Describes where a run begins."""

    folder: Path
    checkpoint: Path | None = None  # loaded first
    rows: list[Row] = field(default_factory=list)  # measured up to there
    resumed: bool = False  # has started before: then ranks and threads stay
    world_size: int | None = None  # ranks of the first start
    threads: int | None = None  # CPU threads per rank of the first start
    parent: dict[str, Any] | None = None  # the run of `start_from`
    trunk: Trunk | None = None  # whose rows and checkpoint are taken over now
    begins: bool = True  # has no checkpoint of its own


def find_start(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    """Find where a run begins.

    Raises:
        ConfigError: If the data are no longer those of the run's manifest, or `start_from` or `trunk` does not fit.
    """
    record = folder.record
    if not record:
        return begin(config, folder, prepared)
    check_manifest(folder, prepared)
    fixed: dict[str, Any] = {key: record.get(key) for key in ("world_size", "threads", "parent")}
    _check_indices(folder, prepared)
    # The checkpoint that is furthest: the one inside a budget epoch, unless `last` has overtaken it
    paths = [path for path in (folder.checkpoint("last"), folder.checkpoint(WITHIN)) if path.exists()]
    if not paths:  # killed before its first checkpoint
        if record.get("trunk") is None or "last" in record:  # else before it had all of the trunk, which it takes again
            measured_rows(folder, (fixed["parent"] or {}).get("budget_epoch") or 0, None)
        begun = begin(config, folder, prepared)
        return replace(begun, resumed=True, **({} if begun.trunk else fixed))
    kept = [(_own_checkpoint(path, config, folder), path) for path in paths]
    content, path = max(kept, key=lambda one: int(one[0]["global_step"]))
    done = content["global_step"] // prepared.budget.iterations_per_epoch
    rows = measured_rows(folder, done, _facts_of(content).get("digest"))
    return Start(folder.path, path, rows, resumed=True, begins=False, **fixed)


def begin(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    """Find where a run begins that has measured nothing.

    Raises:
        ConfigError: If `start_from` or `trunk` does not fit.
    """
    if config.start_from is not None:
        return _from_parent(config, folder, prepared)
    return Start(folder.path) if config.trunk is None else _on_trunk(config, folder, prepared)


def _on_trunk(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    """Begin with the first part of a shorter run.

    Raises:
        ConfigError: If it is not, bit for bit, what this run would train itself.
    """
    trunk = find_trunk(config)
    origin, record, rows = trunk.folder, trunk.folder.record, trunk.rows
    _check_same_data(origin, prepared)
    check_weights_stayed(origin, config.model)
    if isinstance(config.trainer.devices, int):  # else the trainer knows, once it is there
        check_world_size(origin, config.trainer.devices * config.trainer.num_nodes)
    content = read_checkpoint(trunk.checkpoint, f"train that run again, {WITHOUT}")
    facts, iterations = _facts_of(content), trunk.epochs * prepared.budget.iterations_per_epoch
    whole = [row["budget_epoch"] for row in rows] == [*range(1, trunk.epochs + 1)]
    known = content.get("global_step") == iterations and facts.get("hash") in trunk.hashes
    if not whole or not known or facts.get("digest") != digest_of(rows):
        raise ConfigError(
            f"trunk must be a run whose metrics.csv has the rows of its checkpoint, got {origin.path}, where those of "
            f"{trunk.checkpoint.name} are others; train it again, {WITHOUT}"
        )
    fixed: dict[str, Any] = {"world_size": record.get("world_size"), "threads": record.get("threads")}
    return Start(folder.path, trunk.checkpoint, rows, trunk=trunk, **fixed)


def _check_same_data(origin: RunFolder, prepared: Prepared) -> None:
    manifest = origin.manifest
    same = all(manifest[name] == prepared.manifest[name] for name in ("fingerprint", "sha256"))
    if not same or files_differ(manifest, prepared.source):
        raise ConfigError(
            f"data must be those that the run of trunk was trained on, got others than {origin.path / 'subset.json'} "
            f"names; bring them back, {WITHOUT}"
        )


def _check_indices(folder: RunFolder, prepared: Prepared) -> None:
    if not np.array_equal(folder.indices, prepared.subset.indices):
        raise ConfigError(f"{folder.path / 'subset.npy'} must be the list of subset.json, got another; {ANEW}")


def _own_checkpoint(path: Path, config: Config, folder: RunFolder) -> dict[str, Any]:
    """Read a checkpoint that a run goes on from."""
    content = read_checkpoint(path, ANEW)
    # One of an older version does not say whose it is; the first after a trunk is still the trunk's
    known = (None, "", config.run_hash, *((folder.record.get("trunk") or {}).get("hashes", ())))
    if not {"state_dict", "global_step"} <= set(content) or _facts_of(content).get("hash") not in known:
        raise ConfigError(f"{path} must be a checkpoint of run {config.run_hash}, got another; {ANEW}")
    return content


def _facts_of(checkpoint: dict[str, Any]) -> dict[str, str]:
    """Return what `RunWriter` saved of its run."""
    facts: dict[str, str] = checkpoint.get("callbacks", {}).get("RunWriter", {})
    return facts


def _from_parent(config: Config, folder: RunFolder, prepared: Prepared) -> Start:
    path = Path(str(config.start_from))
    checkpoint = read_checkpoint(path)
    origin = RunFolder(path.resolve().parent.parent)  # <run>/checkpoints/<name>.ckpt
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
    """Raise a ConfigError unless a parent's settings are this run's."""
    # The checkpoint brings the network, the optimiser's state and the schedule's position: all must mean the same here
    theirs = Config.model_validate(origin.values)
    record = origin.record
    pairs = {
        "model": (hashed_values(config.model), hashed_values(theirs.model)),
        "recipe": (hashed_values(config.recipe), hashed_values(theirs.recipe)),
        "epochs": (config.epochs, theirs.epochs),
        "budget": (config.budget, theirs.budget),
        "data (its classes)": (list(prepared.source.classes), record["classes"]),
        "data (its budget epoch)": (prepared.budget.iterations_per_epoch, record["budget"]["iterations_per_epoch"]),
    }
    for name, (ours, parents) in pairs.items():
        if ours != parents:
            raise ConfigError(
                f"{name} must be the same as in the run of start_from, {origin.path.name}, got another; "
                "only order_seed, draw_seed and fraction may differ"
            )


def check_is_there(path: Path) -> None:
    """Raise a ConfigError unless a checkpoint is a file."""
    if not path.is_file():
        raise ConfigError(f"a checkpoint must be a file, got {path}; check the path")


def read_checkpoint(path: Path, remedy: str = "it is not loaded") -> dict[str, Any]:
    """Read a checkpoint or torchvision's weights with `weights_only=True`.

    Raises:
        ConfigError: If it is missing, damaged, or holds more than weights and plain values; the line ends in `remedy`.
    """
    check_is_there(path)
    try:
        if path.suffix == ".ckpt":  # one of ours, whose checksums torch writes and does not read
            with zipfile.ZipFile(path) as archive:
                if (part := archive.testzip()) is not None:
                    raise ValueError(part)
        # Plain values only, so that a checkpoint cannot run code; memory-mapped where it has torch's zip format
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception:  # a damaged pickle raises anything
        raise ConfigError(
            f"a checkpoint must hold weights and plain values alone, got {path}, which is damaged or holds more; "
            f"{remedy}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"a checkpoint must hold a dictionary of weights, got {type(content).__name__} in {path}")
    return content
