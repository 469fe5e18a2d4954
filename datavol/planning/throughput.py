"""A few seconds of a run: `python -m datavol.planning.throughput <file> run|device|loading` prints how fast it is.

`run` trains and evaluates it as it is; `device` times one device on its share of a batch, and `loading` one core.
Nothing is recorded or kept. It is a process of its own, so that the plan need not import torch.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch.utils.data import DataLoader, Dataset

from datavol.cli.boundary import cli_errors
from datavol.config import Config, Run
from datavol.data.datamodule import SubsetDataModule
from datavol.data.prepare import Prepared, prepare
from datavol.planning.prediction import one_device, with_batch
from datavol.sweep.job import is_first_rank, read_job
from datavol.sweep.processes import die_with_parent
from datavol.training.autotune import resolve_auto
from datavol.training.callbacks.monitoring import Margins, StopOnNonFinite
from datavol.training.memory import keep_freed_memory
from datavol.training.trainer import build_data, build_module, build_trainer, fewer_warnings

WARM_UP_BATCHES = 5
SECONDS = 10.0
DEVICE_SECONDS = 4.0  # of each of two batch sizes
LOADING_SECONDS = 1.5
MOST_BATCHES = 200
BATCHES_OF_RANKS = 30  # several ranks must stop at the same batch, whatever their clocks say


class Clock(Checkpoint):
    """Fixes the threads of this rank, notes when batches end, and stops training after some seconds.

    As a `Checkpoint` it saves nothing in place of the one that Lightning would add.
    """

    def __init__(self, threads: int | str, seconds: float = SECONDS) -> None:
        self.threads, self.seconds = threads, seconds
        self.first, self.ranks = 0.0, 1
        self.train: list[float] = []
        self.val: list[float] = []
        self.val_images = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Fix the threads, as in training."""
        if isinstance(self.threads, int):
            torch.set_num_threads(self.threads)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Note the time."""
        self.train.append(time.perf_counter())
        if len(self.train) == 1:
            self.first = time.time()
        long_enough = len(self.train) > 2 * WARM_UP_BATCHES and self.train[-1] - self.train[0] > self.seconds
        if long_enough and trainer.world_size == 1:
            trainer.should_stop = True

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """Note the time."""
        self.val.append(time.perf_counter())
        self.val_images = max(self.val_images, len(batch.images))


class Again(Dataset[Any]):
    """One batch, over and over."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return MOST_BATCHES

    def __getitem__(self, place: int) -> Any:
        return self.batch


def measure_run(run: Run) -> dict[str, Any]:
    """Train and evaluate for some seconds: images per second of each, all ranks together."""
    prepared = prepare(run.config)
    config = resolve_auto(run, prepared, keep=False)
    clock = Clock(config.trainer.threads)
    _fit(config, prepared, build_data(config, prepared), clock, MOST_BATCHES // 4)
    return {
        "train": _rate(clock.train, WARM_UP_BATCHES) * run.config.recipe.batch_size,
        "val": _rate(clock.val, 1) * clock.val_images * clock.ranks,
        "first_iteration": clock.first,
    }


def measure_device(run: Run) -> dict[str, Any]:
    """Time steps of one device at its share of a batch and a quarter of it, without loading; then loading alone."""
    alone = one_device(resolve_auto(run, prepare(run.config), keep=False))
    share = alone.recipe.batch_size
    smaller = max(2, share // 4)  # batch norm needs two
    clocks = {size: _time_steps(with_batch(alone, size)) for size in sorted({min(smaller, share), share})}
    steps = [(size, 1 / _rate(clock.train, WARM_UP_BATCHES)) for size, clock in clocks.items()]
    return {"steps": steps, "first_iteration": min(clock.first for clock in clocks.values()), **measure_loading(run)}


def measure_loading(run: Run) -> dict[str, Any]:
    """Time how many images per second one core loads, the second time around: the disk is another matter."""
    prepared = prepare(run.config)
    data = build_data(resolve_auto(run, prepared, keep=False), prepared)
    data.workers = 0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loading process
    loader, began = data.train_dataloader(), time.perf_counter()
    batches = sum(1 for _ in itertools.takewhile(lambda _: time.perf_counter() - began < LOADING_SECONDS, loader))
    began = time.perf_counter()
    images = sum(len(batch.images) for batch in itertools.islice(data.train_dataloader(), max(1, batches)))
    torch.set_num_threads(threads)
    return {"decode_per_core": images / (time.perf_counter() - began)}


def _time_steps(config: Config) -> Clock:
    """Train on one batch over and over, with a learning rate of 0 so that nothing diverges."""
    still = config.recipe.optimiser.model_copy(update={"lr": 0.0})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"optimiser": still})})
    prepared = prepare(config)
    data, clock = build_data(config, prepared), Clock(config.trainer.threads, DEVICE_SECONDS)
    batch = next(iter(data.train_dataloader()))
    again: DataLoader[Any] = DataLoader(Again(batch), batch_size=None, collate_fn=lambda one: one)
    data.train_dataloader = lambda: again  # type: ignore[method-assign]
    _fit(config, prepared, data, clock, 0)
    return clock


def _fit(config: Config, prepared: Prepared, data: SubsetDataModule, clock: Clock, evaluated: int) -> None:
    """Train until the clock says stop, then evaluate so many batches."""
    watching = [Margins(), StopOnNonFinite(config.check_every), clock]
    trainer = build_trainer(config.trainer, watching, max_epochs=1)
    clock.ranks = trainer.world_size
    trainer.limit_train_batches = MOST_BATCHES if trainer.world_size == 1 else BATCHES_OF_RANKS
    trainer.limit_val_batches = evaluated
    module = build_module(config, prepared)
    with fewer_warnings():
        trainer.fit(module, data)


def _rate(times: list[float], skip: int) -> float:
    """Batches per second after the first `skip`."""
    kept = times[max(0, min(skip, len(times) - 2)) :]
    return (len(kept) - 1) / (kept[-1] - kept[0]) if len(kept) > 1 else math.inf


@cli_errors
def main() -> None:
    """Print the figures of the run of the file as JSON."""
    die_with_parent()
    keep_freed_memory()
    measure = {"run": measure_run, "device": measure_device, "loading": measure_loading}[sys.argv[2]]
    found = measure(read_job(Path(sys.argv[1])))
    if is_first_rank():
        print(json.dumps(found))


if __name__ == "__main__":
    main()
