"""A metric and a callback of one's own.

`+metrics.worst._target_=my_measures.WorstClass +callbacks.weights._target_=my_measures.WeightNorm`
"""

import lightning as L
import torch
from torch import Tensor
from torchmetrics import Metric


class WorstClass(Metric):
    """Measures the accuracy of the class that is recognised least."""

    hits: Tensor
    images: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("hits", "images"):  # summed over ranks before `compute`
            self.add_state(name, torch.zeros(num_classes), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of logits (B, classes) and labels (B,)."""
        right = (logits.argmax(dim=1) == labels).float()
        self.hits.index_add_(0, labels, right)
        self.images.index_add_(0, labels, torch.ones_like(right))

    def compute(self) -> Tensor:
        """Compute the lowest accuracy, over all ranks."""
        return (self.hits / self.images)[self.images > 0].min()


class WeightNorm(L.Callback):
    """Records the length of the vector of all weights, once per evaluation."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log it, which makes it a column of metrics.csv."""
        weights = torch.cat([weight.detach().flatten() for weight in pl_module.parameters()])
        pl_module.log("val/weight_norm", weights.norm())
