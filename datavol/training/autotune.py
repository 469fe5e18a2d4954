"""What `auto` stands for in a study: decided before its first run trains, written down, and the same from then on.

Runs that differ in arithmetic or in pixels cannot be compared, so the choice is the study's, whichever machine, rank or
session reads it. `settled.json` has an entry per network and image size; one that is there is never changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from datavol.config import Config, FilesConfig, Run
from datavol.data.images.cache_policy import short_side
from datavol.data.prepare import Prepared
from datavol.runs import provenance
from datavol.runs.files import file_lock, write_whole
from datavol.runs.folder import RunFolder, now
from datavol.training.step_timing import AUTO, StepTimer, choose

FILE = "settled.json"
GPU_ONLY = ("compile", "cudnn_benchmark")
STEP_KEYS = ("precision", "memory_format", *GPU_ONLY)


def resolve_auto(run: Run, prepared: Prepared, *, keep: bool = True) -> Config:
    """The run's configuration with nothing of its arithmetic and pixels left to `auto`.

    Args:
        run: The run. One that has started before keeps what it had.
        prepared: Its data.
        keep: Whether to write down what is decided here.
    """
    record = RunFolder(run.folder).record
    if all(name in record for name in (*STEP_KEYS, "short_side")):
        return _with_cache(_with(run.config, record))
    config = run.config
    if _device(config).type == "cpu":  # which has neither
        config = _with(config, {name: False for name in GPU_ONLY if getattr(config.trainer, name) == AUTO})
    if AUTO in _arithmetic(config).values():
        network = _network(run.config)
        config = _with(config, _decided(run.folder.parent, network, keep, lambda: _timed(config, prepared)))
    data = config.data
    if isinstance(data, FilesConfig) and data.short_side == AUTO:
        found = _decided(run.folder.parent, _images(config), keep, lambda: short_side(data, prepared.source))
        config = _with(config, found)
    return _with_cache(config)


def _decided(study: Path, what: str, keep: bool, decide: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The study's entry for `what`, made by `decide` if there is none."""
    if not keep:
        return _entries(study).get(what) or decide()
    with file_lock(study / f".{FILE}.lock"):
        entries = _entries(study)
        if what not in entries:
            entries[what] = decide() | {"decided": now()}
            write_whole(study / FILE, (json.dumps(entries, indent=1) + "\n").encode())
    return entries[what]


def recorded_auto(config: Config, record: dict[str, Any]) -> Config:
    """The configuration with the arithmetic of a run's record for every `auto`; plain arithmetic without a record."""
    plain = {"precision": "32", "memory_format": "channels_last", "compile": False, "cudnn_benchmark": False}
    known = {"short_side": None} | plain | record
    open_keys = [name for name, value in _arithmetic(config).items() if value == AUTO]
    open_keys += ["short_side"] if getattr(config.data, "short_side", None) == AUTO else []
    return _with_cache(_with(config, {name: known[name] for name in open_keys}))


def _arithmetic(config: Config) -> dict[str, Any]:
    return {name: getattr(config.trainer, name) for name in STEP_KEYS}


def _network(config: Config) -> str:
    """What a choice of arithmetic is for: network, image size, and the keys that are not `auto`."""
    model = config.model
    name = f"{model.name} of timm" if model.library == "timm" else str(model.name)
    if model.stem == "small":
        name += " with a small stem"
    fixed = [f"{name}={value}" for name, value in _arithmetic(config).items() if value != AUTO]
    return ", ".join([name, f"{config.recipe.augment.crop_size} px", *fixed])


def _images(config: Config) -> str:
    """What a choice of pixels is for."""
    return f"images of {config.data.name}, {config.data.resize} px"


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
        **{name: getattr(chosen, name) for name in STEP_KEYS},
        "images_per_second": {str(way): round(len(timer.images) / taken, 1) for way, taken in seconds.items()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "machine": provenance.machine(),
        "versions": provenance.versions(),
    }


def _device(config: Config) -> torch.device:
    gpu = config.trainer.accelerator in ("gpu", "cuda", AUTO) and torch.cuda.is_available()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")


def _with(config: Config, decided: Mapping[str, Any]) -> Config:
    trainer = {name: decided[name] for name in STEP_KEYS if name in decided}
    sections: dict[str, Any] = {"trainer": config.trainer.model_copy(update=trainer)}
    if isinstance(config.data, FilesConfig) and "short_side" in decided:
        sections["data"] = config.data.model_copy(update={"short_side": decided["short_side"]})
    return config.model_copy(update=sections)


def _with_cache(config: Config) -> Config:
    """What is shrunk is worth keeping: it is smaller than the image itself."""
    data = config.data
    if not isinstance(data, FilesConfig) or data.cache != AUTO:
        return config
    cache = "off" if data.short_side is None else "disk"
    return config.model_copy(update={"data": data.model_copy(update={"cache": cache})})


def _entries(study: Path) -> dict[str, dict[str, Any]]:
    file = study / FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}
