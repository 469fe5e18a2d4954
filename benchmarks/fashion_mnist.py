"""A bounded, stratified share of Fashion-MNIST as idx files, so that datavol and its peers read the same images."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.arrays import ArraySplit, fashion_mnist

SOURCE = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts it."""


def write_share(source: Path, folder: Path, train: int, val: int, seed: int = 0) -> Path:
    """Write `train` and `val` images, spread evenly over the ten classes, as the four idx files; gives the folder."""
    classes, *splits = fashion_mnist(str(source), download=False)
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, split, count in zip(("train", "t10k"), splits, (train, val), strict=True):
        chosen = stratified(split, count, len(classes), rng)
        write_idx(folder / f"{part}-images-idx3-ubyte", split.images[chosen])
        write_idx(folder / f"{part}-labels-idx1-ubyte", split.labels[chosen].astype(np.uint8))
    return folder


def stratified(split: ArraySplit, count: int, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The places of `count` images, as many of each class as of any other, or one more."""
    shuffled = rng.permutation(len(split))
    within = np.empty(len(split), dtype=np.int64)  # an image's number among those of its class
    for label in range(classes):
        members = shuffled[split.labels[shuffled] == label]
        within[members] = np.arange(len(members))
    return np.sort(np.lexsort((split.labels, within))[:count])


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    """Write unsigned bytes of any shape as an idx file (http://yann.lecun.com/exdb/mnist)."""
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    file.write_bytes(header + np.ascontiguousarray(values).tobytes())
