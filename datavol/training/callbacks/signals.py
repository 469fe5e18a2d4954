"""How a run takes signals while it trains."""

from __future__ import annotations

import os
import signal
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import Callback

EARLY_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


class Signals(Callback):
    """SIGTERM ends a run as Ctrl-C does; SLURM's early warning is noted, for `RunWriter` to save at its next look.

    Set once training starts, when Lightning has set its own handlers: on SIGTERM that one waits for the other ranks
    inside the handler, where they may be waiting for this one in another collective.

    Attributes:
        ended_by: The signal that ended the run, or None.
        warned: Whether SLURM has sent USR1 or USR2 ahead of a time limit or a pre-emption.
    """

    def __init__(self) -> None:
        self.ended_by: int | None = None
        self.warned = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen."""
        signal.signal(signal.SIGTERM, self._end)
        if "SLURM_JOB_ID" in os.environ:
            for number in EARLY_WARNINGS:
                signal.signal(number, self._warn)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended_by = number
        raise KeyboardInterrupt

    def _warn(self, number: int, frame: FrameType | None) -> None:
        self.warned = True
