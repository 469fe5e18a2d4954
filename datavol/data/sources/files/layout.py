"""Finds which folders hold training, validation and test images.

People name and nest them in many ways (`train/valid/test`, `Training/Testing`, a folder around all of it). Where there
is one reading it is taken and reported; where there are several, an error names them.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NoReturn

from datavol.cli.text import shown, typed
from datavol.data.sources.files.found import BY_TOOLS, FOLDER, few
from datavol.data.sources.files.scan import IMAGE_ENDINGS, kind_of
from datavol.errors import ConfigError

ROLES = {
    **dict.fromkeys(("train", "training", "trn", "trainings"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "evaluation", "eval"), "test"),
}
FILLERS = ("", "set", "data", "dataset", "images", "image", "imgs", "img", "pics", "seg", "split", "folder")


@dataclass(frozen=True)
class Layout:
    """Holds the folders of class folders in a data set."""

    train: str  # absolute, as all of them
    val: str | None
    test: str | None
    left_out: Counter[str] = field(default_factory=Counter)  # what lies beside and around them


def split_role(name: str) -> str | None:
    """Return `train`, `val` or `test` for a name that means only it.

    >>> [split_role(name) for name in ("Training", "seg_test", "val2017", "trainset", "train station")]
    ['train', 'test', 'val', 'train', None]
    """
    words = re.split(r"[\W\d_]+", name.lower())
    words = [re.sub("(set|data|images)$", "", word) for word in words if word not in FILLERS]
    return ROLES.get(words[0]) if len(words) == 1 else None


def find_layout(root: str) -> Layout:
    """Find the folders of a data set.

    Raises:
        ConfigError: If there are none, or several readings.
    """
    folders, files = _look(root)
    roles = {name: role for name in folders if (role := split_role(name))}
    if not folders:
        _no_folders(root, files)
    if not _are_splits(root, folders, roles):
        if len(folders) == 1 and _look(inner := os.path.join(root, folders[0]))[0]:  # a folder around the data
            layout = find_layout(inner)
            return replace(layout, left_out=layout.left_out + files)
        return Layout(root, None, None)
    others = [name for name in folders if name not in roles]
    chosen: dict[str, str] = {}
    for name, role in roles.items():
        if role in chosen:
            both = ", ".join(shown(name) for name in folders if roles.get(name) == role)
            raise ConfigError(f"data.root must hold one folder of {role} images, got {both} in {root}; move one away")
        chosen[role] = _unwrap(os.path.join(root, name), role)
    _check_one_reading(root, roles, others)
    left_out = files + Counter(FOLDER + name for name in others)
    return Layout(chosen["train"], chosen.get("val"), chosen.get("test"), left_out)


def _look(folder: str) -> tuple[list[str], Counter[str]]:
    """List a folder's folders, and count its files by kind."""
    try:
        with os.scandir(folder) as entries:
            kinds = [(entry.name, kind_of(os.fsencode(entry.name)), entry.is_dir()) for entry in entries]
    except OSError as error:
        raise ConfigError(f"data.root must be readable, got {folder!r} ({error.strerror}); check data.root") from error
    folders = sorted(name for name, kind, is_folder in kinds if is_folder and kind != BY_TOOLS)
    return folders, Counter(kind for _, kind, is_folder in kinds if not is_folder or kind == BY_TOOLS)


def _images(files: Counter[str]) -> int:
    return sum(files[ending] for ending in IMAGE_ENDINGS)


def _are_splits(root: str, folders: list[str], roles: dict[str, str]) -> bool:
    """Return whether the folders named like splits are splits, not classes."""
    found = set(roles.values())
    if found and len(roles) == len(folders):
        return len(folders) > 1 or not _wraps_splits(os.path.join(root, folders[0]))
    if found != {"train"}:
        return bool(found)
    # `train` may be a class of vehicles: it is one where it holds images alone, beside classes of other names
    return any(_look(os.path.join(root, name))[0] for name in roles)


def _wraps_splits(folder: str) -> bool:
    """Return whether a folder holds training images and others."""
    return "train" in map(split_role, _look(folder)[0])


def _unwrap(folder: str, role: str) -> str:
    """Enter a split's only folder of the same role, as in `training/training`."""
    folders, files = _look(folder)
    if len(folders) == 1 and not _images(files) and split_role(folders[0]) == role:
        return _unwrap(os.path.join(folder, folders[0]), role)
    return folder


def _check_one_reading(root: str, roles: dict[str, str], others: list[str]) -> None:
    """Raise a ConfigError if folders beside the splits could be classes."""
    names = " and ".join(map(shown, roles))
    train = next((name for name, role in roles.items() if role == "train"), None)
    classes = [] if train and len(roles) > 1 else [n for n in others if _images(_look(os.path.join(root, n))[1])]
    if classes:
        remedy = f" and try {typed('data.root', os.path.join(root, train))}" if train else ""
        raise ConfigError(
            f"data.root must hold folders named for splits or for classes, got both ({names}; {few(classes)}) in "
            f"{root}; move one kind away{remedy}"
        )
    if train is None:
        raise ConfigError(f"data.root must hold train beside val, got {names} alone in {root}; add the folder train")


def _no_folders(root: str, files: Counter[str]) -> NoReturn:
    images = _images(files)
    got = f"{images:,} image{'s' * (images > 1)} and no folder" if images else "no folder"
    remedy = f"try {typed('data.root', os.path.dirname(root))}" if images else "check data.root"
    raise ConfigError(f"data.root must hold train and val or a folder per class, got {got} in {root}; {remedy}")


def beside_train(root: str) -> str:
    """Return the parent of a `train` folder beside other splits, or nothing."""
    parent = os.path.dirname(root)
    if split_role(os.path.basename(root)) != "train":
        return ""
    try:
        names = os.listdir(parent)
    except OSError:  # the folder around it may be closed: then it is no choice
        return ""
    return parent if {"val", "test"} & set(map(split_role, names)) else ""
