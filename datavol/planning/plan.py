"""Plans runs: subset, budget, state on disk, size of checkpoints."""

from dataclasses import dataclass

import numpy as np

from datavol.config.run import Config, Run
from datavol.data.budget import ThesisUnits, thesis_units
from datavol.data.prepare import Prepared, prepare
from datavol.data.sources import imagenet_shape
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import Source, open_source
from datavol.planning.network_sizes import checkpoint_bytes
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import state_of
from datavol.runs.trunk import find_trunk

RESUMABLE = ("running", "failed")


@dataclass(frozen=True)
class Plan:
    """Describes a run before it trains."""

    run: Run
    prepared: Prepared
    units: ThesisUnits  # epochs, LR step and warm-up in passes over the subset, as the thesis states them
    state: str  # finished, resumable or missing
    epochs_left: int  # budget epochs still to train
    checkpoint_bytes: int | None  # None for a network whose size is not known without building it


def plan_runs(runs: list[Run]) -> list[Plan]:
    """Plan the runs, opening each data set once and without importing torch."""
    opened: list[tuple[object, Source]] = []  # no dictionary: configurations that hold lists are not hashable
    plans = []
    for run in runs:
        asked = (run.config.data, run.config.plan)
        source = next((source for known, source in opened if known == asked), None)
        if source is None:
            source = planned_source(run.config)
            opened.append((asked, source))
        plans.append(plan_run(run, source))
    return plans


def plan_run(run: Run, source: Source) -> Plan:
    """Plan one run on an open data set."""
    prepared = prepare(run.config, source)
    folder = RunFolder(run.folder)
    known = state_of(folder, run.config)
    done = len(folder.rows) if folder.checkpoint("last").exists() else 0  # rows without a checkpoint train again
    if not done and known != "finished" and run.config.trunk is not None:
        done = find_trunk(run.config).epochs
    state = "finished" if known == "finished" else "resumable" if known in RESUMABLE else "missing"
    schedule = run.config.recipe.schedule
    # with a budget of epochs the schedule is in passes over the subset already
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
    """Open the run's data set, or one of `plan.images` labels without pixels."""
    plan = config.plan
    if not plan.images:
        return open_source(config.data)
    nothing = np.zeros((0, 1, 1), dtype=np.uint8)
    # classes of equal sizes, or with the numbers of ImageNet-1K those that it has
    train, val = (np.arange(n, dtype=np.int64) % plan.classes for n in (plan.images, plan.validation_images))
    if (plan.images, plan.classes) == (imagenet_shape.IMAGES, imagenet_shape.CLASSES):
        train = np.repeat(np.arange(plan.classes, dtype=np.int64), imagenet_shape.imagenet_class_sizes())
    classes = tuple(f"class {c}" for c in range(plan.classes))
    return Source(config.data.source, classes, ArraySplit(nothing, train), ArraySplit(nothing, val), "not here")
