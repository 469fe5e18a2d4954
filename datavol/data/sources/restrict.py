"""A data set with fewer classes or fewer images, which then counts as the full one."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datavol.config import DataConfig
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.file_table import FileSplit
from datavol.data.subsets import draw_subset
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

Classes = tuple[str, ...]
AnySplit = TypeVar("AnySplit", ArraySplit, FileSplit)


def restrict(data: DataConfig, classes: Classes, train: AnySplit, val: AnySplit) -> tuple[Classes, AnySplit, AnySplit]:
    """The data set with `data.classes` alone, and of their training images a stratified `data.images`.

    Raises:
        ConfigError: If there is no such class, or there are not so many classes or images.
    """
    if data.classes is not None:
        kept = _chosen(data, classes)
        classes, train, val = tuple(classes[c] for c in kept), _only(train, kept), _only(val, kept)
    if data.images is not None:
        train = train.take(_stratified(data, classes, train.labels))
    return classes, train, val


def _chosen(data: DataConfig, classes: Classes) -> list[int]:
    """The numbers of the classes to keep, ascending."""
    if isinstance(data.classes, int):
        if data.classes > len(classes):
            raise ConfigError(f"data.classes must be at most the {len(classes)} classes there are, got {data.classes}")
        return sorted(permutation(len(classes), "classes", data.narrow_seed)[: data.classes].tolist())
    numbers = {name: number for number, name in enumerate(classes)}
    for name in data.classes or ():
        if name not in numbers:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)[0]
            raise ConfigError(f"data.classes must name classes of the data, got '{name}'; did you mean {near}?")
    return sorted({numbers[name] for name in data.classes or ()})


def _only(split: AnySplit, kept: list[int]) -> AnySplit:
    """The images of some classes, which count anew from 0."""
    smaller = split.take(np.flatnonzero(np.isin(split.labels, kept)))
    return replace(smaller, labels=np.searchsorted(kept, smaller.labels).astype(np.int64))


def _stratified(data: DataConfig, classes: Classes, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    assert data.images is not None
    if data.images > len(labels):
        raise ConfigError(f"data.images must be at most the {len(labels):,} training images, got {data.images:,}")
    return draw_subset(labels, classes, data.images / len(labels), "independent", data.narrow_seed).indices
