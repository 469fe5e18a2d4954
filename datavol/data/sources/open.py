"""Where images come from: what `conf/data` names, opened as two labelled splits without decoding an image."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datavol.config import AnyData, DigitsConfig, ImageFolderConfig, ImageNetConfig, TableConfig, TorchvisionConfig
from datavol.data.sources.arrays import ArraySplit, cifar, digits, fashion_mnist
from datavol.data.sources.file_table import IMAGE_ENDINGS, FileSplit, FileTable, file_table, joined, parted
from datavol.data.sources.file_table import DamagedImage as DamagedImage  # part of what a split promises
from datavol.data.sources.restrict import restrict
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

Split = ArraySplit | FileSplit
AnySplit = TypeVar("AnySplit", ArraySplit, FileSplit)
Classes = tuple[str, ...]
Opened = tuple[Classes, Split, Split]


@dataclass(frozen=True, eq=False)
class Source:
    """What a data set is to the rest of datavol.

    Attributes:
        name: the config's source, such as `digits`.
        classes: their names, in the order of the labels.
        train: the images that subsets are drawn from.
        val: the images that every run is evaluated on.
        fingerprint: sha256 over the class names and both splits' labels and keys (files) or pixels (arrays).
    """

    name: str
    classes: Classes
    train: Split
    val: Split
    fingerprint: str


def open_source(data: AnyData) -> Source:
    """The data set that `data` names; file names are trusted, their content is not looked at.

    Raises:
        ConfigError: what is on disk is not what the source needs.
    """
    classes, train, val = restrict(data, *_opened(data))  # type: ignore[type-var]
    content = hashlib.sha256(joined(map(os.fsencode, classes)) + train.digest() + val.digest())
    return Source(data.source, classes, train, val, content.hexdigest())


def _opened(data: AnyData) -> Opened:
    match data:
        case DigitsConfig():
            classes, whole = digits()
            return classes, *_parts(whole, data.val_fraction, data.split_seed)
        case TorchvisionConfig(source="fashion_mnist"):
            return fashion_mnist(data.root, data.download)
        case TorchvisionConfig():
            return cifar(data.source, data.root, data.download)
        case ImageNetConfig():
            return _imagenet(data)
        case ImageFolderConfig():
            return _image_folder(data)
        case TableConfig():
            return _table(data)
    raise TypeError(f"a source without a reader: {data!r}")


def stratified_split(
    labels: NDArray[np.int64], val_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sorted indices of train and val.

    A class of n images gives round(n * val_fraction) to val, but at least one to each side; a single image is trained
    on. What a class gives depends on its own images alone.
    """
    held, order = np.zeros(len(labels), dtype=bool), np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    for label, members in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        count = min(len(members) - 1, max(1, round(len(members) * val_fraction)))
        held[members[permutation(len(members), "datavol split", seed, label)[:count]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _parts(whole: AnySplit, val_fraction: float, seed: int) -> tuple[AnySplit, AnySplit]:
    train, val = stratified_split(whole.labels, val_fraction, seed)
    if not len(val):
        raise ConfigError(
            f"data.val_fraction must find a class of 2 or more images, got {len(train)} classes of one; add images"
        )
    return whole.take(train), whole.take(val)


def _folder(root: str | None) -> str:
    """The absolute path of data.root, which is a folder."""
    if root is None:
        raise ConfigError("data.root must be a folder, got nothing; try data.root=/path/to/images")
    folder = os.path.abspath(os.path.expanduser(root))
    if not os.path.isdir(folder):
        kind = "is a file" if os.path.exists(folder) else "does not exist"
        raise ConfigError(f"data.root must be a folder, got {root}, which {kind}; try data.root=/path/to/images")
    return folder


def _class_table(folder: str, cache_dir: str | None) -> FileTable:
    """The images of a folder of class folders, each of which has some."""
    table = file_table(folder, cache_dir)
    if not table.classes:
        raise ConfigError(f"a folder of images must hold a folder per class, got none in {folder}; check data.root")
    counts = np.bincount(table.labels[table.labels >= 0], minlength=len(table.classes))
    if not counts.all():
        empty = os.path.join(folder, table.classes[int(np.argmin(counts))])
        raise ConfigError(
            f"a class folder must hold images ({', '.join(IMAGE_ENDINGS)}), got none in {empty!r}; remove the folder"
        )
    return table


def _same_classes(train: Iterable[str], val: Iterable[str], place: str) -> None:
    for has, lacks, names in (("train", "val", set(train) - set(val)), ("val", "train", set(val) - set(train))):
        if names:
            raise ConfigError(
                f"train and val must have the same classes in {place}, got {min(names)!r} in {has} only; "
                f"add it to {lacks} or remove it"
            )


def _image_folder(data: ImageFolderConfig) -> Opened:
    root = _folder(data.root)
    folders = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    _check_layout(root, folders, data.val_fraction)
    train = _class_table(os.path.join(root, "train") if "train" in folders else root, data.cache_dir)
    if data.val_fraction is not None:
        return train.classes, *_parts(train.in_classes(), data.val_fraction, data.split_seed)
    val = _class_table(os.path.join(root, "val"), data.cache_dir)
    _same_classes(train.classes, val.classes, root)
    return train.classes, train.in_classes(), val.in_classes()


def _check_layout(root: str, folders: set[str], val_fraction: float | None) -> None:
    """Raise unless exactly one of root/val and val_fraction says what the images to evaluate on are."""
    if not folders:
        raise ConfigError(
            f"data.root must hold train and val or a folder per class, got no folder in {root}; check data.root"
        )
    if "val" not in folders and val_fraction is None:
        raise ConfigError(
            f"data.val_fraction must be given when data.root has no folder val, got null with {root}; "
            "try data.val_fraction=0.2"
        )
    if "val" in folders and val_fraction is not None:
        raise ConfigError(
            f"data.val_fraction must be null when data.root has a folder val, got {val_fraction:g}; "
            "leave data.val_fraction out"
        )
    if "val" in folders and "train" not in folders:
        raise ConfigError(f"data.root must hold train beside val, got val alone in {root}; add the folder train")


def _imagenet(data: ImageNetConfig) -> Opened:
    root = _folder(data.root)
    kaggle = os.path.join(root, "ILSVRC", "Data", "CLS-LOC")
    base = kaggle if os.path.isdir(kaggle) else root
    for part in ("train", "val"):
        _check_wordnet_ids(os.path.join(base, part))
    train = _class_table(os.path.join(base, "train"), data.cache_dir)
    flat = file_table(os.path.join(base, "val"), data.cache_dir)
    if flat.classes:
        val = _class_table(flat.root, data.cache_dir)
        _same_classes(train.classes, val.classes, base)
        return train.classes, train.in_classes(), val.in_classes()
    solution = os.path.expanduser(data.val_solution or os.path.join(root, "LOC_val_solution.csv"))
    labels = _flat_labels(parted(flat.paths), solution, train.classes)
    return train.classes, train.in_classes(), FileSplit(flat.root, flat.paths, labels)


def _check_wordnet_ids(folder: str) -> None:
    """Raise unless `folder` is there and all folders in it are named by WordNet id."""
    if not os.path.isdir(folder):
        raise ConfigError(
            f"data.root must hold train and val of ImageNet, got no {folder}; try data.root=/data/imagenet"
        )
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    wrong = next((name for name in names if not re.fullmatch(r"n\d{8}", name)), None)
    if wrong is not None:
        raise ConfigError(
            f"a class folder of data=imagenet must be a WordNet id (n and 8 digits), got {wrong!r} in {folder}; "
            "try data=image_folder"
        )


def _flat_labels(images: list[bytes], solution: str, classes: Classes) -> NDArray[np.int64]:
    """The labels of a val folder without class folders, by Kaggle's CSV file, which may list more images."""
    if not os.path.isfile(solution):
        raise ConfigError(
            "data.val_solution must be Kaggle's LOC_val_solution.csv when val has no class folders, "
            f"got no {solution}; try data.val_solution=/path/to/LOC_val_solution.csv"
        )
    rows = _rows(solution, "data.val_solution", ("ImageId", "PredictionString"))
    wordnet_ids = {row["ImageId"]: row["PredictionString"].split(" ")[0] for _, row in rows}
    names = [os.path.splitext(os.fsdecode(image))[0] for image in images]
    for name in names:
        if name not in wordnet_ids:
            raise ConfigError(
                f"data.val_solution must list every image of val, got no {name!r} in {solution}; get it whole"
            )
    _same_classes(classes, {wordnet_ids[name] for name in names}, solution)
    number = {wordnet_id: label for label, wordnet_id in enumerate(classes)}
    return np.array([number[wordnet_ids[name]] for name in names], dtype=np.int64)


def _rows(path: str, name: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of the CSV file that key `name` points to, with their line numbers; each has text in all `columns`."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            for column in columns:
                if column not in (reader.fieldnames or ()):
                    raise ConfigError(f"{name} must have the columns {', '.join(columns)}, got no {column} in {path}")
            for row in reader:
                if not all(row[column] and "\0" not in row[column] for column in columns):
                    raise ConfigError(
                        f"{name} must have text for {', '.join(columns)} in every row, "
                        f"got a gap or NUL on line {reader.line_num} of {path}"
                    )
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} must be a readable CSV file, got {path} ({reason}); check {name}") from error


def _table(data: TableConfig) -> Opened:
    if data.table is None:
        raise ConfigError(
            "data.table must be a CSV file with the columns path, label and split, got nothing; "
            "try data.table=/path/to/labels.csv"
        )
    table = os.path.abspath(os.path.expanduser(data.table))
    root = os.path.dirname(table) if data.root is None else _folder(data.root)
    paths, names, parts = _columns(table)
    classes = tuple(sorted(set(names)))
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for name in names], dtype=np.int64)
    whole = FileSplit(root, joined(map(os.fsencode, paths)), labels)
    _check_split_column(table, parts, data.val_fraction)
    if data.val_fraction is not None:
        return classes, *_parts(whole, data.val_fraction, data.split_seed)
    in_val = np.array(parts) == "val"
    train, val = whole.take(np.flatnonzero(~in_val)), whole.take(np.flatnonzero(in_val))
    has_train, has_val = ([classes[i] for i in np.unique(split.labels)] for split in (train, val))
    _same_classes(has_train, has_val, table)
    return classes, train, val


def _columns(table: str) -> tuple[list[str], list[str], list[str]]:
    """The paths, labels and splits (empty without that column) of a table."""
    paths, labels, parts, seen = [], [], [], set()
    for line, row in _rows(table, "data.table", ("path", "label")):
        if row["path"] in seen:
            raise ConfigError(
                f"data.table must name each path once, got {row['path']!r} again on line {line} of {table}; remove one"
            )
        if "split" in row and row["split"] not in ("train", "val"):
            raise ConfigError(
                f"data.table must have train or val in column split, got {row['split']!r} on line {line} of {table}"
            )
        seen.add(row["path"])
        paths.append(row["path"])
        labels.append(row["label"])
        parts += [row["split"]] if "split" in row else []
    if not paths:
        raise ConfigError(f"data.table must have a row per image, got none in {table}")
    return paths, labels, parts


def _check_split_column(table: str, parts: list[str], val_fraction: float | None) -> None:
    """Raise unless exactly one of the column split and val_fraction says what the images to evaluate on are."""
    if not parts and val_fraction is None:
        raise ConfigError(
            f"data.val_fraction must be given when data.table has no column split, got null with {table}; "
            "try data.val_fraction=0.2"
        )
    if parts and val_fraction is not None:
        raise ConfigError(
            f"data.val_fraction must be null when data.table has a column split, got {val_fraction:g}; "
            "leave data.val_fraction out"
        )
