"""Averages the weights over iterations; evaluations use the average."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from datavol.config.recipe import EmaConfig


class MovingAverage(WeightAveraging):  # a checkpoint holds its state under the class's name
    """Keeps an exponential moving average of weights and buffers.

    A checkpoint has it as `state_dict`, and what is trained as `current_model_state`.
    """

    def __init__(self, ema: EmaConfig) -> None:
        assert ema.decay is not None
        # torch's function of many tensors interpolates, so that the constants among the buffers stay what they are
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(ema.decay))
        self.ema = ema

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Copy the network to the device it will be trained on."""
        self._device = trainer.strategy.root_device  # the network itself is moved there after this
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:  # its count is read at each update, for which a GPU would be waited for
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether an iteration, counted from 0, is added."""
        return step_idx is not None and step_idx % self.ema.every == 0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add an iteration; until `start` the average is a copy."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if pl_module.iteration <= self.ema.start * pl_module.budget.iterations_per_epoch:
            assert self._average_model is not None
            self._average_model.n_averaged.zero_()  # torch copies what it adds first
