"""Opens a data set by a class of the user's."""

import io
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datavol.cli.text import shown
from datavol.config.data import OwnDataConfig
from datavol.config.objects import build_object
from datavol.config.user_code import line_of
from datavol.data.sources.rows import Rows, open_rows
from datavol.data.sources.split import Division, Opened
from datavol.data.sources.storage.folder import DamagedFile
from datavol.errors import ConfigError, flat

OPTIONAL = ("splits", "groups", "names")
"""What a source may have beside labels and read: a text for each image."""


class OwnSource(Protocol):
    """Describes a user's data set: labels, and images by position.

    It may also have `classes` (then labels are numbers), and for each image a text in `splits` (train, val or test),
    `groups` (what must not be parted) and `names` (for messages and lists). `stamp(position)`, numbers that change with
    the image, allows decoded images to be cached.
    """

    labels: Sequence[Any]

    def read(self, position: int) -> bytes | Image.Image | NDArray[np.uint8]:
        """Read an image: bytes, picture or array (H, W[, 3])."""


def open_own(data: OwnDataConfig) -> Opened:
    """Open a user's data set, parted by its splits or data.val_fraction.

    Raises:
        ConfigError: If the class fails, or lacks what a source must have.
    """
    given = {} if data.root is None else {"root": data.root}
    source = build_object("data", data.target, data.options, **given)
    values = _each(source, "labels", data.target)
    if not callable(getattr(source, "read", None)) or values is None:
        lacks = " and ".join(name for name in ("labels", "read") if not hasattr(source, name)) or "a method read"
        raise ConfigError(f"data._target_ must give labels and read(position), got {data.target} without {lacks}")
    if data.cache != "off" and not hasattr(source, "stamp"):
        raise ConfigError(
            f"data.cache must be off unless {data.target} has stamp(position), by which changes show, "
            f"got {data.cache}; leave data.cache out"
        )
    labels = _labels(source, values, data.target)
    texts = {name: _texts(source, name, len(labels), data.target) for name in OPTIONAL}
    names = texts["names"] or [""] * len(labels)
    columns = {"groups": texts["groups"]} if texts["groups"] else {}
    rows = Rows(
        *(data.target, "data._target_", OwnImages(data.target, source)),
        [f"{position:07d}/{name}".rstrip("/").encode() for position, name in enumerate(names)],
        labels,
        texts["splits"] or [None] * len(labels),
        columns,
    )
    return open_rows(rows, Division.of(data), data.group or next(iter(columns), None))


def _labels(source: Any, values: list[Any], target: str) -> list[str]:
    """Read labels by name; numbers stand for `classes`."""
    try:
        labels = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ConfigError(f"labels of {target} must be names or numbers, one an image, got {flat(error)}") from None
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iuUO":
        raise ConfigError(
            f"labels of {target} must be names or numbers, one an image, got {labels.dtype} of shape {labels.shape}"
        )
    if odd := [label for label in labels.tolist() if not isinstance(label, str | int)]:  # None, or pandas' nan
        raise ConfigError(f"labels of {target} must be names or numbers, one an image, got {flat(odd[0])}")
    classes = _each(source, "classes", target)
    if labels.dtype.kind not in "iu" or classes is None:
        return [str(label) for label in labels.tolist()]
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ConfigError(
            f"labels of {target} must be numbers from 0 to {len(classes) - 1}, as it has {len(classes)} classes, got "
            f"{labels.min()} to {labels.max()}"
        )
    return [str(classes[label]) for label in labels.tolist()]


def _each(source: Any, name: str, target: str) -> list[Any] | None:
    """List what a source gives under a name; None without it."""
    try:
        values = getattr(source, name, None)
        if isinstance(values, str | bytes | Set | Mapping):  # a set's order differs between processes
            raise TypeError(f"a {type(values).__name__}")
        return None if values is None else list(values)
    except (Exception, SystemExit) as error:  # a class of the user's may raise anything
        raise ConfigError(
            f"{name} of {target} must be a list or an array, got {type(error).__name__}: {flat(error)[:200]}"
            f"{f' ({line})' if (line := line_of(error)) else ''}; mend it"
        ) from error


def _texts(source: Any, name: str, images: int, target: str) -> list[str]:
    """Read an optional text for each image; empty without it."""
    values = _each(source, name, target)
    if values is None:
        return []
    if len(values) != images:
        raise ConfigError(f"{name} of {target} must have a text for each of {images:,} images, got {len(values):,}")
    if lacking := [position for position, value in enumerate(values) if value is None or value != value]:  # or nan
        raise ConfigError(f"{name} of {target} must have a text for each image, got none for {lacking[0]:,}")
    return [str(value) for value in values]


@dataclass(frozen=True, eq=False)
class OwnImages:
    """Reads images of a user's source as bytes of files."""

    place: str  # its class
    source: OwnSource

    def read(self, key: str) -> bytes:
        """Read an image; what is no file becomes one, without loss."""
        try:
            image = self.source.read(_position(key))
            return image if isinstance(image, bytes) else _as_file(image)
        except OSError:
            raise
        except (Exception, SystemExit) as error:  # a class of the user's may raise anything
            raise DamagedFile(f"{type(error).__name__}: {flat(error)}") from error

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give the source's own stamp; a constant without one."""
        stamp = getattr(self.source, "stamp", None)
        if stamp is None:
            return (0,)
        try:
            marks = np.atleast_1d(stamp(_position(key)))
            if marks.dtype.kind not in "biuf":
                raise TypeError(f"{marks.tolist()}")
        except OSError:
            raise
        except (Exception, SystemExit) as error:  # a class of the user's may raise anything
            raise ConfigError(
                f"stamp of {self.place} must give a number, or several, got {type(error).__name__}: "
                f"{flat(error)[:200]} for image {_position(key):,}; mend it"
            ) from error
        return (0, *marks.tolist())

    def locate(self, key: str) -> str:
        """Write the image's number and name behind the class."""
        return f"{self.place}[{shown(key)}]"


def _position(key: str) -> int:
    return int(key.partition("/")[0])


def _as_file(image: Any) -> bytes:
    """Write a picture or an array as an uncompressed file."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise TypeError(f"read must give uint8 of shape (H, W) or (H, W, 3), got {image.dtype} of {image.shape}")
        image = Image.fromarray(image if image.ndim == 2 or image.shape[2] == 3 else image[:, :, 0])
    if not isinstance(image, Image.Image):
        raise TypeError(f"read must give bytes, a picture of Pillow's or an array, got a {type(image).__name__}")
    file = io.BytesIO()
    image.save(file, "PPM" if image.mode in ("L", "RGB") else "TIFF")
    return file.getvalue()
