"""Measures the noise of test images that come in groups.

Images of one clip are recognised or missed together: 200 images of 20 clips tell less than 200 of as many clips. What
is resampled is therefore the group; standard errors are those of sums over groups.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Groups = NDArray[np.int64]
EXACT = 2000  # groups up to which sign tests are exact; more are near enough to normal


def sums_by_group(values: np.ndarray, groups: Groups | None) -> np.ndarray:
    """Sum over each group's images, (..., images) -> (..., groups).

    Without groups each image is one.
    """
    if groups is None:
        return values
    _, number = np.unique(groups, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    return np.asarray(np.add.reduceat(values[..., order], starts, axis=-1))


def covariance_of_means(right: np.ndarray, groups: Groups | None) -> np.ndarray:
    """Estimate the covariance of accuracies on the same test images.

    It is that of means over a sample of groups, whose sizes may differ: (runs, images) -> (runs, runs).
    """
    sums = sums_by_group(right - right.mean(axis=1, keepdims=True), groups)
    count = sums.shape[1]
    return np.asarray(sums @ sums.T * count / (max(count - 1, 1) * right.shape[1] ** 2))


def standard_error(values: np.ndarray, groups: Groups) -> float:
    """Estimate the standard error of a mean over images in groups (images,)."""
    return float(covariance_of_means(values[None].astype(float), groups)[0, 0] ** 0.5)


def effective_images(right: np.ndarray, groups: Groups) -> float:
    """Compute as how many independent images test images in groups count.

    That many would leave an accuracy as uncertain as they do: their number over the design effect (Kish 1965), which is
    the variance of the mean by groups over the binomial one, both averaged over runs.

    Args:
        right: Whether the runs are right (runs, images).
        groups: Of each image (images,).

    Returns:
        At most the number of images, at least 1. Where no run errs, or none is right, nothing tells, and the images
        count as the groups.
    """
    images, share = right.shape[1], right.mean(axis=1)
    binomial = float((share * (1 - share)).sum())
    if binomial == 0:
        return float(len(np.unique(groups)))
    grouped = float(np.diag(covariance_of_means(right, groups)).sum())
    return float(np.clip(binomial / grouped, 1, images)) if grouped > 0 else float(images)


def p_of_signs(sums: np.ndarray) -> float:
    """Test by sign flips whether the sum of whole numbers exceeds 0.

    The test is one-sided. If the two that are compared were equally good, each group's sum would be as likely with the
    other sign. Of single images this is McNemar's exact test.
    """
    sizes, total = np.abs(sums[sums != 0]).astype(np.int64), int(sums.sum())
    if len(sizes) == 0:
        return 1.0
    if len(sizes) > EXACT:
        return float(norm.sf(total / np.sqrt((sizes.astype(float) ** 2).sum())))
    # The sum under the null hypothesis is -whole + 2 S, where S sums the sizes whose sign is plus: probabilities of S
    whole = int(sizes.sum())
    chances = np.zeros(whole + 1)
    chances[0], reached = 1.0, 0
    for size in sizes.tolist():
        moved = chances[: reached + 1] / 2
        chances[: reached + 1] = moved
        chances[size : size + reached + 1] += moved
        reached += size
    return float(min(1.0, chances[(whole + total + 1) // 2 :].sum()))
