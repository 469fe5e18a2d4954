"""What each run of a sweep would do and cost: arithmetic, its state on disk, and measured speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datavol.config import Config, ModelConfig, Run
from datavol.data.budget import ThesisUnits, thesis_units
from datavol.data.prepare import Prepared, prepare
from datavol.data.sources import imagenet_shape
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import Source, open_source
from datavol.runs.folder import RunFolder

if TYPE_CHECKING:
    from datavol.planning.prediction import Scaling

PARAMETERS = {"mobilenet_v2": (2_223_872, 1281), "resnet50": (23_508_032, 2049)}
"""Parameters of the networks of torchvision: without a last layer, and of it per class."""

RESUMABLE = ("running", "failed")


@dataclass(frozen=True)
class Speed:
    """How fast one run trains on its devices.

    Attributes:
        train: Training images per second, or None where nobody knows.
        val: Evaluated images per second.
        start_seconds: From the command to the first iteration.
        scaling: Where the speed is predicted from that of one device: the prediction.
    """

    train: float | None
    val: float | None = None
    start_seconds: float = 0.0
    scaling: Scaling | None = None


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

    def seconds(self, speed: Speed) -> float | None:
        """How long the run still takes, or None where the speed is not known."""
        if self.epochs_left == 0:
            return 0.0
        if speed.train is None:
            return None
        budget = self.prepared.budget
        train = budget.iterations_per_epoch * budget.batch_size / speed.train
        images = len(self.prepared.source.val.labels) if speed.val else 0
        return speed.start_seconds + self.epochs_left * (train + images / (speed.val or 1.0))


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
        _checkpoint_bytes(run.config, len(prepared.source.classes)),
    )


def parameters(model: ModelConfig, classes: int) -> int | None:
    """The parameters of a network of torchvision; None for another, which would have to be built to be counted."""
    if model.name not in PARAMETERS:
        return None
    body, per_class = PARAMETERS[model.name]
    return body + per_class * classes


def _checkpoint_bytes(config: Config, classes: int) -> int | None:
    """Weights and the optimiser's moments in single precision, of every checkpoint that is kept."""
    weights = parameters(config.model, classes)
    if weights is None:
        return None
    moments = {"sgd": 1 if config.recipe.optimiser.momentum else 0, "adamw": 2}[config.recipe.optimiser.name]
    kept = 2 + (config.epochs if config.checkpoint.keep == "all" else 0)
    return weights * 4 * (1 + moments) * kept


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


def wall_seconds(plans: list[Plan], speeds: list[Speed], places: int) -> float | None:
    """How long the sweep takes with `places` runs at once, started in order as places fall free."""
    free = [0.0] * places
    for plan, speed in zip(plans, speeds, strict=True):
        seconds = plan.seconds(speed)
        if seconds is None:
            return None
        free.sort()
        free[0] += seconds
    return max(free)


def existing(place: Path) -> Path:
    """The nearest folder above `place` that exists."""
    return next(folder for folder in [place, *place.absolute().parents] if folder.is_dir())
