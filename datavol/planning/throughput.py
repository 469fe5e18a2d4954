"""Times a few seconds of a run: `python -m datavol.planning.throughput <file> run|device|loading`.

`run` trains and evaluates the run as it is; `device` times one device on its share of a batch, and `loading` one core.
Nothing is recorded or saved. It is a process of its own, so that the plan need not import torch.
"""

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
from torch.utils.data import DataLoader

from datavol.cli.boundary import cli_errors
from datavol.cli.lifeline import die_with_parent
from datavol.config.run import Config, Run
from datavol.data.datamodule import SubsetDataModule
from datavol.data.prepare import Prepared, prepare
from datavol.planning.prediction import one_device, with_batch
from datavol.sweep.job import is_first_rank, read_job
from datavol.training.callbacks.monitoring import Margins, StopOnNonFinite, set_threads
from datavol.training.hardware.autotune import resolve_auto
from datavol.training.hardware.memory import keep_freed_memory
from datavol.training.hardware.spinning import BriefSpinning
from datavol.training.trainer import build_data, build_module, build_trainer, fewer_warnings, step_options

WARM_UP_BATCHES = 5
SECONDS = 10.0
DEVICE_SECONDS = 4.0  # of each of two batch sizes
LOADING_SECONDS = 1.5
MOST_BATCHES = 200
BATCHES_OF_RANKS = 30  # several ranks must stop at the same batch, whatever their clocks say


class Clock(Checkpoint):
    """Notes when batches end, and stops training after some seconds.

    It is a `Checkpoint`, which saves nothing, so that Lightning does not add one of its own.
    """

    def __init__(self, threads: int | str, seconds: float = SECONDS) -> None:
        self.threads, self.seconds = threads, seconds
        self.first, self.ranks = 0.0, 1  # wall-clock time of the first iteration's end
        self.train: list[float] = []  # times at which batches ended
        self.val: list[float] = []
        self.val_images = 0  # of a full batch

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Set the CPU threads, as in training."""
        set_threads(self.threads, trainer.num_devices)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Note the time of a training batch."""
        self.train.append(time.perf_counter())
        if len(self.train) == 1:
            self.first = time.time()
        long_enough = len(self.train) > 2 * WARM_UP_BATCHES and self.train[-1] - self.train[0] > self.seconds
        if long_enough and trainer.world_size == 1:
            trainer.should_stop = True

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """Note the time of an evaluation batch."""
        self.val.append(time.perf_counter())
        self.val_images = max(self.val_images, len(batch.images))


def measure_run(run: Run) -> dict[str, Any]:
    """Time training and evaluation in images per second of all ranks."""
    prepared = prepare(run.config)
    config = resolve_auto(run, prepared, write=False)
    clock = Clock(config.trainer.threads)
    _fit(config, prepared, build_data(config, prepared), clock, MOST_BATCHES // 4)
    return {
        "train": _rate(clock.train, WARM_UP_BATCHES) * config.recipe.batch_size / config.recipe.accumulate,
        "val": _rate(clock.val, 1) * clock.val_images * clock.ranks,
        "first_iteration": clock.first,
    }


def measure_device(run: Run) -> dict[str, Any]:
    """Time one device's steps at two batch sizes, then loading."""
    alone = one_device(resolve_auto(run, prepare(run.config), write=False))
    share = alone.recipe.batch_size  # and a quarter of it, which separates a step's fixed part from that per image
    smaller = max(2, share // 4)  # batch norm needs two
    clocks = {size: _time_steps(with_batch(alone, size)) for size in sorted({min(smaller, share), share})}
    steps = [(size, 1 / _rate(clock.train, WARM_UP_BATCHES)) for size, clock in clocks.items()]
    return {"steps": steps, "first_iteration": min(clock.first for clock in clocks.values()), **measure_loading(run)}


def measure_loading(run: Run) -> dict[str, Any]:
    """Time how many images per second one core loads."""
    prepared = prepare(run.config)
    data = build_data(resolve_auto(run, prepared, write=False), prepared)
    data.workers = 0  # in this process
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loading process
    # as many batches as fit into some seconds, which reads their files from the disk; then the same ones again from the
    # system's cache, so that decoding alone is timed
    loader, began = data.train_dataloader(), time.perf_counter()
    batches = sum(1 for _ in itertools.takewhile(lambda _: time.perf_counter() - began < LOADING_SECONDS, loader))
    began = time.perf_counter()
    images = sum(len(batch.labels) for batch in itertools.islice(data.train_dataloader(), max(1, batches)))
    torch.set_num_threads(threads)
    return {"decode_per_core": images / (time.perf_counter() - began)}


def _time_steps(config: Config) -> Clock:
    """Time training on one batch over and over, without loading."""
    still = config.recipe.optimiser.model_copy(update={"lr": 0.0})  # nothing diverges
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"optimiser": still})})
    prepared = prepare(config)
    data, clock = build_data(config, prepared), Clock(config.trainer.threads, DEVICE_SECONDS)
    batches = [next(iter(data.train_dataloader()))] * MOST_BATCHES  # references to one batch
    loader: DataLoader[Any] = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type]
    data.train_dataloader = lambda: loader  # type: ignore[method-assign]
    _fit(config, prepared, data, clock, 0)
    return clock


def _fit(config: Config, prepared: Prepared, data: SubsetDataModule, clock: Clock, val_batches: int) -> None:
    """Train until the clock stops training, then evaluate."""
    watching = [Margins(), StopOnNonFinite(config.check_every), clock]  # with the costs of a real run's callbacks
    trainer = build_trainer(config.trainer, watching, max_epochs=1, **step_options(config.recipe))
    clock.ranks = trainer.world_size
    trainer.limit_train_batches = MOST_BATCHES if trainer.world_size == 1 else BATCHES_OF_RANKS
    trainer.limit_val_batches = val_batches
    module = build_module(config, prepared)
    with fewer_warnings(), BriefSpinning():
        trainer.fit(module, data)


def _rate(times: list[float], skip: int) -> float:
    """Compute batches per second after the first `skip`, which warm up."""
    kept = times[max(0, min(skip, len(times) - 2)) :]  # at least two times, if there are two
    return (len(kept) - 1) / (kept[-1] - kept[0]) if len(kept) > 1 else math.inf


@cli_errors
def main() -> None:
    """Print a run's figures as JSON."""
    die_with_parent()
    keep_freed_memory()
    measure = {"run": measure_run, "device": measure_device, "loading": measure_loading}[sys.argv[2]]
    figures = measure(read_job(Path(sys.argv[1])))
    if is_first_rank():
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
