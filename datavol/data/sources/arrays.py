"""Reads digits, Fashion-MNIST and CIFAR into arrays."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.errors import ConfigError, RunError, flat

# The names that torchvision gives; the idx files hold numbers only.
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
FASHION_PACKAGE = "apt-get install dataset-fashion-mnist with data.root=/usr/share/datasets/fashion-mnist"


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """Holds labelled images in memory."""

    images: NDArray[np.uint8]  # (n, height, width) if gray, or (n, height, width, 3)
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None  # of each image, numbered over train and val

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, i: int) -> str:
        """Name image `i` by its index as text."""
        return str(range(len(self))[i])  # raises IndexError beyond the end

    def take(self, index: NDArray[np.int64]) -> ArraySplit:
        """Take the images of `index`; their keys count anew from 0."""
        groups = None if self.groups is None else self.groups[index]
        return ArraySplit(self.images[index], self.labels[index], groups)

    def digest(self) -> bytes:
        """Hash the labels, the shape and the pixels."""
        content = hashlib.sha256(self.labels.astype("<i8").tobytes())
        content.update(repr(self.images.shape).encode())
        content.update(np.ascontiguousarray(self.images).data)
        return content.digest()


Splits = tuple[tuple[str, ...], ArraySplit, ArraySplit]


def digits() -> tuple[tuple[str, ...], ArraySplit]:
    """Read the classes and all 1,797 digits of scikit-learn."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # from 0 .. 16
    return tuple(map(str, bunch.target_names)), ArraySplit(pixels, bunch.target.astype(np.int64))


def fashion_mnist(root: str | None, download: bool) -> Splits:
    """Read classes, training and test images of four idx files.

    With `download`, torchvision fetches the files that are missing.
    """
    place = _root(root, "fashion_mnist")
    folder = _idx_folder(place)
    if folder is None and download:
        from torchvision.datasets import FashionMNIST

        _fetch(FashionMNIST, place, "fashion_mnist")
        folder = _idx_folder(place)
    if folder is None:
        raise ConfigError(
            f"data.root must hold the four idx files of fashion_mnist, got {root}; set data.root to their folder, "
            f"try data.download=true, or {FASHION_PACKAGE}"
        )
    return FASHION_CLASSES, _idx_split(folder, "train"), _idx_split(folder, "t10k")


def cifar(name: str, root: str | None, download: bool) -> Splits:
    """Read classes, training and test images of CIFAR by torchvision."""
    from torchvision.datasets import CIFAR10, CIFAR100

    place, reader = _root(root, name), {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    if os.path.isfile(os.path.join(place, reader.train_list[0][0])):
        # The files themselves lie here, not the folder that torchvision would have made for them
        reader = type(reader.__name__, (reader,), {"base_folder": ""})
    try:
        train = _fetch(reader, place, name) if download else reader(place)
        val = reader(place, train=False)
    except RuntimeError as error:
        if isinstance(error, RunError):  # a failed download, which is a RuntimeError too
            raise
        raise ConfigError(
            f"data.root must hold the whole files of {name}, got {root}; "
            "set data.root to their folder or try data.download=true"
        ) from None
    return tuple(train.classes), _torchvision_split(train), _torchvision_split(val)


def _root(root: str | None, name: str) -> str:
    if root is None:
        raise ConfigError(f"data.root must be a folder with data={name}, got nothing; try data.root=data")
    return os.path.abspath(os.path.expanduser(root))


def _fetch(reader: Any, place: str, name: str) -> Any:
    """Read the training images; torchvision's `reader` fetches missing files."""
    try:
        return reader(place, download=True)
    except (OSError, RuntimeError) as error:
        reason = flat(error)
        raise RunError(
            f"data.download=true must reach the server of {name} and write to {place}, got {reason}; "
            "try again or set data.root to files already there"
        ) from error


def _torchvision_split(read: Any) -> ArraySplit:
    return ArraySplit(np.ascontiguousarray(read.data, dtype=np.uint8), np.asarray(read.targets, dtype=np.int64))


def _idx_folder(root: str) -> str | None:
    """Find the folder of the idx files: `root` or torchvision's below it."""
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    for folder in (root, os.path.join(root, "FashionMNIST", "raw")):
        if all(_idx_file(folder, name) for name in names):
            return folder
    return None


def _idx_file(folder: str, name: str) -> str | None:
    paths = (os.path.join(folder, name + ending) for ending in ("", ".gz"))
    return next(filter(os.path.isfile, paths), None)


def _idx_split(folder: str, part: str) -> ArraySplit:
    images = read_idx(_idx_file(folder, f"{part}-images-idx3-ubyte") or "")
    labels = read_idx(_idx_file(folder, f"{part}-labels-idx1-ubyte") or "")
    if len(images) != len(labels):
        raise ConfigError(
            f"{part} in {folder} must have a label for each image, got {len(images)} images and {len(labels)} labels; "
            "fetch the files again"
        )
    return ArraySplit(images, labels.astype(np.int64))


def read_idx(path: str) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped if named `.gz`.

    The format (http://yann.lecun.com/exdb/mnist): two zero bytes, the type, the number of axes, the length of each as a
    big-endian uint32, then the data.

    Raises:
        ConfigError: If the file is truncated, has bytes left over or is not an idx file of unsigned bytes.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise _damaged(path) from None
    if len(content) < 4 or content[:3] != b"\0\0\x08":  # type 8: unsigned bytes
        raise _damaged(path)
    start = 4 + 4 * content[3]  # of the data, behind the lengths
    shape = np.frombuffer(content[4:start], dtype=">u4").tolist() if len(content) >= start else [-1]
    if math.prod(shape) != len(content) - start:
        raise _damaged(path)
    # of a `bytearray`, which may be written to: torch warns of arrays that share memory and may not
    return np.frombuffer(bytearray(content), dtype=np.uint8, offset=start).reshape(shape)


def _damaged(path: str) -> ConfigError:
    return ConfigError(f"data.root must hold whole idx files of bytes, got a damaged {path}; fetch the file again")
