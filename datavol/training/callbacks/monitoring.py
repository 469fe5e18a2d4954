"""Lightning callbacks that measure, watch and show a run while it trains."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.environments import SLURMEnvironment
from torch import Tensor
from tqdm import tqdm

from datavol.cli.console import say
from datavol.errors import RunError
from datavol.runs.folder import RunFolder
from datavol.runs.provenance import cores
from datavol.training.metrics import CalibrationError, ConfidenceMargin, TopPredictions
from datavol.training.module import EVALUATED, Classifier


class Margins(Callback):  # a checkpoint holds its state under the class's name
    """Measures confidence margins and calibration error once per budget epoch."""

    def __init__(self) -> None:
        self.metrics = {prefix: (ConfidenceMargin(), CalibrationError()) for prefix in ("train/", *EVALUATED)}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Move the sums to the device of the predictions."""
        self.is_global_zero = trainer.is_global_zero
        for pair in self.metrics.values():
            for metric in pair:
                metric.to(trainer.strategy.root_device)

    def state_dict(self) -> dict[str, Any]:
        """Save the sums of the budget epoch in progress."""
        return {"train": [metric.over_ranks() for metric in self.metrics["train/"]]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the sums of the budget epoch in progress."""
        for metric, totals in zip(self.metrics["train/"], state_dict["train"], strict=True):
            metric.restore(totals, self.is_global_zero)

    def _update(self, prefix: str, predictions: TopPredictions | None) -> None:
        if predictions is not None:
            for metric in self.metrics[prefix]:
                metric.update(predictions)

    def _report(self, prefix: str, module: Classifier) -> None:
        for metric in self.metrics[prefix]:
            module.report(prefix, metric)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add a training batch."""
        self._update("train/", outputs["predictions"])

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add an evaluation batch."""
        self._update(EVALUATED[dataloader_idx], outputs["predictions"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Report the budget epoch."""
        self._report("train/", pl_module)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Report the evaluation."""
        for prefix in pl_module.evaluated:
            self._report(prefix, pl_module)


def set_threads(threads: int | str, ranks: int) -> None:
    """Set torch's CPU threads in a rank of this machine's `ranks`."""
    if threads == "auto":
        shared = 1 if SLURMEnvironment.detect() else ranks  # srun gives each rank cores of its own
        # torch knows nothing of a container's quota; Lightning and the user's OMP_NUM_THREADS may have set fewer
        threads = max(1, min(torch.get_num_threads(), cores() // shared))
    torch.set_num_threads(int(threads))


class Threads(Callback):
    """Sets the CPU threads of each rank, and records them.

    `auto` is torch's own number within the cores that are allowed, whether they are busy or not: the number of threads
    shows in the last digits of results. A resumed run is given that of its first session.
    """

    def __init__(self, threads: int | str, folder: RunFolder) -> None:
        self.threads, self.folder = threads, folder

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Set and record the threads."""
        # here and not earlier: Lightning divides the cores among the ranks as it starts them
        set_threads(self.threads, trainer.num_devices)
        if trainer.is_global_zero:
            self.folder.update(threads=torch.get_num_threads())


class StepLoss(Callback):
    """Sends rank 0's training loss of every n-th iteration."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.send: Callable[..., None] | None = None  # where to, on rank 0 alone
        self.sent = -1

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Send a point; reading the loss waits for the device."""
        iteration = pl_module.iteration
        if self.send is None or iteration % self.every or iteration == self.sent:  # which accumulation stands at
            return
        self.sent = iteration
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # by which Lightning has divided it
        point = {"iteration": iteration, "epoch": trainer.current_epoch, "train/loss_step": loss}
        self.send(point, ends_epoch=trainer.is_last_batch)


class StopOnNonFinite(Callback):
    """Stops a run whose loss is no longer finite.

    The check comes every `check_every` iterations and at the end of a budget epoch, before anything of it is saved.
    """

    NEVER = torch.iinfo(torch.int64).max

    def __init__(self, check_every: int) -> None:
        self.check_every = check_every
        self.first: Tensor | None = None  # int64 scalar on the device: the first iteration without a finite loss

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note a non-finite loss, and check from time to time."""
        loss = outputs["loss"]
        if self.first is None:
            self.first = torch.full((), self.NEVER, dtype=torch.int64, device=loss.device)
        # `if not loss.isfinite()` would copy a flag to the host, which has to wait until the GPU has finished this
        # iteration before it can queue the next. Tensor operations only join the queue.
        now = self.first.new_full((), pl_module.iteration + (not pl_module.stepped(batch_idx)))
        self.first = torch.where(torch.isfinite(loss), self.first, torch.minimum(self.first, now))
        if pl_module.iteration % self.check_every == 0 or trainer.is_last_batch:
            self._check(self.first)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Stop if the evaluation is not finite.

        After the last step no training loss is left to show it.
        """
        loss = pl_module.measured["val/loss"]  # over all ranks
        if not math.isfinite(loss) and pl_module.measured["val/images"] > 0:
            raise RunError(
                f"the evaluation after iteration {pl_module.iteration} was not finite (val/loss {loss}); what was "
                "measured before is kept; try a smaller recipe.optimiser.lr or trainer.precision=32"
            )

    def _check(self, first: Tensor) -> None:
        if torch.distributed.is_initialized():  # a rank alone must not stop: the others would wait for its gradients
            torch.distributed.all_reduce(first, torch.distributed.ReduceOp.MIN)
        if int(first) != self.NEVER:  # the one read, for which the host waits
            raise RunError(
                f"the loss was not finite at iteration {int(first)}; what was measured before is kept; "
                "try a smaller recipe.optimiser.lr or trainer.precision=32"
            )


class Timing(Callback):  # a checkpoint holds its state under the class's name
    """Measures seconds and training images per second of each budget epoch."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.evaluating = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Save the seconds of the budget epoch in progress."""
        return {"trained": time.perf_counter() - self.started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the seconds of the budget epoch in progress."""
        # as if it had started that long ago; a run resumed between budget epochs sets the clock again below
        self.started = time.perf_counter() - state_dict["trained"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of training."""
        self.started = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of evaluation."""
        self.evaluating = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Write seconds and images per second to `measured`."""
        now = time.perf_counter()
        trained = self.evaluating - self.started
        images = pl_module.budget.iterations_per_epoch * pl_module.budget.batch_size
        pl_module.measured |= {
            "seconds/train": trained,
            "seconds/val": now - self.evaluating,
            "images_per_second": images / trained if trained > 0 else float("nan"),
        }


class Progress(Callback):
    """Shows a progress bar, or a line per budget epoch without terminal."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: tqdm[Any] | None = None
        self.began: tuple[float, int] = (0.0, 0)  # time and iteration at which this session began

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Open the bar, on rank 0 alone."""
        self.began = (time.perf_counter(), pl_module.iteration)
        if trainer.is_global_zero and sys.stderr.isatty():
            total, done = pl_module.budget.iterations, pl_module.iteration
            self.bar = tqdm(total=total, initial=done, desc=self.title, unit="it", dynamic_ncols=True)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self.bar is not None and pl_module.stepped(batch_idx):
            self.bar.update(1)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Show the budget epoch's result."""
        if not trainer.is_global_zero:
            return
        epoch, epochs = trainer.current_epoch + 1, pl_module.budget.epochs
        where = f"budget epoch {epoch}/{epochs}, top-1 {100 * pl_module.measured['val/top1']:.1f} %"
        counted, listed = int(pl_module.measured["val/images"]), len(pl_module.trainer.val_dataloaders[0].dataset)
        where += f" of {counted:,} of {listed:,} validation images" if counted < listed else ""
        if self.bar is not None:
            self.bar.set_description(f"{self.title}: {where}")
        else:
            say(f"{self.title}: {where}, {self._left(pl_module)} left")

    def _left(self, module: Classifier) -> str:
        seconds, first = self.began
        per_iteration = (time.perf_counter() - seconds) / max(1, module.iteration - first)
        return tqdm.format_interval(per_iteration * (module.budget.iterations - module.iteration))

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar."""
        self.on_train_end()
