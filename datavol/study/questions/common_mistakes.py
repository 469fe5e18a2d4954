"""Measures what runs that see the same test images have in common."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from datavol.runs.predictions import Predictions
from datavol.study.curves.grouped_noise import Groups, covariance_of_means, effective_images
from datavol.study.load.kept import kept_predictions

SHARED = 0.6
"""Share of the binomial variance that two runs on the same test images have in common, where it was not measured. It is
.46 to .70 in `examples/fashion_mnist` and .3 to .9 in `benchmarks/data/networks.csv`, the more the smaller the errors;
compare Jordan, arXiv 2304.01910."""


def kept_of(run: pd.Series) -> Predictions | None:
    """Read a run's last predictions; None unless they fit its images.

    They fit if there are as many as the run has validation images.
    """
    kept = kept_predictions(run["folder"]) if isinstance(run["folder"], str) else None
    # Predictions of another number of images are not those of this accuracy: a file from elsewhere
    return kept if kept is not None and len(kept.labels) == run["validation_images"] else None


def right_images(kept: Predictions, rank: int) -> np.ndarray:
    """Find the images whose class is among the `rank` likeliest (images,)."""
    return np.asarray((kept.classes[:, :rank] == kept.labels[:, None]).any(axis=1))


@dataclass(frozen=True)
class GroupedImages:
    """Counts the test images of a curve that come in groups."""

    images: int
    groups: int
    effective: float  # as how many independent images they count

    def __str__(self) -> str:
        counted = f"about {self.effective:,.0f}" if self.effective < self.images - 0.5 else "as many"
        return f"{self.images:,} validation images of {self.groups:,} groups count as {counted}"


def grouped_images(runs: pd.DataFrame, rank: int) -> GroupedImages | None:
    """Measure as how many independent images a curve's test images count.

    None unless runs kept groups, and all the same ones.
    """
    known = [kept for _, run in runs[runs["groups"].notna()].iterrows() if (kept := kept_of(run)) is not None]
    known = [kept for kept in known if kept.groups is not None]
    groups: Groups | None = known[0].groups if known else None
    if groups is None or len({kept.groups.tobytes() for kept in known if kept.groups is not None}) > 1:
        return None  # evaluated on other images
    effective = effective_images(np.array([right_images(kept, rank) for kept in known]), groups)
    return GroupedImages(len(groups), len(np.unique(groups)), effective)


def shared_noise(runs: pd.DataFrame, rank: int) -> float | None:
    """Measure the share of test-set noise that runs have in common.

    Var(a - b) of two runs on the same images is less than Var a + Var b, as they err on the same ones. The share is by
    how much less, over all pairs of runs of different sizes.

    Returns:
        `SHARED` where fewer than two sizes kept predictions, None where test images differ between runs.
    """
    every = [(run["images"], kept) for _, run in runs.iterrows() if (kept := kept_of(run)) is not None]
    labels = [kept.labels for _, kept in every]
    if runs["validation_images"].nunique() > 1 or any(not np.array_equal(one, labels[0]) for one in labels):
        return None
    sizes = np.array([images for images, _ in every])
    apart = sizes[:, None] != sizes  # pairs of runs of different sizes (runs, runs)
    if not apart.any():
        return SHARED
    right = np.array([right_images(kept, rank) for _, kept in every])  # (runs, images)
    groups = next((kept.groups for _, kept in every if kept.groups is not None), None)
    covariance = covariance_of_means(right, groups)  # (runs, runs)
    variance = np.diag(covariance)
    total = (variance[:, None] + variance)[apart].sum()
    # No run ever wrong, or always: nothing to measure. By chance alone the share of unlike runs may fall below 0
    return float(np.clip(2 * covariance[apart].sum() / total, 0, 1)) if total > 0 else SHARED
