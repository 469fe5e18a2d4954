"""Keeps what a run measured: its row, its checkpoint, its record, its W&B curve, once per budget epoch."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from datavol.config import CheckpointConfig
from datavol.errors import RunError, RunPreempted
from datavol.runs.files import put_in_place
from datavol.runs.folder import WITHIN, Row, RunFolder, best_of  # FIX
from datavol.training.callbacks.signals import Signals


class RunWriter(Checkpoint):
    """Writes the run folder. As a `Checkpoint` it comes after all other callbacks at the end of a budget epoch.

    The row is written before the checkpoint: a run that dies in between resumes from the checkpoint before, drops the
    row and measures it again; the other way round it would be lost.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: CheckpointConfig,
        check_every: int,
        rows: list[Row],
        signals: Signals,
        send: Callable[[Row], None],
    ) -> None:
        self.folder, self.settings, self.check_every, self.rows = folder, settings, check_every, rows
        self.signals, self.send = signals, send
        self.lr = float("nan")
        self.saved = time.monotonic()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note the learning rate: at the end of the budget epoch the schedule has moved on."""
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save inside a budget epoch, if `every_minutes` have gone by or SLURM has warned; rank 0 decides for all."""
        if trainer.is_last_batch or pl_module.iteration % self.check_every:
            return
        minutes = self.settings.every_minutes
        due = minutes > 0 and time.monotonic() - self.saved >= 60 * minutes
        due, warned = trainer.strategy.broadcast((due, self.signals.warned))
        if due or warned:
            self._save(trainer, WITHIN)
        if warned:
            self._stop(pl_module.iteration)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Keep the budget epoch."""
        row = self._row(trainer, pl_module)
        self.rows.append(row)
        if trainer.is_global_zero:
            self.folder.write_rows(self.rows)
        self._save(trainer, "last")
        if trainer.is_global_zero:
            self.folder.checkpoint(WITHIN).unlink(missing_ok=True)
            self._copy_last(trainer.current_epoch + 1)
            self._record()
            self.send(row)
        more = trainer.current_epoch + 1 < pl_module.budget.epochs
        if trainer.strategy.broadcast(self.signals.warned) and more:
            self._stop(pl_module.iteration)

    def _stop(self, iteration: int) -> None:
        raise RunPreempted(
            f"warned by SLURM that its time is nearly up; saved at iteration {iteration} and queued again"
        )

    def catch_up(self) -> None:
        """Do what a run that goes on may have died before doing: `best`, and the record of its last row."""
        if self.rows:
            self._copy_last(int(self.rows[-1]["budget_epoch"]))
            self._record()

    def _record(self) -> None:
        self.folder.update(last=self.rows[-1], best=best_of(self.rows), seconds=self._seconds())

    def _row(self, trainer: L.Trainer, module: Any) -> Row:
        iteration = module.iteration
        place = {"budget_epoch": trainer.current_epoch + 1, "iteration": iteration}
        place |= {"images_seen": iteration * module.budget.batch_size, "lr": self.lr}
        return place | dict(sorted(module.measured.items()))

    def _seconds(self) -> dict[str, float]:
        return {split: sum(row[f"seconds/{split}"] for row in self.rows) for split in ("train", "val")}

    def _save(self, trainer: L.Trainer, name: str) -> None:
        target = self.folder.checkpoint(name)
        with _written_whole(target) as unfinished:
            trainer.save_checkpoint(unfinished)  # on all ranks: it gathers, rank 0 writes, all wait
            if trainer.is_global_zero:
                put_in_place(unfinished, target)
        self.saved = time.monotonic()

    def _copy_last(self, epoch: int) -> None:
        if best_of(self.rows) is self.rows[-1]:
            self._copy("best")
        if self.settings.keep == "all":
            self._copy(f"budget_epoch_{epoch:04d}")

    def _copy(self, name: str) -> None:
        last, target = self.folder.checkpoint("last"), self.folder.checkpoint(name)
        if target.exists() and target.samefile(last):
            return
        with _written_whole(target) as unfinished:
            _duplicate(last, unfinished)
            put_in_place(unfinished, target)


def _duplicate(checkpoint: Path, other: Path) -> None:
    """Give a checkpoint, which nothing ever writes into, a second name: it takes neither time nor room."""
    other.unlink(missing_ok=True)
    try:
        os.link(checkpoint, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(checkpoint, other)


@contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """A temporary name to write to; a full disk is told in one line and leaves nothing half written."""
    unfinished = target.with_name(f".{target.name}.tmp")
    try:
        yield unfinished
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RunError(
            f"{target} could not be written: {error.strerror}; what was kept before stays, and the same command goes "
            "on once there is room"
        ) from error
