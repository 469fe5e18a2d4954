"""Finds which folders hold training, validation and test images.

People name and nest them in many ways (`train/valid/test`, `Training/Testing`, a folder around all of it). Where there
is one reading it is taken and reported; where there are several, an error names them, with a command for each.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice

from datavol.cli.text import shown, typed
from datavol.data.sources.files.found import FOLDER, few
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.tree import DEEP, Tree, at, holds_images, images_in, inside
from datavol.data.sources.folders.other_tasks import check_whole_images
from datavol.errors import ConfigError

DRAWN = "data.val_fraction=0.2"


@dataclass(frozen=True)
class Layout:
    """Holds the folders of train, val and test that hold class folders.

    Paths are from the top of the data set.
    """

    train: str
    val: str | None = None
    test: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)  # what lies beside and around them
    chosen: bool = False  # by the user, so that names mean nothing


def command(tree: Tree, train: str | None = None, val: str | None = None, *more: str) -> str:
    """Write the overrides that choose folders."""
    chosen = [typed(f"data.{key}", value) for key, value in (("train", train), ("val", val)) if value is not None]
    return " ".join(["data=image_folder", typed("data.root", tree.place), *chosen, *more])


def find_layout(tree: Tree, folder: str = "", val: str | None = None) -> Layout:
    """Find the folders of a data set.

    Args:
        tree: The data set.
        folder: Where in it to look.
        val: The folder of validation images, if it is chosen already.

    Raises:
        ConfigError: If there are several readings, or the images are labelled by more than a class.
    """
    check_whole_images(tree, folder, split_role)
    names = tree.look(folder)
    roles = {name: role for name in names.folders if (role := split_role(name))} or _roles_by_word(tree, folder)
    if not _are_splits(tree, folder, roles):
        return _enter(tree, folder, val) or Layout(folder)
    chosen: dict[str, str] = {} if val is None else {"val": val}
    for role in dict.fromkeys(roles.values()):
        if role not in chosen:
            chosen[role] = _unwrap(tree, _only(tree, folder, roles, role), role)
    used = {path.removeprefix(inside(folder, "")).partition("/")[0] for path in chosen.values()}
    others = [name for name in names.folders if name not in used]
    _check_one_reading(tree, folder, roles, others)
    check_whole_images(tree, chosen["train"], split_role)
    left_out = names.kinds + Counter(FOLDER + name for name in others)
    return Layout(chosen["train"], chosen.get("val"), chosen.get("test"), left_out)


def _roles_by_word(tree: Tree, folder: str) -> dict[str, str]:
    """Find the roles of folders such as `flowers_train` and `flowers_val`.

    They are splits, not classes, if all of them hold the same folders; else no role is returned.
    """
    roles: dict[str, str] = {}
    held = set()
    for name in tree.look(folder).folders:
        found = {role for word in re.split(r"[\W\d_]+", name) if word and (role := split_role(word))}
        within = inside(folder, name)
        if len(found) != 1 or images_in(tree, within):
            return {}
        roles[name] = found.pop()
        held.add(tuple(tree.look(within).folders))
    return roles if len(held) == 1 and "train" in roles.values() else {}


def _are_splits(tree: Tree, folder: str, roles: dict[str, str]) -> bool:
    """Return whether the folders named like splits are splits, not classes."""
    folders, found = tree.look(folder).folders, set(roles.values())
    if found and len(roles) == len(folders):
        return len(folders) > 1 or not _holds_splits(tree, inside(folder, folders[0]))
    if found != {"train"}:
        return bool(found)
    # `train` may be a class of vehicles: it is one where it holds images alone, beside classes of other names
    return any(tree.look(inside(folder, name)).folders for name in roles)


def _holds_splits(tree: Tree, folder: str) -> bool:
    """Return whether a folder holds training images and others."""
    return "train" in map(split_role, tree.look(folder).folders)


def _leads_to_splits(tree: Tree, folder: str) -> bool:
    folders = tree.look(folder).folders
    return _holds_splits(tree, folder) or (
        folder.count("/") < DEEP and any(_leads_to_splits(tree, inside(folder, name)) for name in folders)
    )


def _enter(tree: Tree, folder: str, val: str | None) -> Layout | None:
    """Enter the only folder with images, if it holds the data set.

    What lies beside it is left out. None where no folder is entered.
    """
    names = tree.look(folder)
    # Two will do: a thousand class folders are not all looked into
    full = list(islice((name for name in names.folders if holds_images(tree, inside(folder, name))), 2))
    if len(full) != 1 or not tree.look(within := inside(folder, full[0])).folders:
        return None
    beside = [name for name in names.folders if name not in full]
    # An empty folder is a class whose images are missing, and images beside folders are those of a class
    may_be_class = images_in(tree, within) or not all(tree.look(inside(folder, name)).files for name in beside)
    if beside and may_be_class and not _leads_to_splits(tree, within):
        return None
    layout = find_layout(tree, within, val)
    return replace(layout, left_out=layout.left_out + names.kinds + Counter(FOLDER + name for name in beside))


def _only(tree: Tree, folder: str, roles: dict[str, str], role: str) -> str:
    """Return the only folder of a role.

    Raises:
        ConfigError: If there are several.
    """
    alike = [name for name, other in roles.items() if other == role]
    if len(alike) == 1:
        return inside(folder, alike[0])
    paths = {
        split: [inside(folder, name) for name, other in roles.items() if other == split]
        for split in ("train", "val", "test")
    }
    evaluated = (paths["val"] or paths["test"] or [""])[0]
    if role == "train":
        more = [evaluated] if evaluated else [None, DRAWN]
        commands = [command(tree, path, *more) for path in paths["train"]]
    else:
        commands = [command(tree, None, path) for path in paths[role]]
    raise ConfigError(
        f"data.root must hold one folder of {role} images, got {', '.join(map(shown, alike))} in "
        f"{shown(at(tree, folder))}; try {', or '.join(commands)}"
    )


def _unwrap(tree: Tree, folder: str, role: str) -> str:
    """Enter a split's only folder of the same role, as in `training/training`."""
    folders = tree.look(folder).folders
    if len(folders) == 1 and not images_in(tree, folder) and split_role(folders[0]) == role:
        return _unwrap(tree, inside(folder, folders[0]), role)
    return folder


def _check_one_reading(tree: Tree, folder: str, roles: dict[str, str], others: list[str]) -> None:
    """Raise a ConfigError if folders beside the splits could be classes."""
    names, place = " and ".join(map(shown, roles)), shown(at(tree, folder))
    train = next((name for name, role in roles.items() if role == "train"), None)
    alone = train is None or len(roles) == 1
    classes = [name for name in others if images_in(tree, inside(folder, name))] if alone else []
    if classes:
        here = folder or "."
        split = inside(folder, next(iter(roles)))
        first = command(tree, split, None, DRAWN) if train else command(tree, here, split)
        raise ConfigError(
            f"data.root must hold folders named for splits or for classes, got both ({names}; {few(classes)}) in "
            f"{place}; if {names} is a split try {first}, if all are classes try {command(tree, here, None, DRAWN)}"
        )
    if train is None:
        evaluated = " or ".join(map(shown, roles))
        raise ConfigError(
            f"data.root must hold train beside val, got {names} alone in {place}; add the folder train, or to divide "
            f"{evaluated} try {command(tree, inside(folder, next(iter(roles))), None, DRAWN)}"
        )


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
