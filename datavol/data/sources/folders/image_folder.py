"""Opens folders of images, one folder per class."""

import os
from collections import Counter

from datavol.cli.text import shown, typed
from datavol.config.data import ImageFolderConfig
from datavol.data.sources.files.class_names import check_class_names, check_same_classes
from datavol.data.sources.files.found import FOLDER, plural
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.tree import Tree, at, images_in, inside
from datavol.data.sources.folders.class_folders import ClassFolders, divide_inside, read_classes
from datavol.data.sources.folders.flat import check_flat
from datavol.data.sources.folders.layout import DRAWN, Layout, beside_train, command, find_layout
from datavol.data.sources.folders.packed import check_packed
from datavol.data.sources.folders.remarks import found_in
from datavol.data.sources.groups import with_groups
from datavol.data.sources.place import open_place
from datavol.data.sources.split import Division, Opened, check_one_validation, hold_out
from datavol.errors import ConfigError

ONE_CLASS = "give each class a folder, and set data.root to the folder around these"


def open_image_folder(data: ImageFolderConfig) -> Opened:
    """Open a folder with train and val, or one that val_fraction divides."""
    return open_tree(open_place(data.root, data.cache_dir), data)


def open_tree(tree: Tree, data: ImageFolderConfig) -> Opened:
    """Open the class folders of a folder, or of an archive."""
    check_packed(tree)
    layout, division = _layout(tree, data), Division.of(data)
    check_flat(tree, layout)
    train = _class_folders(tree, layout.train, layout)
    if halves := None if layout.chosen else divide_inside(train):
        train, val, left_out, words = halves
        check_one_validation(True, division, "data.root", "folder val in each class", tree.place)
        return _opened(tree, data, train, val, layout.left_out + left_out, words)
    _check_no_splits_inside(tree, train, layout)
    val_folder, words = _validation(tree, data, layout)
    left_out = layout.left_out + _test_left_out(tree, data, layout, val_folder)
    if val_folder is None:
        return _opened(tree, data, train, None, left_out, words)
    val = _class_folders(tree, val_folder, layout)
    _check_no_splits_inside(tree, val, layout)
    return _opened(tree, data, train, val, left_out, words)


def _layout(tree: Tree, data: ImageFolderConfig) -> Layout:
    """Find the folders of train and val, or take the chosen ones."""
    val = None if data.val is None else _chosen_folder(tree, "val", data.val)
    if data.train is None:
        layout = find_layout(tree, "", val)
        return layout if val is None else Layout(layout.train, val, None, layout.left_out, layout.chosen)
    train = _chosen_folder(tree, "train", data.train)
    if val == train:
        raise ConfigError(
            f"data.val must be another folder than data.train, got {shown(data.val or '')} for both; leave one out"
        )
    if val is None and not Division.of(data).given:
        val = _beside(tree, train)
    names = tree.look("")
    used = {path.partition("/")[0] for path in (train, val or "")}
    others = [] if train == "" else [name for name in names.folders if name not in used]
    left_out = names.kinds if train else Counter[str]()
    return Layout(train, val, None, left_out + Counter(FOLDER + name for name in others), chosen=True)


def _beside(tree: Tree, train: str) -> str | None:
    """Find the only validation folder beside `train`, else the only test folder.

    None where there are several, or neither.
    """
    around = os.path.dirname(train)
    named = [(split_role(name), inside(around, name)) for name in tree.look(around).folders]
    for wanted in ("val", "test"):
        if found := [folder for role, folder in named if role == wanted and folder != train]:
            return found[0] if len(found) == 1 else None
    return None


def _chosen_folder(tree: Tree, key: str, given: str) -> str:
    """Resolve data.train or data.val to a folder from the top."""
    path = os.path.normpath(os.path.relpath(given, tree.place) if os.path.isabs(given) else given)
    if path == "." and key == "train":
        return ""
    around = ""
    for name in path.split("/"):
        if name not in tree.look(around).folders:
            there = tree.look(around).folders
            remedy = f"; try {typed(f'data.{key}', os.path.join(around, there[0]))}" if there else ""
            raise ConfigError(f"data.{key} must be a folder in data.root, got {given!r} in {tree.place}{remedy}")
        around = os.path.join(around, name) if around else name
    return around


def _words(folder: str) -> str:
    return folder or "the folder itself"


def _validation(tree: Tree, data: ImageFolderConfig, layout: Layout) -> tuple[str | None, tuple[str, str]]:
    """Choose the folder to evaluate on; write where train and val lie.

    The folder is None where a part of train is held out.

    Raises:
        ConfigError: If the folder has no class folders, or it and `data.val_fraction` are both given, or neither.
    """
    train, division = _words(layout.train), Division.of(data)
    around = beside_train(tree.place) if layout.train == "" else ""
    remedy = f"{typed('data.root', around)}, which holds val beside train, or " if around else ""
    if layout.val is not None:
        if not tree.look(layout.val).folders and not layout.chosen:
            images = plural(images_in(tree, layout.val), "image")
            raise ConfigError(
                f"val must hold a folder per class, as train does, got {images} and no folder in "
                f"{shown(at(tree, layout.val))}; sort them, or try {command(tree, layout.train or '.', None, DRAWN)}"
            )
        check_one_validation(True, division, "data.root", "folder val", tree.place)
        return layout.val, (train, layout.val)
    # A test folder is what is left to evaluate on where there is no other
    if layout.test is not None and not division.given and tree.look(layout.test).folders:
        return layout.test, (train, f"{layout.test}, as there is no other")
    check_one_validation(False, division, "data.root", "folder val", tree.place, remedy)
    return None, (train, str(division))


def _test_left_out(tree: Tree, data: ImageFolderConfig, layout: Layout, val: str | None) -> Counter[str]:
    """Count what a test folder holds that is not evaluated."""
    if layout.test in (None, val):
        return Counter()
    test = tree.table(layout.test or "")
    why = "the test folder" if test.classes else "the test folder without classes"
    return test.left_out + Counter({f"in {why} {layout.test}": len(test.labels)})


def _class_folders(tree: Tree, folder: str, layout: Layout) -> ClassFolders:
    """List the images of two or more class folders."""
    folders = read_classes(tree, folder)
    if layout.val is not None and os.path.dirname(layout.val) == folder and layout.val != folder:
        folders = folders.without(os.path.basename(layout.val))  # chosen to be no class
    check_class_names(folders.classes, at(tree, folder), ONE_CLASS)
    return folders


def _check_no_splits_inside(tree: Tree, folders: ClassFolders, layout: Layout) -> None:
    """Raise a ConfigError for class folders that hold folders of splits.

    These are `cat/train` of some classes, val within train, or data sets side by side.
    """
    mixed = next((path for path in folders.nested if any(map(split_role, path.split("/")))), None)
    if mixed is None or layout.chosen:
        return
    inner = [inside(folders.folder, name) for name in folders.classes]
    data_sets = [at(tree, folder) for folder in inner if len(_splits_with_classes(tree, folder)) > 1][:2]
    readings = [f"if {shown(one)} is the data set try data=image_folder {typed('data.root', one)}" for one in data_sets]
    whole = command(tree, folders.folder or ".", None, DRAWN)
    readings.append(f"if all images in {shown(mixed.partition('/')[0])} are of one class try {whole}")
    raise ConfigError(
        f"a class folder must hold no folders named for splits, got {shown(mixed)} in "
        f"{shown(at(tree, folders.folder))}; {', '.join(readings)}"
    )


def _splits_with_classes(tree: Tree, folder: str) -> set[str]:
    """Return which splits a folder holds, each with folders inside."""
    roles = {name: split_role(name) for name in tree.look(folder).folders}
    return {role for name, role in roles.items() if role and tree.look(inside(folder, name)).folders}


def _opened(
    tree: Tree,
    data: ImageFolderConfig,
    train: ClassFolders,
    val: ClassFolders | None,
    left_out: Counter[str],
    words: tuple[str, str],
) -> Opened:
    parts = [train] if val is None else [train, val]
    if val is not None:
        check_same_classes(train.classes, val.classes, tree.place)
    found = found_in(tree, parts, left_out, words, grouped=data.group is not None)
    splits, found = with_groups(data.group, [part.split for part in parts], found)
    if val is None:
        return train.classes, *hold_out(splits[0], Division.of(data)), found
    return train.classes, splits[0], splits[1], found
