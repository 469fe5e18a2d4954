"""Computes measured and expected overlaps of subsets (thesis table 1, figure 10).

Draws are stratified, so the images that two independent ones share are a sum over classes of hypergeometric counts: of
a class of N images, subsets of a and b images share a b / N on average.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.load.kept import readable_subsets
from datavol.study.load.labels import DRAWN
from datavol.study.load.run_data import source_of

Of = Literal["row", "smaller"]
Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

SUBSET_KEYS = ["fingerprint", "draw", "draw_by", "fraction", "draw_seed", "subset_sha256"]


def subsets_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Select distinct subsets, smallest first, each by its first run's row.

    Returns:
        The runs' columns, and `subset`: a name such as `5 %, seed 0`.
    """
    order = ["fraction", "draw", "draw_by", "draw_seed"]
    subsets = runs.drop_duplicates(SUBSET_KEYS).sort_values(order, kind="stable")
    keys = zip(subsets["fraction"], subsets["draw_seed"], strict=True)
    names = [f"{100 * fraction:g} %, seed {seed}" for fraction, seed in keys]
    if subsets["draw"].nunique() > 1:
        names = [f"{name}, {draw}" for name, draw in zip(names, subsets["draw"], strict=True)]
    if subsets["draw_by"].nunique() > 1:
        names = [f"{name}, {DRAWN[by]}" for name, by in zip(names, subsets["draw_by"], strict=True)]
    subsets = subsets.assign(subset=names).reset_index(drop=True)
    # Other contents under one name, such as imported lists, are distinguished by their hash.
    ambiguous = subsets["subset"].duplicated(keep=False)
    hashed = subsets["subset"] + " (" + subsets["subset_sha256"].str[:8] + ")"
    return subsets.assign(subset=subsets["subset"].where(~ambiguous, hashed))


def overlap_matrix(runs: pd.DataFrame, of: Of = "smaller") -> pd.DataFrame:
    """Compute the measured overlap of every two subsets.

    Args:
        runs: `Study.runs`, of one data set.
        of: Whose images are 1: the `smaller` subset's, or the `row`'s.

    Returns:
        Shares in [0, 1], a row and a column per subset of `subsets_of`.

    Raises:
        ConfigError: If the runs are of several data sets, or a `subset.npy` cannot be read.
    """
    subsets = _of_one_data_set(runs)
    common = common_images(index_lists(subsets), int(subsets["full_size"].iloc[0]))
    return _matrix(common / _denominators(subsets, of), subsets)


def expected_overlap(runs: pd.DataFrame, of: Of = "smaller") -> pd.DataFrame:
    """Compute the mean of `overlap_matrix` over draws of the same kinds."""
    subsets = _of_one_data_set(runs)
    return _matrix(expected_images(subsets, class_counts(subsets)) / _denominators(subsets, of), subsets)


def overlap_per_class(runs: pd.DataFrame, labels: Counts) -> pd.DataFrame:
    """Compute the overlap of every two subsets per class (figure 10).

    Args:
        runs: `Study.runs`, of one data set.
        labels: The class of every image of the full training set, shape (N_full,); see `labels_of`.

    Returns:
        A row per pair and class: `first`, `second`, `class` (number), `images_first`, `images_second`, `common`
        (images), `share` of the smaller, `expected_share` of two independent draws; shares are NaN for a class that
        one of them lacks.

    Raises:
        ConfigError: If there are not two subsets, they are of several data sets, or one cannot be read.
    """
    subsets = _of_one_data_set(runs)
    if len(subsets) < 2:
        raise ConfigError(f"overlap must be asked for two subsets or more, got {len(subsets)}; train on another seed")
    return shared_per_class(dict(zip(subsets["subset"], index_lists(subsets), strict=True)), labels)


def shared_per_class(lists: Mapping[str, Counts], labels: Counts) -> pd.DataFrame:
    """Compute the frame of `overlap_per_class` from two or more named index lists."""
    pairs = itertools.combinations(lists.items(), 2)
    return pd.concat([_pair(first, second, labels, np.bincount(labels)) for first, second in pairs], ignore_index=True)


def _pair(first: tuple[str, Counts], second: tuple[str, Counts], labels: Counts, full: Counts) -> pd.DataFrame:
    common = np.intersect1d(first[1], second[1], assume_unique=True)  # positions in the full training set
    pair = pd.DataFrame(
        {
            "first": first[0],
            "second": second[0],
            "class": np.arange(len(full)),
            "images_first": np.bincount(labels[first[1]], minlength=len(full)),
            "images_second": np.bincount(labels[second[1]], minlength=len(full)),
            "common": np.bincount(labels[common], minlength=len(full)),
        }
    )
    smaller = pair[["images_first", "images_second"]].min(axis=1)
    expected = pair["images_first"] * pair["images_second"] / full  # means of hypergeometric counts, a b / N
    return pair.assign(share=pair["common"] / smaller, expected_share=expected / smaller)


def shared_in_all(classes: pd.DataFrame) -> pd.DataFrame:
    """Sum `overlap_per_class` over classes, pair by pair (thesis table 1).

    Args:
        classes: `overlap_per_class(runs, labels)`.

    Returns:
        A row per pair: `first`, `second`, `images` of the smaller subset, `common`, `share` of the smaller and
        `expected_share` of two independent draws; `class` (number) whose share is the largest, and that
        `largest_share`.
    """
    pairs = classes.groupby(["first", "second"], sort=False)
    sums = pairs[["images_first", "images_second", "common"]].sum()
    images = sums[["images_first", "images_second"]].min(axis=1)  # a row per pair
    smaller = classes[["images_first", "images_second"]].min(axis=1)  # a row per pair and class
    # Shares do not add up, images do: back to expected images, then summed over the classes of each pair.
    expected = (classes["expected_share"] * smaller).groupby([classes["first"], classes["second"]], sort=False).sum()
    most = classes.loc[pairs["share"].idxmax()].set_index(["first", "second"])
    columns = {
        **{"images": images, "common": sums["common"], "share": sums["common"] / images},
        **{"expected_share": expected / images, "class": most["class"], "largest_share": most["share"]},
    }
    return pd.DataFrame(columns).reset_index()


def labels_of(folder: Path | str) -> Counts:
    """Read the class of every training image, shape (N_full,).

    Raises:
        ConfigError: If the run's data have been moved or changed.
    """
    labels: Counts = source_of(folder).train.labels
    return labels


def images_per_class(runs: pd.DataFrame) -> pd.DataFrame:
    """Count the images of each class in every subset (thesis figure 8).

    Returns:
        A row per subset of `subsets_of` and class: `subset` (name), `fraction`, `class` (number), `images`.

    Raises:
        ConfigError: If the runs are of several data sets, or a `subset.json` cannot be read.
    """
    subsets = _of_one_data_set(runs)
    counts = pd.DataFrame(class_counts(subsets)).rename_axis(columns="class")
    counts.index = pd.MultiIndex.from_frame(subsets[["subset", "fraction"]])
    return counts.stack().rename("images").reset_index()


def index_lists(subsets: pd.DataFrame) -> list[Counts]:
    """Read the index list of every subset."""
    return [RunFolder(Path(folder)).indices for folder in subsets["folder"]]


def class_counts(subsets: pd.DataFrame) -> Counts:
    """Read the images per class of every subset, shape (subsets, classes)."""
    return np.stack([RunFolder(Path(folder)).images_per_class for folder in subsets["folder"]])


def common_images(lists: Sequence[Counts], full_size: int) -> Counts:
    """Count the indices that every two lists share, shape (lists, lists)."""
    # Membership as a sparse 0/1 matrix (lists, full_size), whose rows are the lists; a product of two rows counts the
    # images in both.
    ends = np.cumsum([0, *map(len, lists)])
    ones = np.ones(ends[-1], dtype=np.int64)
    members = csr_array((ones, np.concatenate(lists), ends), shape=(len(lists), full_size))
    common: Counts = (members @ members.T).toarray()
    return common


def full_class_sizes(subsets: pd.DataFrame, counts: Counts, slack: float = 0.0) -> Reals:
    """Estimate the full set's images per class from the largest subset.

    Records do not hold them. The estimate is exact where a run has the fraction 1. A `slack` of half an image gives the
    smallest class that rounds to the subset's count.
    """
    largest = int(np.argmax(subsets["fraction"]))
    scaled = (counts[largest] - slack) / float(subsets["fraction"].iloc[largest])
    sizes: Reals = np.maximum(counts.max(axis=0), scaled).clip(min=1)  # at least what some subset holds; never 0
    return sizes


def expected_images(subsets: pd.DataFrame, counts: Counts) -> Reals:
    """Compute the mean images that every two subsets share, shape (subsets, subsets).

    The mean is over draws of their kind. Two nested draws of one seed lie within each other. Disjoint draws are blocks
    of one permutation, whose overlap is fixed. All others are independent.
    """
    kinds, seeds = subsets["draw"].to_numpy(), subsets["draw_seed"].to_numpy(dtype=np.int64)
    units = subsets["draw_by"].to_numpy()
    expected = (counts / full_class_sizes(subsets, counts)) @ counts.T  # independent: sum over classes of a b / N
    for i in range(len(subsets)):
        same_kind, same_seed = (kinds == kinds[i]) & (units == units[i]), seeds == seeds[i]
        if kinds[i] == "nested":
            within = np.minimum(counts[i], counts).sum(axis=1)  # all of the smaller one, class by class
            expected[i] = np.where(same_kind & same_seed, within, expected[i])
        if kinds[i] == "disjoint":
            # Of a class's permutation seed s takes the block from s a to (s + 1) a, with a its count: intersect blocks.
            # Blocks of whole groups have about as many images
            sizes = counts if units[i] == "items" else _equal_shares(subsets, counts)
            starts, ends = seeds[:, None] * sizes, (seeds[:, None] + 1) * sizes
            blocks = (np.minimum(ends[i], ends) - np.maximum(starts[i], starts)).clip(min=0).sum(axis=1)
            expected[i] = np.where(same_kind, blocks, expected[i])
        expected[i, i] = counts[i].sum()
    return expected


def most_images(subsets: pd.DataFrame, counts: Counts, chance: float) -> Counts:
    """Bound the images that independent draws share, exceeded with probability `chance`.

    A hypergeometric count of n drawings is a sum of n independent Bernoulli variables (Vatutin and Mikhailov 1982), and
    so is the sum over classes; above its mean it has a lighter tail than the binomial of the same mean (Hoeffding
    1956), whose quantile this is, shape (subsets, subsets).
    """
    # The smallest possible classes (slack) give the largest mean, so that rounding makes no false alarm.
    means = (counts / full_class_sizes(subsets, counts, slack=0.5)) @ counts.T
    drawings = np.stack([np.minimum(one, counts).sum(axis=1) for one in counts])  # n: of the smaller one in each class
    most = binom.isf(chance, drawings, np.minimum(1.0, means / drawings.clip(min=1)))
    by_groups = (subsets["draw_by"] == "groups").to_numpy()
    if by_groups.sum() > 1:
        pairs = np.ix_(by_groups, by_groups)
        most[pairs] = _most_of_groups(subsets[by_groups], means[pairs], counts.shape[1], chance)
    return np.asarray(most).astype(np.int64)


def _most_of_groups(subsets: pd.DataFrame, means: Reals, classes: int, chance: float) -> Reals:
    """Bound the images that draws of whole groups share by chance.

    Returns bounds of shape (subsets, subsets).

    The groups that two draws share are a sum over classes as above. No record says which they are, so that each counts
    as large as the group of an average image, which is above the mean of groups.
    """
    drawn = subsets["drawn_groups"].to_numpy(dtype=np.float64)
    facts = json.loads(subsets["groups"].iloc[0])
    # Rounding gives a class up to half a group more than its share: (f G + 1/2) (g G + 1/2) / G, summed over classes
    shares = drawn / facts["train"]
    rounded = np.outer(shares, shares) * facts["train"] + classes * (np.add.outer(shares, shares) / 2 + 0.25)
    smaller = np.minimum.outer(drawn, drawn)
    per_group = np.minimum.outer(*2 * (subsets["images"].to_numpy(dtype=np.float64) / drawn,))
    expected = np.minimum(smaller, np.maximum(rounded, means / per_group))
    most: Reals = binom.isf(chance, smaller, expected / smaller) * facts["size"]
    return most


def _equal_shares(subsets: pd.DataFrame, counts: Counts) -> Reals:
    """Compute each class's images times the fraction, shape (subsets, classes)."""
    shares: Reals = np.outer(subsets["fraction"].to_numpy(dtype=np.float64), full_class_sizes(subsets, counts))
    return shares


def _of_one_data_set(runs: pd.DataFrame) -> pd.DataFrame:
    if (sets := runs["fingerprint"].nunique()) != 1:
        raise ConfigError(f"overlap must be asked for runs of one data set, got {sets}; select by runs['fingerprint']")
    return subsets_of(readable_subsets(runs))


def _denominators(subsets: pd.DataFrame, of: Of) -> Counts:
    images = subsets["images"].to_numpy(dtype=np.int64)
    # (subsets, subsets): the smaller of row and column, or the row's, by pairing it with the largest.
    columns = images[None, :] if of == "smaller" else np.full((1, len(images)), images.max())
    return np.minimum(images[:, None], columns)


def _matrix(values: Reals, subsets: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(values, index=subsets["subset"].tolist(), columns=subsets["subset"].tolist())
