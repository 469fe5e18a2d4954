"""Gathers what is to be said of folders of images."""

import os
from collections import Counter

from datavol.cli.text import shown, typed
from datavol.data.sources.files.class_names import check_class_names
from datavol.data.sources.files.found import LEFT_BY_TOOLS, TOOLS, Found, count, few, fitting, plural
from datavol.data.sources.files.image_names import HEIF_ENDINGS, THUMBNAILS, UNREAD_ENDINGS
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.files.same_files import check_same_files
from datavol.data.sources.files.tree import Tree, at
from datavol.data.sources.folders.class_folders import ClassFolders


def found_in(
    tree: Tree, parts: list[ClassFolders], left_out: Counter[str], words: tuple[str, str], grouped: bool = False
) -> Found:
    """Describe train and val; check names and links.

    Without val, a part of train will be held out. `words` say where the two lie. With `grouped`, folders inside class
    folders are meant.
    """
    warnings = [line for part in parts for line in check_class_names(part.classes, at(tree, part.folder), "")]
    warnings += [line for part in parts for line in _inside(part, grouped)]
    left_out = sum((part.left_out for part in parts), left_out)
    splits, files = [part.split for part in parts], [part.files for part in parts]
    links = check_same_files("data.root", splits, files, held_out=len(parts) == 1)
    by_content = sum(part.by_content for part in parts)
    notes = [f"{plural(by_content, 'image')} without an ending, known by the first bytes"] if by_content else []
    warnings += of_left_out(left_out)
    return Found(tree.place, *words, "", left_out, (*notes, *links), tuple(dict.fromkeys(warnings)))


def _inside(part: ClassFolders, grouped: bool) -> list[str]:
    """Warn of classes that are no classes, and of folders inside them."""
    named = [name for name in part.classes if split_role(name)]
    are = "is a class" if len(named) == 1 else "are classes"
    lines = [f"{few(named)} {are} here, but named like a split"] if named else []
    thumbnails = [path for path in part.nested if os.path.basename(path).lower() in THUMBNAILS]
    if thumbnails:
        lines.append(
            f"thumbnails count as images of their class: {few(thumbnails)}; move them out, or list them for "
            "data.exclude"
        )
    if grouped:
        return lines
    lines += _same_inside(part)
    if others := [path for path in part.nested if path not in thumbnails]:
        lines.append(
            f"folders inside class folders count as part of these: {fitting(others)}; if the images of each "
            "belong together, as a clip's do, try data.group=folder; classes of their own need a table, with data=table"
        )
    return lines


def _same_inside(part: ClassFolders) -> list[str]:
    """Warn of classes that all hold folders of the same names.

    They may be the parts of a data set.
    """
    held: dict[str, set[str]] = {name: set() for name in part.classes}
    for path in part.nested:
        name, _, rest = path.partition("/")
        held[name].add(rest)
    first, second = part.classes[:2]
    if len(held[first]) < 2 or any(one != held[first] for one in held.values()):
        return []
    keys = [typed(f"data.{key}", os.path.join(part.folder, name)) for key, name in (("train", first), ("val", second))]
    return [
        f"{fitting(part.classes)} hold the same folders; if {fitting(sorted(held[first]))} are the classes try "
        f"{' '.join(keys)}"
    ]


def of_left_out(left_out: Counter[str]) -> list[str]:
    """Warn of images that nothing here reads, and of tools' files."""
    lines = []
    heif = Counter({kind: left_out[kind] for kind in HEIF_ENDINGS if kind in UNREAD_ENDINGS and left_out[kind]})
    unread = Counter({kind: left_out[kind] for kind in UNREAD_ENDINGS - {*HEIF_ENDINGS} if left_out[kind]})
    if heif:
        lines.append(f"images are left out that a plug-in reads: {count(heif)}; try pip install 'datavol[heif]'")
    if unread:
        lines.append(f"images are left out that no decoder here reads: {count(unread)}; convert them to PNG")
    tools = [kind.removesuffix(LEFT_BY_TOOLS) for kind in sorted(left_out) if kind.endswith(LEFT_BY_TOOLS)]
    if tools:
        lines.append(f"{TOOLS}: {few(tools)}; they are left out")
    return [shown(line) for line in lines]
