"""Divides a data set into training and validation images."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.files.found import Found
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

Split = ArraySplit | FileSplit
AnySplit = TypeVar("AnySplit", ArraySplit, FileSplit)
Classes = tuple[str, ...]
Opened = tuple[Classes, Split, Split, Found]  # the classes, the training and the validation images


def stratified_split(
    labels: NDArray[np.int64], val_fraction: float, seed: int
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
        held[members[permutation(len(members), "datavol split", seed, label)[:count]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out(whole: AnySplit, val_fraction: float, seed: int) -> tuple[AnySplit, AnySplit]:
    """Divide labelled images into train and val.

    Raises:
        ConfigError: If no class has an image to spare.
    """
    train, val = stratified_split(whole.labels, val_fraction, seed)
    if not len(val):
        raise ConfigError(
            f"data.val_fraction must find a class of 2 or more images, got {len(train)} classes of one; add images"
        )
    return whole.take(train), whole.take(val)


def check_one_validation(
    given: bool, val_fraction: float | None, key: str, part: str, place: str, remedy: str = ""
) -> None:
    """Raise unless the data or `val_fraction` choose the validation images, not both."""
    if not given and val_fraction is None:
        raise ConfigError(
            f"data.val_fraction must be given when {key} has no {part}, got null with {place}; "
            f"try {remedy}data.val_fraction=0.2"
        )
    if given and val_fraction is not None:
        raise ConfigError(
            f"data.val_fraction must be null when {key} has a {part}, got {val_fraction:g}; leave data.val_fraction out"
        )
