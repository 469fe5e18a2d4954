"""Opens folders of images and ImageNet, one folder per class."""

import os
import re

import numpy as np
from numpy.typing import NDArray

from datavol.config.data import ImageFolderConfig, ImageNetConfig
from datavol.data.sources.file_table import IMAGE_ENDINGS, FileSplit, FileTable, data_root, file_table, split_names
from datavol.data.sources.split import Classes, Splits, check_one_validation, check_same_classes, hold_out
from datavol.data.sources.table import read_rows
from datavol.errors import ConfigError


def open_image_folder(data: ImageFolderConfig) -> Splits:
    """Open a folder with train and val, or one that val_fraction divides."""
    root = data_root(data.root)
    folders = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    if not folders:
        raise ConfigError(
            f"data.root must hold train and val or a folder per class, got no folder in {root}; check data.root"
        )
    check_one_validation("val" in folders, data.val_fraction, "data.root", "folder val", root)
    if "val" in folders and "train" not in folders:
        raise ConfigError(f"data.root must hold train beside val, got val alone in {root}; add the folder train")
    # Without val, a folder train may still hold the classes, else the root does
    train = _class_table(os.path.join(root, "train") if "train" in folders else root, data.cache_dir)
    if data.val_fraction is not None:
        return train.classes, *hold_out(train.in_classes(), data.val_fraction, data.split_seed)
    val = _class_table(os.path.join(root, "val"), data.cache_dir)
    check_same_classes(train.classes, val.classes, root)
    return train.classes, train.in_classes(), val.in_classes()


def open_imagenet(data: ImageNetConfig) -> Splits:
    """Open ImageNet, with or without class folders in val."""
    root = data_root(data.root)
    kaggle = os.path.join(root, "ILSVRC", "Data", "CLS-LOC")
    base = kaggle if os.path.isdir(kaggle) else root  # as Kaggle's archive unpacks, or torchvision's script
    for part in ("train", "val"):
        _check_wordnet_ids(os.path.join(base, part))
    train = _class_table(os.path.join(base, "train"), data.cache_dir)
    flat = file_table(os.path.join(base, "val"), data.cache_dir)
    if flat.classes:
        val = _class_table(flat.root, data.cache_dir)
        check_same_classes(train.classes, val.classes, base)
        return train.classes, train.in_classes(), val.in_classes()
    # Kaggle's val is flat: 50,000 images in one folder, whose classes a CSV file lists
    solution = os.path.expanduser(data.val_solution or os.path.join(root, "LOC_val_solution.csv"))
    labels = _flat_labels(split_names(flat.paths), solution, train.classes)
    return train.classes, train.in_classes(), FileSplit(flat.root, flat.paths, labels)


def _check_wordnet_ids(folder: str) -> None:
    """Raise unless a folder exists and its folders are WordNet ids."""
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
    """Look up labels of val images in Kaggle's CSV file."""
    if not os.path.isfile(solution):
        raise ConfigError(
            "data.val_solution must be Kaggle's LOC_val_solution.csv when val has no class folders, "
            f"got no {solution}; try data.val_solution=/path/to/LOC_val_solution.csv"
        )
    rows = read_rows(solution, "data.val_solution", ("ImageId", "PredictionString"))
    # A prediction string is "n01440764 left top right bottom", once per box; all boxes are of one class
    wordnet_ids = {row["ImageId"]: row["PredictionString"].split(" ")[0] for _, row in rows}
    names = [os.path.splitext(os.fsdecode(image))[0] for image in images]
    for name in names:
        if name not in wordnet_ids:
            raise ConfigError(
                f"data.val_solution must list every image of val, got no {name!r} in {solution}; get it whole"
            )
    check_same_classes(classes, {wordnet_ids[name] for name in names}, solution)
    number = {wordnet_id: label for label, wordnet_id in enumerate(classes)}
    return np.array([number[wordnet_ids[name]] for name in names], dtype=np.int64)


def _class_table(folder: str, cache_dir: str | None) -> FileTable:
    """List the images of class folders, none of which may be empty."""
    table = file_table(folder, cache_dir)
    if not table.classes:
        raise ConfigError(f"a folder of images must hold a folder per class, got none in {folder}; check data.root")
    # Images per class, without those beside the class folders; a class may have none
    counts = np.bincount(table.labels[table.labels >= 0], minlength=len(table.classes))
    if not counts.all():
        empty = os.path.join(folder, table.classes[int(np.argmin(counts))])
        raise ConfigError(
            f"a class folder must hold images ({', '.join(IMAGE_ENDINGS)}), got none in {empty!r}; remove the folder"
        )
    return table
