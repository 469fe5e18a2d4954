"""Refuses images that lie in no class folders; finds tables that label them."""

import os
from itertools import islice

from datavol.cli.text import shown, typed
from datavol.data.sources.files.found import plural
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.tree import Tree, at, holds_images, image_names, images_in, inside
from datavol.data.sources.folders.layout import DRAWN, Layout, beside_train, command
from datavol.data.sources.place import open_place
from datavol.data.sources.tables.columns import SeveralColumns, Table
from datavol.data.sources.tables.paths import Paths
from datavol.data.sources.tables.sheet import Sheet, open_sheet
from datavol.errors import ConfigError

TABLES = (".csv", ".tsv", ".txt")


def check_flat(tree: Tree, layout: Layout) -> None:
    """Raise a ConfigError unless the training images lie in class folders."""
    folder, folders = layout.train, tree.look(layout.train).folders
    if len(folders) == 1 and not tree.look(within := inside(folder, folders[0])).folders:
        folder = within if labelling_tables(tree, within) else folder  # one class, or the images of a table
    if folders and folder == layout.train:
        return
    images, place = images_in(tree, folder), shown(at(tree, folder))
    got = f"{plural(images, 'image')} and no folder" if images else "no folder"
    remedy = _remedy(tree, layout, folder, images)
    raise ConfigError(f"a folder of images must hold a folder per class, got {got} in {place}; {remedy}")


def _remedy(tree: Tree, layout: Layout, folder: str, images: int) -> str:
    if not images:
        return "check data.root"
    if commands := labelling_tables(tree, folder):
        return f"try {', or '.join(commands)}"
    if layout.val is not None and not tree.look(layout.val).folders:
        top = os.path.dirname(layout.train) or "."
        return f"sort the images into them, or if train and val are classes try {command(tree, top, None, DRAWN)}"
    if not folder and (around := _class_folders_around(tree.place)):
        return f"try data=image_folder {around}"
    return "sort the images into them, or list them in a table, with data=table"


def _class_folders_around(root: str) -> str:
    """Write overrides for the folder around `root`, if it holds classes.

    Empty where it holds no two classes, or cannot be opened.
    """
    around = os.path.dirname(root)
    try:
        tree = open_place(around, None)
        full = list(islice((name for name in tree.look("").folders if holds_images(tree, name)), 2))
    except ConfigError:  # the folder around may be closed
        return ""
    whole = beside_train(around)
    if len(full) < 2 or (not whole and any(map(split_role, full))):
        return ""
    return typed("data.root", whole) if whole else f"{typed('data.root', around)} {DRAWN}"


def labelling_tables(tree: Tree, folder: str) -> list[str]:
    """Write a command for each table that labels a folder's images.

    Tables are looked for in the folder and in those around it.
    """
    if not any(image_names(tree, folder)):
        return []
    parts = folder.split("/") if folder else []
    tops = ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]
    files = [(top, name) for top in tops for name in tree.look(top).files if name.lower().endswith(TABLES)]
    files = [(top, name) for top, name in files if "submission" not in name]
    asked: dict[str, str | None] = dict.fromkeys(("path", "label", "split"))
    return [command for top, name in files for command in _commands(tree, inside(top, name), folder, asked)]


def _commands(tree: Tree, file: str, folder: str, asked: dict[str, str | None]) -> list[str]:
    """Write the commands that read a table of a folder's images.

    Empty unless its first row names a file that is there; one for each reading where several columns would do.
    """
    path, beside = at(tree, file), os.path.dirname(at(tree, file))
    places = [Paths(open_place(root, None), "utf-8") for root in dict.fromkeys((beside, at(tree, folder)))]
    named = Table(path, command="data=table")
    try:
        sheet = open_sheet(named, asked, None, lambda name: any(paths.is_file(name) for paths in places))
        _, first = next(sheet.rows(), (0, list[str]()))
    except SeveralColumns as several:
        choices = [asked | {several.role: name} for name in several.names]
        return [command for choice in choices for command in _commands(tree, file, folder, choice)]
    except ConfigError:
        return []
    for paths in places:
        if first and paths.is_file(first[sheet.columns.path]):
            root = paths.tree.place
            chosen = [] if root == beside else [typed("data.root", root)]
            return [" ".join(["data=table", typed("data.table", path), *chosen, *_columns(sheet, first)])]
    return []


def _columns(sheet: Sheet, first: list[str]) -> list[str]:
    """Write the overrides that name a table's columns."""
    columns, names = sheet.columns, sheet.header
    given = (
        [typed(f"data.columns.{role}", names[getattr(columns, role)]) for role in ("path", "label")] if names else []
    )
    split = columns.split is not None and split_role(first[columns.split])
    return given if split else [*given, DRAWN]
