"""Handles signals while a run trains."""

import os
import signal
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import Callback

EARLY_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


class Signals(Callback):
    """Ends a run on SIGTERM, and notes SLURM's warnings for `RunWriter`."""

    def __init__(self) -> None:
        self.ended_by: int | None = None  # the signal that ended the run
        self.warned = False  # SLURM has sent USR1 or USR2, ahead of a time limit or a pre-emption

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace Lightning's signal handlers, which are set just before this."""
        # Lightning's SIGTERM handler broadcasts to the other ranks from inside the handler. They may be waiting for
        # this rank in another collective (an all-reduce of gradients), and then neither ends: a deadlock. Here a rank
        # ends as on Ctrl-C: SLURM signals every rank, and ranks that rank 0 has started are killed by Lightning.
        signal.signal(signal.SIGTERM, self._end)
        if trainer.received_sigterm:  # it came to Lightning's handler
            self._end(signal.SIGTERM, None)
        if "SLURM_JOB_ID" in os.environ:
            for number in EARLY_WARNINGS:
                signal.signal(number, self._warn)

    def _end(self, number: int, frame: FrameType | None) -> None:
        # `timeout` signals this process and then its whole group; the second must not end what the first has begun
        signal.signal(number, signal.SIG_IGN)
        self.ended_by = number
        raise KeyboardInterrupt

    def _warn(self, number: int, frame: FrameType | None) -> None:
        self.warned = True  # a signal may come in the middle of a step, where nothing consistent could be saved
