"""Chooses values for `auto` once per study, and records them.

Runs that differ in arithmetic or in pixels cannot be compared, so a choice is the study's, whichever machine, rank or
session reads it, and depends on the kind of machine alone, not on how busy it is. `autotune.json` has an entry per
network and image size, which is never changed.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from datavol.config.data import FilesConfig
from datavol.config.run import Config, Run
from datavol.data.images.cache_policy import short_side
from datavol.data.prepare import Prepared
from datavol.runs import provenance
from datavol.runs.files import file_lock, write_whole
from datavol.runs.folder import WITHIN, RunFolder, now
from datavol.training.hardware.precision import Choice, StepTimer, choose_memory_format, choose_precision
from datavol.training.hardware.study_choices import (
    AUTO,
    FILE,
    STEP_KEYS,
    chosen_entries,
    entry_name,
    step_options_of,
)

GPU_ONLY = ("compile", "cudnn_benchmark")


def resolve_auto(run: Run, prepared: Prepared, *, write: bool = True, trunk: Mapping[str, Any] | None = None) -> Config:
    """Replace every `auto` that affects arithmetic or pixels.

    A run that goes on from a checkpoint keeps its own values, one that takes over a `trunk` those of its record, any
    other takes its study's. Where the study has none they are chosen now and, unless `write` is false, recorded.
    """
    folder, study = RunFolder(run.folder), run.folder.parent
    goes_on = any(folder.checkpoint(name).exists() for name in ("last", WITHIN))
    record = folder.record
    if goes_on and all(name in record for name in (*STEP_KEYS, "short_side")):
        return _with_cache(_with(run.config, record))
    if trunk is not None:
        return _with_cache(_with(run.config, trunk))
    config = run.config
    if _device(config).type == "cpu":
        config = _with(config, {name: False for name in GPU_ONLY if getattr(config.trainer, name) == AUTO})
    if AUTO in step_options_of(config).values():
        # named after the configuration as written, so that a study's machines with and without a GPU share the entry
        network = entry_name(run.config)
        config = _with(config, _study_entry(study, network, write, lambda: choose_step_options(config, prepared)))
    data = config.data
    if isinstance(data, FilesConfig) and data.short_side == AUTO:
        images = f"images of {data.name}, {data.resize} px"
        config = _with(config, _study_entry(study, images, write, lambda: short_side(data, prepared.source)))
    return _with_cache(config)


def recorded_auto(config: Config, record: dict[str, Any]) -> Config:
    """Replace every `auto` from a run's record; without one, by plain arithmetic."""
    plain = {"precision": "32", "memory_format": "channels_last", "compile": False, "cudnn_benchmark": False}
    known = {"short_side": None} | plain | record
    open_keys = [name for name, value in step_options_of(config).items() if value == AUTO]
    open_keys += ["short_side"] if getattr(config.data, "short_side", None) == AUTO else []
    return _with_cache(_with(config, {name: known[name] for name in open_keys}))


def choose_step_options(config: Config, prepared: Prepared) -> dict[str, Any]:
    """Choose the options of a training step, with their provenance."""
    trainer, device = config.trainer, _device(config)

    @cache
    def timer() -> StepTimer:  # a network is built only where a step is timed
        ranks = trainer.devices if isinstance(trainer.devices, int) else 1
        share = max(1, prepared.budget.batch_size // (ranks * trainer.num_nodes))  # images of a rank's batch
        return StepTimer(config, len(prepared.source.classes), share)

    choice = Choice(trainer.precision, "given")
    if trainer.precision == AUTO:
        choice = choose_precision(device, lambda precision: timer()(precision))
        if timer.cache_info().currsize:
            print(f"{config.model.name}: trainer.precision={choice.precision}: {choice.why}", file=sys.stderr)
    gpu, given = device.type == "cuda", step_options_of(config)
    ruled = {
        "precision": choice.precision,
        "memory_format": choose_memory_format(device, choice.precision),
        "compile": False,  # takes a minute or two of every run
        "cudnn_benchmark": gpu,  # images have one size, for which the search pays
    }
    return {
        **{name: ruled[name] if given[name] == AUTO else given[name] for name in STEP_KEYS},
        "why": choice.why,
        "device": torch.cuda.get_device_name(device) if gpu else "cpu",
        "machine": provenance.machine(),
        "versions": provenance.versions(),
    }


def _study_entry(study: Path, what: str, write: bool, choose_values: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the study's entry for `what`, chosen now if there is none."""
    if not write:
        return chosen_entries(study).get(what) or choose_values()
    # Held while choosing: of the runs and ranks that start at once one chooses and the others wait
    with file_lock(study / f".{FILE}.lock"):
        entries = chosen_entries(study)
        if what not in entries:
            entries[what] = choose_values() | {"decided": now()}
            write_whole(study / FILE, (json.dumps(entries, indent=1) + "\n").encode())
    return entries[what]


def _device(config: Config) -> torch.device:
    gpu = config.trainer.accelerator in ("gpu", "cuda", AUTO) and torch.cuda.is_available()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")


def _with(config: Config, values: Mapping[str, Any]) -> Config:
    trainer = {name: values[name] for name in STEP_KEYS if name in values}
    sections: dict[str, Any] = {"trainer": config.trainer.model_copy(update=trainer)}
    if isinstance(config.data, FilesConfig) and "short_side" in values:
        sections["data"] = config.data.model_copy(update={"short_side": values["short_side"]})
    return config.model_copy(update=sections)


def _with_cache(config: Config) -> Config:
    """Replace `data.cache=auto` by `disk` where images are shrunk."""
    data = config.data
    if not isinstance(data, FilesConfig) or data.cache != AUTO:
        return config
    cache = "off" if data.short_side is None else "disk"  # shrunk images are smaller than their files
    return config.model_copy(update={"data": data.model_copy(update={"cache": cache})})
