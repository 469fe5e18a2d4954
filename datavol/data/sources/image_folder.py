"""Opens folders of images and ImageNet, one folder per class."""

import os
import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown, typed
from datavol.config.data import ImageFolderConfig, ImageNetConfig
from datavol.data.sources.files.class_names import check_class_names, check_same_classes
from datavol.data.sources.files.file_table import FileSplit, FileTable, data_root, file_table, split_names
from datavol.data.sources.files.found import Found, count, few
from datavol.data.sources.files.layout import beside_train, find_layout, split_role
from datavol.data.sources.files.same_files import check_same_files
from datavol.data.sources.files.scan import IMAGE_ENDINGS
from datavol.data.sources.groups import with_groups
from datavol.data.sources.split import Classes, Opened, check_one_validation, hold_out
from datavol.data.sources.storage.folder import Folder
from datavol.data.sources.table import read_rows
from datavol.errors import ConfigError

ONE_CLASS = "give each class a folder, and set data.root to the folder around these"


def open_image_folder(data: ImageFolderConfig) -> Opened:
    """Open a folder with train and val, or one that val_fraction divides."""
    root = data_root(data.root)
    layout = find_layout(root)
    # A test folder is what is left to evaluate on where there is no other
    val = layout.val or (layout.test if data.val_fraction is None else None)
    train, left_out = _class_folders(layout.train, data.cache_dir), layout.left_out
    around = beside_train(root)
    remedy = f"{typed('data.root', around)}, which holds val beside train, or " if around else ""
    check_one_validation(val is not None, data.val_fraction, "data.root", "folder val", root, remedy)
    if layout.test not in (None, val):
        test = file_table(layout.test, data.cache_dir)
        left_out = (
            left_out
            + test.left_out
            + Counter({f"in the test folder {os.path.relpath(test.root, root)}": len(test.labels)})
        )
    if val is None:
        found = _found(root, [train], left_out, f"{data.val_fraction:g} of it, drawn")
        (whole,), found = with_groups(data.group, [train.in_classes()], found)
        return train.classes, *hold_out(whole, data.val_fraction or 0, data.split_seed), found
    evaluated = _class_folders(val, data.cache_dir)
    check_same_classes(train.classes, evaluated.classes, root)
    found = _found(root, [train, evaluated], left_out, os.path.relpath(val, root))
    (own, evaluated_on), found = with_groups(data.group, [train.in_classes(), evaluated.in_classes()], found)
    return train.classes, own, evaluated_on, found


def _class_folders(folder: str, cache_dir: str | None) -> FileTable:
    """List the images of two or more class folders without splits inside."""
    table = _class_table(folder, cache_dir)
    check_class_names(table.classes, folder, ONE_CLASS)
    for path in table.nested:
        if any(map(split_role, path.split("/"))):
            # cat/train and cat/val, val within train, or two data sets side by side, each with its splits
            data_set = os.path.join(folder, path.partition("/")[0])
            raise ConfigError(
                f"a class folder must hold no folders named for splits, got {shown(path)} in {shown(folder)}; try "
                f"{typed('data.root', data_set)} if that is a data set, else move it out or list the images in a "
                "table, with data=table"
            )
    return table


def _found(root: str, tables: list[FileTable], left_out: Counter[str], val: str) -> Found:
    """Describe the tables of train and val; check names and links.

    Without val, a part of train will be held out.
    """
    notes = [note for table in tables for note in check_class_names(table.classes, table.root, ONE_CLASS)]
    for table in tables:
        left_out = left_out + table.left_out + Counter({"outside of class folders": table.loose})
        if table.nested:
            notes.append(f"folders inside class folders count as part of these: {few(table.nested)}")
    splits = [table.in_classes() for table in tables]
    files = [table.files[table.labels >= 0] for table in tables]
    notes += check_same_files("data.root", splits, files, held_out=len(tables) == 1)
    train = os.path.relpath(tables[0].root, root)
    return Found(root, "the folder itself" if train == "." else train, val, left_out, tuple(dict.fromkeys(notes)))


def open_imagenet(data: ImageNetConfig) -> Opened:
    """Open ImageNet, with or without class folders in val."""
    root = data_root(data.root)
    kaggle = os.path.join(root, "ILSVRC", "Data", "CLS-LOC")
    base = kaggle if os.path.isdir(kaggle) else root  # as Kaggle's archive unpacks, or torchvision's script
    for part in ("train", "val"):
        _check_wordnet_ids(os.path.join(base, part))
    train = _class_table(os.path.join(base, "train"), data.cache_dir)
    flat = file_table(os.path.join(base, "val"), data.cache_dir)
    place = os.path.relpath(flat.root, root)
    if flat.classes:
        val = _class_table(flat.root, data.cache_dir)
        check_same_classes(train.classes, val.classes, base)
        found = _found(root, [train, val], Counter(), place)
        (own, evaluated_on), found = with_groups(data.group, [train.in_classes(), val.in_classes()], found)
        return train.classes, own, evaluated_on, found
    # Kaggle's val is flat: 50,000 images in one folder, whose classes a CSV file lists
    solution = os.path.expanduser(data.val_solution or os.path.join(root, "LOC_val_solution.csv"))
    labels = _flat_labels(split_names(flat.paths), solution, train.classes)
    found = Found(root, os.path.relpath(train.root, root), f"{place} by {solution}", train.left_out + flat.left_out)
    flat_split = FileSplit(Folder(flat.root), flat.paths, labels)
    (own, evaluated_on), found = with_groups(data.group, [train.in_classes(), flat_split], found)
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
        others = f"; left out are {count(table.left_out)}" if table.left_out else ""
        raise ConfigError(
            f"a class folder must hold images ({', '.join(IMAGE_ENDINGS)}), got none in {empty!r}; remove the folder, "
            f"or convert its files{others}"
        )
    return table
