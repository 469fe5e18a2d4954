"""Saves a run's metrics row, checkpoint and record once per budget epoch."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from datavol.config.trainer import CheckpointConfig
from datavol.errors import RunError, RunPreempted
from datavol.runs.files import put_in_place
from datavol.runs.folder import TRUNK, TRUNK_BEST, WITHIN, RunFolder, best_of
from datavol.runs.rows import Row, digest_of
from datavol.runs.trunk import Trunk
from datavol.training.callbacks.signals import Signals


class RunWriter(Checkpoint):
    """Writes the run folder.

    As a `Checkpoint` it comes after all other callbacks at the end of a budget epoch. The row is written before the
    checkpoint: a run that dies in between resumes from the checkpoint before, drops the row and measures it again; the
    other way round it would be lost.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: CheckpointConfig,
        check_every: int,
        rows: list[Row],
        signals: Signals,
        send: Callable[[Row], None],
        trunk: int | None = None,
    ) -> None:
        self.trunk = trunk  # budget epoch at whose end the checkpoint is also kept for longer runs
        self.folder, self.settings, self.check_every, self.rows = folder, settings, check_every, rows
        self.signals, self.send = signals, send
        self.lr = float("nan")
        self.saved = time.monotonic()

    def state_dict(self) -> dict[str, str]:
        """Save whose checkpoint it is, and what had been measured."""
        return {"hash": self.folder.record.get("hash", ""), "digest": digest_of(self.rows)}

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note the learning rate of this iteration."""
        # of the layers that learn fastest, where they differ; at the end of the budget epoch it is the next one's
        self.lr = max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save inside a budget epoch, every `every_minutes` or when SLURM has warned."""
        if trainer.is_last_batch or not pl_module.stepped(batch_idx) or pl_module.iteration % self.check_every:
            return
        minutes = self.settings.every_minutes
        due = minutes > 0 and time.monotonic() - self.saved >= 60 * minutes
        # Clocks and signals differ between ranks, and saving is a collective: rank 0 decides for all. The broadcast
        # makes ranks wait for each other, hence only every `check_every` iterations.
        due, warned = trainer.strategy.broadcast((due, self.signals.warned))
        if due or warned:
            self._save(trainer, WITHIN)
        if warned:
            self._stop(pl_module.iteration)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Save the row, checkpoint and record of a budget epoch."""
        iteration = pl_module.iteration
        row: Row = {"budget_epoch": trainer.current_epoch + 1, "iteration": iteration}
        row |= {"images_seen": iteration * pl_module.budget.batch_size, "lr": self.lr}
        logged = {
            name: float(value) for name, value in trainer.callback_metrics.items()
        }  # by `log` of a user's callback
        row |= dict(sorted({**logged, **pl_module.measured}.items()))
        self.rows.append(row)
        if trainer.is_global_zero:
            self.folder.write_rows(self.rows)
        self._save(trainer, "last")
        if trainer.is_global_zero:
            self.folder.checkpoint(WITHIN).unlink(missing_ok=True)  # only now: `last` has overtaken it
            self.catch_up()
            self.send(row)
        more = trainer.current_epoch + 1 < pl_module.budget.epochs
        if trainer.strategy.broadcast(self.signals.warned) and more:
            self._stop(pl_module.iteration)

    def _stop(self, iteration: int) -> None:
        raise RunPreempted(
            f"warned by SLURM that its time is nearly up; saved at iteration {iteration} and queued again"
        )

    def catch_up(self) -> None:
        """Copy the last checkpoint and record the last row."""
        if not self.rows:  # called on a resume as well: the run may have died between saving `last` and this
            return
        last, best = self.rows[-1], best_of(self.rows)
        if best is last:
            self.copy_last("best")
        if self.settings.keep == "all":
            self.copy_last(f"budget_epoch_{int(last['budget_epoch']):04d}")
        if last["budget_epoch"] == self.trunk:
            if best is not last and (kept := self.folder.checkpoint("best")).exists():
                keep_copy(kept, self.folder.checkpoint(TRUNK_BEST))
            self.copy_last(TRUNK)
        seconds = {split: sum(row[f"seconds/{split}"] for row in self.rows) for split in ("train", "val")}
        self.folder.update(last=last, best=best, seconds=seconds)

    def copy_last(self, name: str) -> None:
        """Copy the last checkpoint under another name."""
        keep_copy(self.folder.checkpoint("last"), self.folder.checkpoint(name))

    def _save(self, trainer: L.Trainer, name: str) -> None:
        self.folder.check_there()  # a folder that was removed is not made anew, in part
        target = self.folder.checkpoint(name)
        with _written_whole(target) as unfinished:
            trainer.save_checkpoint(unfinished)  # a collective: all ranks gather their state, rank 0 writes, all wait
            if trainer.is_global_zero:
                put_in_place(unfinished, target)
        self.saved = time.monotonic()


def keep_copy(source: Path, target: Path) -> None:
    """Copy a checkpoint, by a hard link where there are such."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(exist_ok=True)  # of a run that begins with another one's
    with _written_whole(target) as unfinished:
        unfinished.unlink(missing_ok=True)  # of a run that died here
        # A hard link takes neither time nor room, and is as safe as a copy: checkpoints are replaced by renaming and
        # never written into, so `best` keeps its content when `last` becomes another file.
        try:
            os.link(source, unfinished)
        except OSError:  # a file system without hard links, or another one
            shutil.copyfile(source, unfinished)
        put_in_place(unfinished, target)


def take_over(trunk: Trunk, folder: RunFolder) -> None:
    """Make a trunk's checkpoints a run's own; its last one comes last, as it says that all is there."""
    if trunk.best is not None:
        keep_copy(trunk.best, folder.checkpoint("best"))
    keep_copy(trunk.checkpoint, folder.checkpoint("last"))


@contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary name; a full disk leaves no partial file."""
    unfinished = target.with_name(f".{target.name}.tmp")
    try:
        yield unfinished
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RunError(
            f"{target} could not be written: {error.strerror}; what was kept before stays, and the same command goes "
            "on once there is room"
        ) from error
