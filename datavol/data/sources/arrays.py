"""Data sets that fit in memory as one array: scikit-learn's digits, Fashion-MNIST, CIFAR-10 and CIFAR-100."""

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
    """Labelled images in memory: uint8, (n, height, width) if gray or (n, height, width, 3)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, i: int) -> str:
        """The image's index as text."""
        return str(range(len(self))[i])

    def take(self, index: NDArray[np.int64]) -> ArraySplit:
        """The images of `index`, in its order; their keys count anew from 0."""
        return ArraySplit(self.images[index], self.labels[index])

    def digest(self) -> bytes:
        """What makes this split itself: sha256 of its labels, the arrays' shape and the pixels."""
        content = hashlib.sha256(self.labels.astype("<i8").tobytes())
        content.update(repr(self.images.shape).encode())
        content.update(np.ascontiguousarray(self.images).data)
        return content.digest()


Splits = tuple[tuple[str, ...], ArraySplit, ArraySplit]


def digits() -> tuple[tuple[str, ...], ArraySplit]:
    """The classes and all 1,797 digits, 0..16 stretched to 0..255; they come without a split."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return tuple(map(str, bunch.target_names)), ArraySplit(pixels, bunch.target.astype(np.int64))


def fashion_mnist(root: str | None, download: bool) -> Splits:
    """The classes, training and test images of four idx files, fetched by torchvision if `download` and missing."""
    place = _root(root, "fashion_mnist")
    folder = _idx_folder(place)
    if folder is None and download:
        from torchvision.datasets import FashionMNIST

        _fetched(FashionMNIST, place, "fashion_mnist")
        folder = _idx_folder(place)
    if folder is None:
        raise ConfigError(
            f"data.root must hold the four idx files of fashion_mnist, got {root}; set data.root to their folder, "
            f"try data.download=true, or {FASHION_PACKAGE}"
        )
    return FASHION_CLASSES, _idx_split(folder, "train"), _idx_split(folder, "t10k")


def cifar(name: str, root: str | None, download: bool) -> Splits:
    """The classes, training and test images of `cifar10` or `cifar100`, as torchvision reads and checks them."""
    from torchvision.datasets import CIFAR10, CIFAR100

    place, reader = _root(root, name), {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    if os.path.isfile(os.path.join(place, reader.train_list[0][0])):
        # The files themselves lie here, not the folder that torchvision would have made for them.
        reader = type(reader.__name__, (reader,), {"base_folder": ""})
    try:
        train = _fetched(reader, place, name) if download else reader(place)
        val = reader(place, train=False)
    except RuntimeError as error:
        if isinstance(error, RunError):
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


def _fetched(reader: Any, place: str, name: str) -> Any:
    """The training images by torchvision's `reader`, which fetches what is not there yet."""
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
    """The folder of all four idx files: `root` or torchvision's place below it."""
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
    """The unsigned bytes of an idx file (http://yann.lecun.com/exdb/mnist), gzipped if its name ends in `.gz`.

    Raises:
        ConfigError: the file is truncated, has bytes left over or is not an idx file of unsigned bytes.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise _damaged(path) from None
    if len(content) < 4 or content[:3] != b"\0\0\x08":  # 8 stands for unsigned bytes
        raise _damaged(path)
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], dtype=">u4").tolist() if len(content) >= start else [-1]
    if math.prod(shape) != len(content) - start:
        raise _damaged(path)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _damaged(path: str) -> ConfigError:
    return ConfigError(f"data.root must hold whole idx files of bytes, got a damaged {path}; fetch the file again")
