"""Measures top-k accuracy, loss, confidence margin and calibration.

All come from one `topk` per batch, as sums and counts: exact under DDP, constant in memory. Real numbers are summed in
double precision, so that results do not depend on the number of ranks.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

TOP = 5
CALIBRATION_BINS = 15

BUILT_IN = ("images", "loss", "top1", "top5", "margin_correct", "margin_incorrect", "calibration_error")
"""Names of what every evaluation measures."""


class TopPredictions(NamedTuple):
    """Holds the part of a batch's logits that the metrics need."""

    top_logits: Tensor  # the largest logits in descending order, (B, min(5, classes)), single precision or better
    top_classes: Tensor  # their classes, the same shape
    confidence: Tensor  # the largest softmax output, (B,)
    targets: Tensor  # true classes, (B,)

    @property
    def correct(self) -> Tensor:
        """Flag top-1 hits, (B,) bool."""
        return self.top_classes[:, 0] == self.targets


def top_predictions(logits: Tensor, targets: Tensor) -> TopPredictions:
    """Reduce logits (B, classes) to what the metrics need.

    Targets are classes (B,) or label shares (B, classes); of the latter the largest share counts, as in the thesis's
    reference code.
    """
    logits = logits.detach()
    if logits.dtype != torch.float64:
        logits = logits.float()  # half precision would move margins by 1e-3 and make ties
    top_logits, top_classes = logits.topk(min(TOP, logits.shape[1]), dim=1)
    # softmax of the largest logit alone, (B,): exp(z1 - log sum_j exp(z_j)), where nothing can overflow
    confidence = torch.exp(top_logits[:, 0] - logits.logsumexp(dim=1))
    return TopPredictions(top_logits, top_classes, confidence, targets if targets.ndim == 1 else targets.argmax(dim=1))


def confidence_margin(top_logits: Tensor) -> Tensor:
    """Compute (C1 - C2) / C1 (thesis equation 11) from sorted logits."""
    # C1 and C2, softmax outputs, share their denominator: 1 - C2 / C1 = 1 - exp(z2 - z1); expm1 is exact near 0
    return -torch.expm1(top_logits[:, 1] - top_logits[:, 0])


class Sums(Metric):
    """Adds up named sums over batches and ranks."""

    full_state_update = False  # an update does not depend on earlier ones: torchmetrics may do it once per forward

    def add_sum(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        """Declare a sum that starts at zero."""
        self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")

    def over_ranks(self) -> dict[str, Tensor]:
        """Sum over all ranks, for a checkpoint; every rank must call it."""
        totals = {name: getattr(self, name).detach().clone() for name in self._defaults}
        if torch.distributed.is_initialized():
            for total in totals.values():
                torch.distributed.all_reduce(total)  # in place, hence the clone
        return {name: total.cpu() for name, total in totals.items()}

    def restore(self, totals: dict[str, Tensor], is_global_zero: bool) -> None:
        """Start from the sums of a checkpoint."""
        for name, total in totals.items():  # rank 0 takes all of them and the others zero, so that they count once
            setattr(self, name, (total if is_global_zero else torch.zeros_like(total)).to(self.device))


class Accuracy(Sums):
    """Measures top-1, top-5 (from five classes on) and mean loss."""

    hits: Tensor
    count: Tensor
    loss: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.top5 = classes >= TOP
        self.add_sum("hits", 2, dtype=torch.int64)
        self.add_sum("count", dtype=torch.int64)
        self.add_sum("loss")

    def update(self, predictions: TopPredictions, loss: Tensor) -> None:
        """Add a batch with its summed loss."""
        found = predictions.top_classes == predictions.targets[:, None]  # (B, 5), at most one True in a row
        self.hits += torch.stack([found[:, 0].sum(), found.sum()])
        self.count += len(found)
        self.loss += loss

    def compute(self) -> dict[str, Tensor]:
        """Count images and compute the mean loss and accuracies in [0, 1]."""
        shares = self.hits.double() / self.count  # (2,): top-1, top-5
        values = {"images": self.count, "loss": self.loss / self.count, "top1": shares[0]}
        return values | ({"top5": shares[1]} if self.top5 else {})


class ConfidenceMargin(Sums):
    """Measures mean margins of correct and incorrect predictions, NaN without any."""

    margins: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_sum("margins", 2)
        self.add_sum("counts", 2, dtype=torch.int64)

    def update(self, predictions: TopPredictions) -> None:
        """Add a batch."""
        group = (~predictions.correct).long()  # (B,): 0 correct, 1 incorrect
        # a scatter into two sums: selecting by mask would make the host wait for the device, to learn the shape
        self.margins.index_add_(0, group, confidence_margin(predictions.top_logits).double())
        self.counts.index_add_(0, group, torch.ones_like(group))

    def compute(self) -> dict[str, Tensor]:
        """Compute means in [0, 1]."""
        correct, incorrect = self.margins / self.counts
        return {"margin_correct": correct, "margin_incorrect": incorrect}


class CalibrationError(Sums):
    """Measures the expected calibration error over 15 equal bins.

    Guo et al. 2017, equation 3. Bin b holds confidences in (b / 15, (b + 1) / 15]; 0 falls into the first.
    """

    confidences: Tensor
    corrects: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("confidences", "corrects", "counts"):
            self.add_sum(name, CALIBRATION_BINS)

    def update(self, predictions: TopPredictions) -> None:
        """Add a batch."""
        confidence = predictions.confidence.double()
        # (B,): ceil, because bins are closed above; the clamp is for confidence 0 and for rounding above 1
        bins = (torch.ceil(confidence * CALIBRATION_BINS).long() - 1).clamp(0, CALIBRATION_BINS - 1)
        self.confidences.index_add_(0, bins, confidence)
        self.corrects.index_add_(0, bins, predictions.correct.double())
        self.counts.index_add_(0, bins, torch.ones_like(confidence))

    def compute(self) -> dict[str, Tensor]:
        """Compute the error in [0, 1]."""
        # sum_b (n_b / n) |accuracy_b - confidence_b|: n_b cancels against the means' denominators
        gaps = (self.corrects - self.confidences).abs().sum()
        return {"calibration_error": gaps / self.counts.sum()}
