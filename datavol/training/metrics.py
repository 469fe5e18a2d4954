"""Top-k accuracy, loss, confidence margin and calibration, all from one `topk` per batch.

Sums and counts only: exact under DDP, constant in memory. Real numbers are summed in double precision, so that the
number of ranks does not show.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

TOP = 5
CALIBRATION_BINS = 15


class TopPredictions(NamedTuple):
    """What the metrics need of a batch.

    Attributes:
        top_logits: The largest logits in descending order, (B, min(5, classes)), single precision or better.
        top_classes: Their classes, the same shape.
        confidence: The largest softmax output, (B,).
        targets: True classes, (B,).
    """

    top_logits: Tensor
    top_classes: Tensor
    confidence: Tensor
    targets: Tensor

    @property
    def correct(self) -> Tensor:
        """Whether the first choice is right, (B,) bool."""
        return self.top_classes[:, 0] == self.targets


def top_predictions(logits: Tensor, targets: Tensor) -> TopPredictions:
    """Reduce logits (B, classes) to what the metrics need; targets are classes (B,) or label shares (B, classes).

    Half precision would move margins by 1e-3 and make ties, so logits are raised to single precision first. Mixed
    labels count as their largest share, as in the thesis's reference code.
    """
    logits = logits.detach()
    if logits.dtype != torch.float64:
        logits = logits.float()
    top_logits, top_classes = logits.topk(min(TOP, logits.shape[1]), dim=1)
    confidence = torch.exp(top_logits[:, 0] - logits.logsumexp(dim=1))
    return TopPredictions(top_logits, top_classes, confidence, targets if targets.ndim == 1 else targets.argmax(dim=1))


def confidence_margin(top_logits: Tensor) -> Tensor:
    """(C1 - C2) / C1 of the two largest softmax outputs (thesis equation 11), from sorted logits: 1 - exp(z2 - z1)."""
    return -torch.expm1(top_logits[:, 1] - top_logits[:, 0])


class Sums(Metric):
    """A torchmetrics metric of named sums, added up over batches and ranks."""

    full_state_update = False

    def add_sum(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        """Declare a sum that starts at zero."""
        self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")

    def over_ranks(self) -> dict[str, Tensor]:
        """The sums of all ranks, for a checkpoint inside a budget epoch; called by every rank."""
        totals = {name: getattr(self, name).detach().clone() for name in self._defaults}
        if torch.distributed.is_initialized():
            for total in totals.values():
                torch.distributed.all_reduce(total)
        return {name: total.cpu() for name, total in totals.items()}

    def go_on(self, totals: dict[str, Tensor], keeps: bool) -> None:
        """Start from such sums: on the one rank that `keeps` them; the others start from zero."""
        for name, total in totals.items():
            setattr(self, name, (total if keeps else torch.zeros_like(total)).to(self.device))


class Accuracy(Sums):
    """Top-1, top-5 (left out below five classes) and mean loss; equals `MulticlassAccuracy(average="micro")`."""

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
        found = predictions.top_classes == predictions.targets[:, None]
        self.hits += torch.stack([found[:, 0].sum(), found.sum()])
        self.count += len(found)
        self.loss += loss

    def compute(self) -> dict[str, Tensor]:
        """Images counted, mean loss, and shares in [0, 1]."""
        shares = self.hits.double() / self.count
        values = {"images": self.count, "loss": self.loss / self.count, "top1": shares[0]}
        return values | ({"top5": shares[1]} if self.top5 else {})


class ConfidenceMargin(Sums):
    """The mean normalised confidence margin of correct and of incorrect predictions (thesis figures 20 and 21).

    NaN where there is no such prediction.
    """

    margins: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_sum("margins", 2)
        self.add_sum("counts", 2, dtype=torch.int64)

    def update(self, predictions: TopPredictions) -> None:
        """Add a batch."""
        group = (~predictions.correct).long()
        self.margins.index_add_(0, group, confidence_margin(predictions.top_logits).double())
        self.counts.index_add_(0, group, torch.ones_like(group))

    def compute(self) -> dict[str, Tensor]:
        """Means in [0, 1]."""
        correct, incorrect = self.margins / self.counts
        return {"margin_correct": correct, "margin_incorrect": incorrect}


class CalibrationError(Sums):
    """Expected calibration error over 15 equal bins (Guo et al. 2017, equation 3), from sums per bin.

    Bin b holds confidences in (b / 15, (b + 1) / 15]; 0 falls into the first.
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
        bins = (torch.ceil(confidence * CALIBRATION_BINS).long() - 1).clamp(0, CALIBRATION_BINS - 1)
        self.confidences.index_add_(0, bins, confidence)
        self.corrects.index_add_(0, bins, predictions.correct.double())
        self.counts.index_add_(0, bins, torch.ones_like(confidence))

    def compute(self) -> dict[str, Tensor]:
        """A share in [0, 1]."""
        gaps = (self.corrects - self.confidences).abs().sum()
        return {"calibration_error": gaps / self.counts.sum()}
