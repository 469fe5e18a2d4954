"""Restricts a data set to fewer classes or images."""

import difflib
from dataclasses import replace

import numpy as np

from datavol.cli.text import shown, typed_list
from datavol.config.data import DataConfig
from datavol.data.sources.split import AnySplit, Classes
from datavol.data.subsets import draw_subset
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation


def restrict(data: DataConfig, classes: Classes, train: AnySplit, val: AnySplit) -> tuple[Classes, AnySplit, AnySplit]:
    """Keep `data.classes` and a stratified `data.images` of their training images.

    The result counts as the full data set.

    Raises:
        ConfigError: If there is no such class, or there are not so many classes or images.
    """
    if data.classes is not None:
        kept = _choose_classes(data, classes)
        classes, train, val = tuple(classes[c] for c in kept), _take_classes(train, kept), _take_classes(val, kept)
    if data.images is not None:
        full = len(train.labels)
        if data.images > full:
            raise ConfigError(f"data.images must be at most the {full:,} training images, got {data.images:,}")
        drawn = draw_subset(train.labels, classes, data.images / full, "independent", data.narrow_seed)
        train = train.take(drawn.indices)
    return classes, train, val


def _choose_classes(data: DataConfig, classes: Classes) -> list[int]:
    """Choose the numbers of the classes to keep, ascending."""
    if isinstance(data.classes, int):
        if data.classes > len(classes):
            raise ConfigError(f"data.classes must be at most the {len(classes)} classes there are, got {data.classes}")
        return sorted(permutation(len(classes), "classes", data.narrow_seed)[: data.classes].tolist())
    numbers = {name: number for number, name in enumerate(classes)}
    for name in data.classes or ():
        if name not in numbers:
            near = dict.fromkeys(_nearest(one, classes) for one in data.classes or ())
            wanted = typed_list("data.classes", near if len(near) > 1 else classes[:2])
            raise ConfigError(
                f"data.classes must name classes of the data, got '{shown(name)}'; did you mean "
                f"{shown(_nearest(name, classes))}? try {wanted}"
            )
    return sorted({numbers[name] for name in data.classes or ()})


def _nearest(name: str, classes: Classes) -> str:
    """Find the class whose name is most like another, however far."""
    # Case aside first: Hydra reads True, unless it is quoted, as the truth value, which is written `true`
    folded = [other for other in classes if other.casefold() == name.casefold()]
    return name if name in classes else (folded + difflib.get_close_matches(name, classes, n=1, cutoff=0.0))[0]


def _take_classes(split: AnySplit, kept: list[int]) -> AnySplit:
    """Take the images of some classes and number these from 0."""
    smaller = split.take(np.flatnonzero(np.isin(split.labels, kept)))
    # `kept` is sorted, so a class's new number is its rank there
    return replace(smaller, labels=np.searchsorted(kept, smaller.labels).astype(np.int64))
