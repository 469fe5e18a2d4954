"""Computes a whole set's metrics in float64 NumPy, apart from datavol's."""

import numpy as np


def metrics_by_hand(shares: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute metrics from each image's largest softmax shares, in descending order.

    Shapes are (images, k), (images, k) and (images,). A margin over no images is NaN.
    """
    hits, first = classes == labels[:, None], shares[:, 0]
    correct, margins = hits[:, 0], (first - shares[:, 1]) / first
    bins = np.clip(np.ceil(first * 15).astype(int) - 1, 0, 14)  # 15 bins, each with its upper end
    gaps = [abs(correct[bins == b].sum() - first[bins == b].sum()) for b in range(15)]
    return {
        "top1": correct.mean(),
        "top5": hits[:, :5].any(1).mean(),
        "margin_correct": margins[correct].mean(),
        "margin_incorrect": margins[~correct].mean(),
        "calibration_error": sum(gaps) / len(labels),
    }
