"""Leaves images out that a list names, of train and of val."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.data.sources.split import AnySplit, Classes
from datavol.data.subset_lists import listed_positions
from datavol.errors import ConfigError


def exclude(file: str, classes: Classes, train: AnySplit, val: AnySplit) -> tuple[AnySplit, AnySplit, int]:
    """Leave the images out that a file names; count them.

    Nothing else moves: val was held out before, and the other images stay where they are.

    Raises:
        ConfigError: If the list is unreadable or names what is not there, or nothing would be left.
    """
    images = len(train.labels) + len(val.labels)
    left = np.setdiff1d(np.arange(images), excluded_positions(file, train, val))
    kept_train, kept_val = (
        train.take(left[left < len(train.labels)]),
        val.take(left[left >= len(train.labels)] - len(train.labels)),
    )
    if what := nothing_left(classes, kept_train.labels, len(kept_val.labels)):
        raise ConfigError(
            f"data.exclude must leave images of every class to train on and some to evaluate on, got {what} left by "
            f"{file}; take lines out of it"
        )
    return kept_train, kept_val, images - len(left)


def nothing_left(classes: Classes, train: NDArray[np.int64], val: int) -> str:
    """Say what is missing to train or evaluate on.

    `train` are the labels of the images left, `val` their number.
    """
    empty = np.flatnonzero(np.bincount(train, minlength=len(classes)) == 0)
    if len(empty):
        return f"no training image of {shown(classes[empty[0]])}"
    return "" if val else "no validation image"


def excluded_positions(file: str, train: AnySplit, val: AnySplit) -> NDArray[np.int64]:
    """Read the positions of excluded images, counting train, then val."""
    keys = [f"train/{train.key(i)}" for i in range(len(train.labels))]
    keys += [f"val/{val.key(i)}" for i in range(len(val.labels))]
    return listed_positions("data.exclude", Path(file).expanduser(), keys, "the data as train/... or val/...")
