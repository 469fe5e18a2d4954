"""Images per second that one core decodes and augments, of datavol and of torchvision's reference preset.

Both read one folder of JPEGs without workers, with torch on one thread, in turns, each in a process of its own. datavol
leaves normalising and erasing to the batch, so its step on the batch is part of what is timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from benchmarks.photographs import write_photographs
from benchmarks.presets import training_preset
from benchmarks.results import Row, ratio_row
from benchmarks.settings import Settings

BATCH_SIZE = 64
SECONDS = 2.0
THESIS = ("recipe.augment.auto=ta_wide", "recipe.augment.erase=0.1")


@dataclass(frozen=True)
class Trial:
    """A row: its target, its cache, and whether the augmentation is that of the thesis's ResNet50."""

    name: str
    title: str
    target: float
    cache: str
    thesis: bool


TRIALS = (
    Trial("pipeline", "input pipeline per core, crop and flip, no cache", 1.8, "off", False),
    Trial("pipeline-cached", "input pipeline per core, crop and flip, cached", 6.0, "disk", False),
    Trial("pipeline-thesis", "input pipeline per core, TrivialAugment and erase, cached", 2.5, "disk", True),
)


def names() -> list[str]:
    """The rows."""
    return [trial.name for trial in TRIALS]


def measure(wanted: Collection[str], settings: Settings) -> Iterator[Row]:
    """Measure the rows that are wanted."""
    trials = [trial for trial in TRIALS if trial.name in wanted]
    if not trials:
        return
    os.environ["DATAVOL_CACHE"] = str(settings.scratch / "cache")
    count = BATCH_SIZE if settings.smoke else 5 * BATCH_SIZE
    folder = write_photographs(settings.scratch / "pipeline", {"train": count, "val": 10})
    for trial in trials:
        yield _trial(trial, folder, settings)


def _trial(trial: Trial, folder: Path, settings: Settings) -> Row:
    seconds = 0.1 if settings.smoke else SECONDS
    overrides = (f"data.cache={trial.cache}", *(THESIS if trial.thesis else ()))
    reference_side = _process(reference_batches, folder / "train", trial.thesis)
    with reference_side as theirs, _process(datavol_batches, folder, *overrides) as ours:
        for side in (theirs, ours):  # warms up, and builds the cache
            side.submit(_measure, 0.0).result()
        samples = [
            [side.submit(_measure, seconds).result() for side in (theirs, ours)] for _ in range(settings.repeats)
        ]
    reference, measured = zip(*samples, strict=True)
    peer = "torchvision's reference preset with them" if trial.thesis else "torchvision's reference preset"
    note = f"JPEGs of 500 x 375, batch {BATCH_SIZE}, samples of {seconds:g} s, datavol's step on the batch included"
    return ratio_row(trial.name, trial.title, peer, trial.target, measured, reference, note=note)


def _process(build: Callable[..., Sizes], *arguments: Any) -> ProcessPoolExecutor:
    """A fresh process that holds what `build` gives, for `_measure`."""
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (build, *arguments))


def _begin(build: Callable[..., Sizes], *arguments: Any) -> None:
    global _batches
    torch.set_num_threads(1)
    _batches = build(*arguments)


def _measure(seconds: float) -> float:
    return images_per_second(_batches, seconds)


def images_per_second(batches: Iterable[int], seconds: float) -> float:
    """Whole passes over batches, given as their sizes, until the time is up."""
    began, count = time.perf_counter(), 0
    while True:
        count += sum(batches)
        passed = time.perf_counter() - began
        if passed >= seconds:
            return count / passed


class Sizes:
    """The sizes of what a loader gives, each batch having gone through `finish`."""

    def __init__(self, loader: Any, finish: Any) -> None:
        self.loader, self.finish = loader, finish

    def __iter__(self) -> Iterator[int]:
        for batch in self.loader:
            images = self.finish(batch)[0]
            if not images.is_floating_point():
                raise RuntimeError(f"a batch must be what a network takes, got {images.dtype}")
            yield len(images)


def reference_batches(folder: Path, thesis: bool) -> Sizes:
    """The reference preset on PIL images, collated by torch."""
    preset = training_preset(224, trivial_augment=thesis, erase=0.1 if thesis else 0.0)
    loader = DataLoader(ImageFolder(str(folder), preset), batch_size=BATCH_SIZE, shuffle=True)
    return Sizes(loader, lambda batch: batch)


def datavol_batches(root: Path, *overrides: str) -> Sizes:
    """The training loader and what the module does to each batch: all that is known here of datavol's inside."""
    from datavol.config.compose import compose
    from datavol.data.augment.device import DeviceTransform
    from datavol.data.prepare import prepare
    from datavol.training.hardware.autotune import resolve_auto
    from datavol.training.hardware.memory import keep_freed_memory
    from datavol.training.trainer import build_data

    keep_freed_memory()  # as every run does
    data = ["data=image_folder", f"data.root={root}", "data.workers=0"]
    step = ["trainer.precision=32", "trainer.memory_format=channels_last"]  # there is none here, so nothing to time
    run = compose([*data, *step, "recipe=plain", f"recipe.batch_size={BATCH_SIZE}", *overrides])[0]
    prepared = prepare(run.config)
    config = resolve_auto(run, prepared, write=False)
    images = build_data(config, prepared)
    images.fill_cache()
    finish = DeviceTransform(config.data.mean, config.data.std)
    return Sizes(images.train_dataloader(), lambda batch: (finish(batch.images, batch.erased),))
