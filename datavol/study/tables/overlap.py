"""How many images the subsets of a study share, and how many they should (thesis table 1 and figure 10).

Draws are stratified, so what two independent ones share is a sum over classes of hypergeometric counts: of a class of N
images, subsets of a and b images share a b / N on average.
"""

from __future__ import annotations

import itertools
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
from datavol.study.load.run_data import source_of

Of = Literal["row", "smaller"]
Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

IDENTITY = ["fingerprint", "draw", "fraction", "draw_seed", "subset_sha256"]


def subsets_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The different subsets that runs were trained on, smallest first, each as the row of its first run.

    Returns:
        The runs' columns, and `subset`: a name such as `5 %, seed 0`.
    """
    subsets = runs.drop_duplicates(IDENTITY).sort_values(["fraction", "draw", "draw_seed"], kind="stable")
    known = zip(subsets["fraction"], subsets["draw_seed"], strict=True)
    names = [f"{100 * fraction:g} %, seed {seed}" for fraction, seed in known]
    if subsets["draw"].nunique() > 1:
        names = [f"{name}, {draw}" for name, draw in zip(names, subsets["draw"], strict=True)]
    subsets = subsets.assign(subset=names).reset_index(drop=True)
    twice = subsets["subset"].duplicated(keep=False)
    told = subsets["subset"] + " (" + subsets["subset_sha256"].str[:8] + ")"
    return subsets.assign(subset=subsets["subset"].where(~twice, told))


def overlap_matrix(runs: pd.DataFrame, of: Of = "smaller") -> pd.DataFrame:
    """What every two subsets of the runs share.

    Args:
        runs: As `load_study` gives them, of one data set.
        of: The share of the `smaller` subset's images, or of the `row`'s.

    Returns:
        Shares in [0, 1], a row and a column per subset of `subsets_of`.

    Raises:
        ConfigError: If the runs are of several data sets, or a `subset.npy` cannot be read.
    """
    subsets = _of_one_data_set(runs)
    common = common_images(index_lists(subsets), int(subsets["full_size"].iloc[0]))
    return _matrix(common / _denominators(subsets, of), subsets)


def expected_overlap(runs: pd.DataFrame, of: Of = "smaller") -> pd.DataFrame:
    """What every two subsets of the runs share on average over draws of their kind; see `overlap_matrix`."""
    subsets = _of_one_data_set(runs)
    return _matrix(expected_images(subsets, class_counts(subsets)) / _denominators(subsets, of), subsets)


def overlap_per_class(runs: pd.DataFrame, labels: Counts) -> pd.DataFrame:
    """What every two subsets of the runs share in each class (thesis figure 10).

    Args:
        runs: As `load_study` gives them, of one data set.
        labels: The class of every image of the full training set, shape (N_full,); `labels_of` finds them.

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
    """The frame of `overlap_per_class` from index lists by name, two or more; `labels` as there."""
    pairs = itertools.combinations(lists.items(), 2)
    return pd.concat([_pair(first, second, labels, np.bincount(labels)) for first, second in pairs], ignore_index=True)


def _pair(first: tuple[str, Counts], second: tuple[str, Counts], labels: Counts, full: Counts) -> pd.DataFrame:
    common = np.intersect1d(first[1], second[1], assume_unique=True)
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
    expected = pair["images_first"] * pair["images_second"] / full
    return pair.assign(share=pair["common"] / smaller, expected_share=expected / smaller)


def shared_in_all(classes: pd.DataFrame) -> pd.DataFrame:
    """What every pair of subsets shares, all classes together (thesis table 1), and the class that shares the most.

    Args:
        classes: As `overlap_per_class` gives it.

    Returns:
        A row per pair: `first`, `second`, `images` of the smaller subset, `common`, `share` of the smaller and
        `expected_share` of two independent draws; `class` (number) whose share is the largest, and that
        `largest_share`.
    """
    pairs = classes.groupby(["first", "second"], sort=False)
    sums = pairs[["images_first", "images_second", "common"]].sum()
    images = sums[["images_first", "images_second"]].min(axis=1)
    smaller = classes[["images_first", "images_second"]].min(axis=1)
    expected = (classes["expected_share"] * smaller).groupby([classes["first"], classes["second"]], sort=False).sum()
    most = classes.loc[pairs["share"].idxmax()].set_index(["first", "second"])
    found = {
        **{"images": images, "common": sums["common"], "share": sums["common"] / images},
        **{"expected_share": expected / images, "class": most["class"], "largest_share": most["share"]},
    }
    return pd.DataFrame(found).reset_index()


def labels_of(folder: Path | str) -> Counts:
    """The class of every image of the full training set of a run, from the data themselves, shape (N_full,).

    Raises:
        ConfigError: If the data are not where the run found them, or have changed since.
    """
    labels: Counts = source_of(folder).train.labels
    return labels


def images_per_class(runs: pd.DataFrame) -> pd.DataFrame:
    """The images of each class of the subsets of the runs (thesis figure 8).

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
    """The index list of every subset."""
    return [RunFolder(Path(folder)).indices for folder in subsets["folder"]]


def class_counts(subsets: pd.DataFrame) -> Counts:
    """The images of each class of every subset, shape (subsets, classes)."""
    return np.stack([RunFolder(Path(folder)).images_per_class for folder in subsets["folder"]])


def common_images(lists: Sequence[Counts], full_size: int) -> Counts:
    """How many places every two index lists share, shape (lists, lists)."""
    ends = np.cumsum([0, *map(len, lists)])
    ones = np.ones(ends[-1], dtype=np.int64)
    members = csr_array((ones, np.concatenate(lists), ends), shape=(len(lists), full_size))
    common: Counts = (members @ members.T).toarray()
    return common


def class_sizes(subsets: pd.DataFrame, counts: Counts, slack: float = 0.0) -> Reals:
    """The full set's images of each class, which records do not hold: scaled up from the largest subset.

    That is exact where a run has the fraction 1. A `slack` of half an image gives the smallest class that rounds to
    the subset's count.
    """
    largest = int(np.argmax(subsets["fraction"]))
    scaled = (counts[largest] - slack) / float(subsets["fraction"].iloc[largest])
    sizes: Reals = np.maximum(counts.max(axis=0), scaled).clip(min=1)
    return sizes


def expected_images(subsets: pd.DataFrame, counts: Counts) -> Reals:
    """How many images every two subsets share on average over draws of their kind, shape (subsets, subsets).

    Two nested draws of one seed lie within each other. Disjoint draws are blocks of one permutation, so what they share
    is no matter of chance. All others are independent.
    """
    kinds, seeds = subsets["draw"].to_numpy(), subsets["draw_seed"].to_numpy(dtype=np.int64)
    expected = (counts / class_sizes(subsets, counts)) @ counts.T
    for i in range(len(subsets)):
        same_kind, same_seed = kinds == kinds[i], seeds == seeds[i]
        if kinds[i] == "nested":
            within = np.minimum(counts[i], counts).sum(axis=1)
            expected[i] = np.where(same_kind & same_seed, within, expected[i])
        if kinds[i] == "disjoint":
            starts, ends = seeds[:, None] * counts, (seeds[:, None] + 1) * counts
            blocks = (np.minimum(ends[i], ends) - np.maximum(starts[i], starts)).clip(min=0).sum(axis=1)
            expected[i] = np.where(same_kind, blocks, expected[i])
        expected[i, i] = counts[i].sum()
    return expected


def most_images(subsets: pd.DataFrame, counts: Counts, chance: float) -> Counts:
    """How many images two independent draws share at most, except with probability `chance`, shape (subsets, subsets).

    A hypergeometric count of n drawings is a sum of n independent Bernoulli variables (Vatutin and Mikhailov 1982), and
    so is the sum over classes; above its mean it has a lighter tail than the binomial of the same mean (Hoeffding
    1956), whose quantile this is.
    """
    means = (counts / class_sizes(subsets, counts, slack=0.5)) @ counts.T
    drawings = np.stack([np.minimum(one, counts).sum(axis=1) for one in counts])
    most = binom.isf(chance, drawings, np.minimum(1.0, means / drawings.clip(min=1)))
    return np.asarray(most).astype(np.int64)


def _of_one_data_set(runs: pd.DataFrame) -> pd.DataFrame:
    if (sets := runs["fingerprint"].nunique()) != 1:
        raise ConfigError(f"overlap must be asked for runs of one data set, got {sets}; select by runs['fingerprint']")
    return subsets_of(runs)


def _denominators(subsets: pd.DataFrame, of: Of) -> Counts:
    images = subsets["images"].to_numpy(dtype=np.int64)
    columns = images[None, :] if of == "smaller" else np.full((1, len(images)), images.max())
    return np.minimum(images[:, None], columns)


def _matrix(values: Reals, subsets: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(values, index=subsets["subset"].tolist(), columns=subsets["subset"].tolist())
