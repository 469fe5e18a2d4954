"""Opens ImageNet as Kaggle's archive or torchvision's script unpacks it."""

import os
import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from datavol.config.data import ImageNetConfig
from datavol.data.sources.files.class_names import check_same_classes
from datavol.data.sources.files.file_table import FileSplit, data_root, split_names
from datavol.data.sources.files.found import Found
from datavol.data.sources.files.tree import FolderTree
from datavol.data.sources.folders.class_folders import read_classes
from datavol.data.sources.folders.remarks import found_in
from datavol.data.sources.groups import with_groups
from datavol.data.sources.split import Classes, Opened
from datavol.data.sources.storage.folder import Folder
from datavol.data.sources.tables.table import read_rows
from datavol.errors import ConfigError


def open_imagenet(data: ImageNetConfig) -> Opened:
    """Open ImageNet, with or without class folders in val."""
    root = data_root(data.root)
    kaggle = os.path.join(root, "ILSVRC", "Data", "CLS-LOC")
    base = kaggle if os.path.isdir(kaggle) else root  # as Kaggle's archive unpacks, or torchvision's script
    for part in ("train", "val"):
        _check_wordnet_ids(os.path.join(base, part))
    tree = FolderTree(root, data.cache_dir)
    folders = [os.path.relpath(os.path.join(base, part), root) for part in ("train", "val")]
    train, flat = read_classes(tree, folders[0]), tree.table(folders[1])
    if flat.classes:
        val = read_classes(tree, folders[1])
        check_same_classes(train.classes, val.classes, base)
        found = found_in(tree, [train, val], Counter(), (folders[0], folders[1]))
        (own, evaluated_on), found = with_groups(data.group, [train.split, val.split], found)
        return train.classes, own, evaluated_on, found
    # Kaggle's val is flat: 50,000 images in one folder, whose classes a CSV file lists
    solution = os.path.expanduser(data.val_solution or os.path.join(root, "LOC_val_solution.csv"))
    labels = _flat_labels(split_names(flat.paths), solution, train.classes)
    found = Found(root, folders[0], f"{folders[1]} by {solution}", left_out=train.left_out + flat.left_out)
    flat_split = FileSplit(Folder(flat.root), flat.paths, labels)
    (own, evaluated_on), found = with_groups(data.group, [train.split, flat_split], found)
    return train.classes, own, evaluated_on, found


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
    wordnet_ids = {image: prediction.split(" ")[0] for image, prediction in rows}
    names = [os.path.splitext(os.fsdecode(image))[0] for image in images]
    for name in names:
        if name not in wordnet_ids:
            raise ConfigError(
                f"data.val_solution must list every image of val, got no {name!r} in {solution}; get it whole"
            )
    check_same_classes(classes, {wordnet_ids[name] for name in names}, solution)
    number = {wordnet_id: label for label, wordnet_id in enumerate(classes)}
    return np.array([number[wordnet_ids[name]] for name in names], dtype=np.int64)
