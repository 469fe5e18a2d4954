"""Divides a data set into training and validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datavol.config.data import DividedConfig
from datavol.data.group_draws import commonest_classes
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.files.found import Found
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

SEEDS_TRIED = 100  # for one that leaves every class training images
Split = ArraySplit | FileSplit
AnySplit = TypeVar("AnySplit", ArraySplit, FileSplit)
Classes = tuple[str, ...]
Opened = tuple[Classes, Split, Split, Found]  # the classes, the training and the validation images


class NoValidation(ConfigError):
    """Reports data without validation images, of which val_fraction could hold some out."""


@dataclass(frozen=True)
class Division:
    """Stores how undivided images are parted into train and val."""

    val_fraction: float | None
    seed: int
    folds: int | None = None
    fold: int = 0

    @classmethod
    def of(cls, data: DividedConfig) -> Division:
        """Read the keys of a data set."""
        return cls(data.val_fraction, data.split_seed, data.folds, data.fold)

    @property
    def given(self) -> bool:
        """Return whether anything divides them."""
        return self.val_fraction is not None or self.folds is not None

    def __str__(self) -> str:
        return (
            f"{self.val_fraction:g} of it, drawn" if self.folds is None else f"fold {self.fold} of {self.folds} of it"
        )

    def split(
        self, labels: NDArray[np.int64], purpose: str, seed: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw the sorted indices of train and val; `purpose` keys the draw."""
        seed = self.seed if seed is None else seed
        if self.folds is None:
            return stratified_split(labels, self.val_fraction or 0, seed, purpose)
        return fold_split(labels, self.folds, self.fold, seed, f"{purpose} into folds")


def fold_split(
    labels: NDArray[np.int64], folds: int, fold: int, seed: int, purpose: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the sorted indices of train and val of a fold.

    Classes are dealt out one after the other, so that folds differ by an image at most.
    """
    dealt = np.empty(len(labels), dtype=np.int64)
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    for label, start, members in zip(present.tolist(), starts.tolist(), np.split(order, starts[1:]), strict=True):
        # the class before ended at `start`: this one begins with the next fold
        dealt[members[permutation(len(members), purpose, seed, label)]] = (start + np.arange(len(members))) % folds
    return np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)


def stratified_split(
    labels: NDArray[np.int64], val_fraction: float, seed: int, purpose: str = "datavol split"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the sorted indices of train and val.

    A class of n images gives round(n * val_fraction) to val, but at least one to each side; a single image is trained
    on. A class's choice depends on its own images alone.
    """
    # Positions sorted by class and split where the class changes: the members of each class that occurs
    held, order = np.zeros(len(labels), dtype=bool), np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    for label, members in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        count = min(len(members) - 1, max(1, round(len(members) * val_fraction)))
        # Keyed by the class's number: what other classes hold changes nothing
        held[members[permutation(len(members), purpose, seed, label)[:count]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def grouped_split(
    labels: NDArray[np.int64], groups: NDArray[np.int64], division: Division, seed: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the sorted indices of train and val, no group in both.

    The groups are split as images are, each as an item of its commonest class.
    """
    _, number = np.unique(groups, return_inverse=True)  # the rank of each image's group
    _, held = division.split(commonest_classes(labels, groups), "datavol split of groups", seed)
    in_val = np.isin(number, held)
    return np.flatnonzero(~in_val), np.flatnonzero(in_val)


def hold_out(whole: AnySplit, division: Division) -> tuple[AnySplit, AnySplit]:
    """Divide labelled images, or whole groups of them, into train and val.

    Raises:
        ConfigError: If no class has an image (or a group) to spare, or a class would have no training image.
    """
    if whole.groups is None:
        train, val = division.split(whole.labels, "datavol split")
        items, lone = "image", f"{len(train)} classes of one"
    else:
        train, val = grouped_split(whole.labels, whole.groups, division)
        items, lone = "group", f"{len(np.unique(whole.groups))} groups, each alone in its class"
    if not len(val):
        raise ConfigError(f"data.val_fraction must find a class of 2 or more {items}s, got {lone}; add {items}s")
    without = len(np.unique(whole.labels)) - len(np.unique(whole.labels[train]))
    if without and division.folds is not None:
        raise ConfigError(
            f"data.folds must leave every class training images, got {division} which leaves {without:,} classes none; "
            f"add {items}s, or try data.val_fraction=0.2"
        )
    if without and whole.groups is not None:
        raise _untrained_class(whole.labels, whole.groups, division)
    return whole.take(train), whole.take(val)


def _untrained_class(labels: NDArray[np.int64], groups: NDArray[np.int64], division: Division) -> ConfigError:
    """Name a split_seed by which every class has training images."""
    classes = len(np.unique(labels))

    def untrained(other: int) -> int:
        return classes - len(np.unique(labels[grouped_split(labels, groups, division, other)[0]]))

    others = (other for other in range(SEEDS_TRIED) if untrained(other) == 0)
    found = next(others, None)
    remedy = "add groups of these classes" if found is None else f"try data.split_seed={found}"
    return ConfigError(
        "data.val_fraction must leave every class training images, got whole groups that leave "
        f"{untrained(division.seed):,} of {classes:,} classes none with data.split_seed={division.seed}; {remedy}"
    )


def check_one_validation(given: bool, division: Division, key: str, part: str, place: str, remedy: str = "") -> None:
    """Raise unless the data or `division` choose the validation images, not both."""
    if not given and not division.given:
        raise (ConfigError if remedy else NoValidation)(  # with a remedy there are validation images, elsewhere
            f"data.val_fraction must be given when {key} has no {part}, got null with {place}; "
            f"try {remedy}data.val_fraction=0.2"
        )
    if given and division.given:
        name, got = ("folds", division.folds) if division.folds else ("val_fraction", f"{division.val_fraction:g}")
        raise ConfigError(f"data.{name} must be null when {key} has a {part}, got {got}; leave data.{name} out")
