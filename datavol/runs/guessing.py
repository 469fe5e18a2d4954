"""Computes what always guessing gives: what a network must beat to have learnt anything."""

from collections.abc import Sequence

import numpy as np

TOP = 5
GUESSING = "always guessing the commonest class"


def guessed(images_per_class: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Compute the accuracies of always guessing the commonest classes.

    Top-1 guesses the commonest one, top-5, which there is from five classes on, the five commonest.

    Args:
        images_per_class: Images that an evaluation counts (classes,).

    >>> guessed([50, 30, 20])
    {'val/top1': 0.5}
    """
    counts = np.sort(np.asarray(images_per_class, dtype=float))[::-1]
    if not counts.sum() > 0:
        return {}
    shares = {f"val/top{k}": float(counts[:k].sum() / counts.sum()) for k in (1, TOP)}
    return shares if len(counts) >= TOP else {"val/top1": shares["val/top1"]}
