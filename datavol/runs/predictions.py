"""What a network said of every validation image: enough for accuracies, margins and calibration, without the images."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT = 5


@dataclass(frozen=True)
class Predictions:
    """One evaluation, image by image, in the order of the validation set.

    Attributes:
        labels: The true classes, shape (images,), int64.
        classes: The likeliest classes, the likeliest first, shape (images, 5 or the number of classes), int64.
        log_probabilities: Theirs, natural logarithms, the same shape, float32.
    """

    labels: NDArray[np.int64]
    classes: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """As a compressed `.npz`, class numbers in 16 bits: about 1.5 MB for 50,000 images."""
        buffer = io.BytesIO()
        small = np.uint16 if self.classes.max(initial=0) < 2**16 else np.int64
        np.savez_compressed(
            buffer,
            labels=self.labels.astype(small),
            classes=self.classes.astype(small),
            log_probabilities=self.log_probabilities.astype(np.float32),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Predictions:
        """What `to_bytes` gave."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(
                arrays["labels"].astype(np.int64), arrays["classes"].astype(np.int64), arrays["log_probabilities"]
            )
