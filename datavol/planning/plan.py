"""What each run of a sweep would do and cost: arithmetic, its state on disk, and measured speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datavol.config import Config, Run
from datavol.data.budget import ThesisUnits, thesis_units
from datavol.data.prepare import Prepared, prepare
from datavol.data.sources import imagenet_shape
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import Source, open_source
from datavol.planning.network_sizes import checkpoint_bytes
from datavol.runs.folder import RunFolder

RESUMABLE = ("running", "failed")


@dataclass(frozen=True)
class Plan:
    """One run before it trains.

    Attributes:
        run: The run.
        prepared: Its data, subset and budget.
        units: Epochs, LR step and warm-up in passes over the subset, as the thesis states them.
        state: `finished`, `resumable` or `missing`.
        epochs_left: Budget epochs still to train.
        checkpoint_bytes: Disk that its checkpoints take, or None for a network whose size nobody looked up.
    """

    run: Run
    prepared: Prepared
    units: ThesisUnits
    state: str
    epochs_left: int
    checkpoint_bytes: int | None


def plan_runs(runs: list[Run]) -> list[Plan]:
    """Plan the runs, each data set opened once; torch is not imported."""
    opened: list[tuple[object, object]] = []
    plans = []
    for run in runs:
        asked = (run.config.data, run.config.plan)
        source = next((source for known, source in opened if known == asked), None)
        if source is None:
            source = planned_source(run.config)
            opened.append((asked, source))
        plans.append(plan_run(run, source))  # type: ignore[arg-type]
    return plans


def plan_run(run: Run, source: Source | None) -> Plan:
    """Plan one run; `source` is its data set where that is open already, or stands for one that is not here."""
    prepared = prepare(run.config, source)
    folder = RunFolder(run.folder)
    done = len(folder.rows) if folder.checkpoint("last").exists() else 0
    state = "finished" if folder.state == "finished" else "resumable" if folder.state in RESUMABLE else "missing"
    schedule = run.config.recipe.schedule
    share = prepared.subset.fraction if run.config.budget == "iterations" else 1.0
    return Plan(
        run,
        prepared,
        thesis_units(share, run.config.epochs, schedule.step_size, schedule.warmup_epochs),
        state,
        0 if state == "finished" else run.config.epochs - done,
        checkpoint_bytes(run.config, len(prepared.source.classes)),
    )


def planned_source(config: Config) -> Source:
    """The data set of a plan: the run's own, or one that stands for it where `plan.images` says that it is not here."""
    return stand_in(config) if config.plan.images else open_source(config.data)


def stand_in(config: Config) -> Source:
    """A data set of `plan.images` images in `plan.classes` classes that is not here: labels without pixels.

    Classes are even; with the images and classes of ImageNet-1K, as large as there.
    """
    plan = config.plan
    assert plan.images is not None
    nothing = np.zeros((0, 1, 1), dtype=np.uint8)
    train, val = (np.arange(n, dtype=np.int64) % plan.classes for n in (plan.images, plan.validation_images))
    if (plan.images, plan.classes) == (imagenet_shape.IMAGES, imagenet_shape.CLASSES):
        train = np.repeat(np.arange(plan.classes, dtype=np.int64), imagenet_shape.imagenet_class_sizes())
    classes = tuple(f"class {c}" for c in range(plan.classes))
    return Source(config.data.source, classes, ArraySplit(nothing, train), ArraySplit(nothing, val), "not here")
