"""What `auto` stands for in a study: decided before its first run trains, written down, and the same from then on.

Runs that differ in arithmetic or in pixels cannot be compared, so the choice is the study's, whichever machine, rank or
session reads it. `settled.json` has an entry per network and image size; one that is there is never changed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from datavol import provenance
from datavol.config import Config, Run
from datavol.data.preparation import Prepared
from datavol.records import RunFolder, now, write_whole
from datavol.training.arithmetic import AUTO, StepTimer, choose

FILE = "settled.json"
ARITHMETIC = ("precision", "memory_format", "compile", "cudnn_benchmark")


def settle(run: Run, prepared: Prepared, *, keep: bool = True) -> Config:
    """The run's configuration with nothing of its arithmetic left to `auto`.

    Args:
        run: The run. One that has started before keeps what it had.
        prepared: Its data.
        keep: Whether to write down what is decided here.
    """
    record = RunFolder(run.folder).record
    if all(name in record for name in ARITHMETIC):
        return _with(run.config, {name: record[name] for name in ARITHMETIC})
    asked = {name: getattr(run.config.trainer, name) for name in ARITHMETIC}
    if AUTO not in asked.values():
        return run.config
    study = run.folder.parent
    if not keep:
        return _with(run.config, _entries(study).get(_kind(run.config)) or _timed(run.config, prepared))
    with _alone(study):
        entries = _entries(study)
        kind = _kind(run.config)
        if kind not in entries:
            entries[kind] = _timed(run.config, prepared)
            write_whole(study / FILE, (json.dumps(entries, indent=1) + "\n").encode())
    return _with(run.config, entries[kind])


def as_recorded(config: Config, record: dict[str, Any]) -> Config:
    """The configuration with the arithmetic of a run's record for every `auto`; plain arithmetic without a record."""
    plain = {"precision": "32", "memory_format": "channels_last", "compile": False, "cudnn_benchmark": False}
    asked = {name: getattr(config.trainer, name) for name in ARITHMETIC}
    known = plain | {name: record[name] for name in ARITHMETIC if name in record}
    return _with(config, {name: known[name] if value == AUTO else value for name, value in asked.items()})


def _kind(config: Config) -> str:
    """What a choice is for: network, image size, and the keys that are not `auto`."""
    model = config.model
    name = f"{model.name} of timm" if model.library == "timm" else str(model.name)
    if model.stem == "small":
        name += " with a small stem"
    given = {name: getattr(config.trainer, name) for name in ARITHMETIC}
    fixed = [f"{name}={value}" for name, value in given.items() if value != AUTO]
    return ", ".join([name, f"{config.recipe.augment.crop_size} px", *fixed])


def _timed(config: Config, prepared: Prepared) -> dict[str, Any]:
    """Decide by timing."""
    if isinstance(config.trainer.threads, int):
        torch.set_num_threads(config.trainer.threads)
    device = _device(config)
    ranks = config.trainer.devices if isinstance(config.trainer.devices, int) else max(1, torch.cuda.device_count())
    share = max(1, prepared.budget.batch_size // (ranks * config.trainer.num_nodes))
    timer = StepTimer(config, len(prepared.source.classes), share, device)
    chosen, seconds = choose(config.trainer, device, prepared.budget.iterations, timer)
    return {
        **{name: getattr(chosen, name) for name in ARITHMETIC},
        "images_per_second": {str(way): round(len(timer.images) / taken, 1) for way, taken in seconds.items()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "decided": now(),
    }


def _device(config: Config) -> torch.device:
    gpu = config.trainer.accelerator in ("gpu", "cuda", AUTO) and torch.cuda.is_available()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")


def _with(config: Config, decided: dict[str, Any]) -> Config:
    trainer = config.trainer.model_copy(update={name: decided[name] for name in ARITHMETIC})
    return config.model_copy(update={"trainer": trainer})


def _entries(study: Path) -> dict[str, dict[str, Any]]:
    file = study / FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}


@contextmanager
def _alone(study: Path) -> Iterator[None]:
    """While another run of the study decides, wait for it."""
    study.mkdir(parents=True, exist_ok=True)
    with (study / f".{FILE}.lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
