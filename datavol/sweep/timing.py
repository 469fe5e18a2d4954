"""A few seconds of a run's real training and evaluation: `python -m datavol.sweep.timing <file>` prints its speed.

Nothing is recorded or kept. It is a process of its own, so that the plan need not import torch.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from datavol.command import one_line
from datavol.config import Run
from datavol.data.preparation import prepare
from datavol.sweep.job import is_first_rank, read_job
from datavol.sweep.processes import die_with_parent
from datavol.training.callbacks import Margins, StopOnNonFinite
from datavol.training.settling import settle
from datavol.training.trainer import build_data, build_module, build_trainer, fewer_warnings

WARM_UP_BATCHES = 5
SECONDS = 10.0
MOST_BATCHES = 200
BATCHES_OF_RANKS = 30  # several ranks must stop at the same batch, whatever their clocks say


class Clock(Callback):
    """Notes when batches end, and stops training after `SECONDS`."""

    def __init__(self) -> None:
        self.first = 0.0
        self.train: list[float] = []
        self.val: list[float] = []
        self.val_images = 0

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Note the time."""
        self.train.append(time.perf_counter())
        if len(self.train) == 1:
            self.first = time.time()
        long_enough = len(self.train) > 2 * WARM_UP_BATCHES and self.train[-1] - self.train[0] > SECONDS
        if long_enough and trainer.world_size == 1:
            trainer.should_stop = True

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """Note the time."""
        self.val.append(time.perf_counter())
        self.val_images = max(self.val_images, len(batch.images))


def measure(run: Run) -> dict[str, float]:
    """Train and evaluate for some seconds: images per second of each, all ranks together."""
    prepared = prepare(run.config)
    config = settle(run, prepared, keep=False)
    clock = Clock()
    watching = [Margins(), StopOnNonFinite(run.config.check_every), clock]
    trainer = build_trainer(config.trainer, watching, max_epochs=1)
    trainer.limit_train_batches = MOST_BATCHES if trainer.world_size == 1 else BATCHES_OF_RANKS
    trainer.limit_val_batches = MOST_BATCHES // 4
    module = build_module(config, prepared)
    with fewer_warnings():
        trainer.fit(module, build_data(config, prepared))
    return {
        "train": _rate(clock.train, WARM_UP_BATCHES) * run.config.recipe.batch_size,
        "val": _rate(clock.val, 1) * clock.val_images * trainer.world_size,
        "first_iteration": clock.first,
    }


def _rate(times: list[float], skip: int) -> float:
    """Batches per second after the first `skip`."""
    kept = times[max(0, min(skip, len(times) - 2)) :]
    return (len(kept) - 1) / (kept[-1] - kept[0]) if len(kept) > 1 else math.inf


@one_line
def main() -> None:
    """Print the speed of the run of the file as JSON."""
    die_with_parent()
    found = measure(read_job(Path(sys.argv[1])))
    if is_first_rank():
        print(json.dumps(found))


if __name__ == "__main__":
    main()
