"""Names what opens a folder without images, whose archives or tables hold them."""

import os
from collections.abc import Iterator

from datavol.cli.text import shown, typed
from datavol.data.sources.files.file_table import cache_path
from datavol.data.sources.files.tree import FolderTree, Tree, at, holds_images, inside
from datavol.data.sources.storage.archives import open_archives
from datavol.errors import ConfigError

PACKED = (".zip", ".tar", ".parquet", ".arrow")
DEEP = 3  # folders inside each other that are looked into
LABELS = (b".cls", b".json")  # members beside images, in shards


def check_packed(tree: Tree) -> None:
    """Raise if a folder holds images in archives or tables alone."""
    if not isinstance(tree, FolderTree) or holds_images(tree, ""):
        return
    found = list(_packed(tree, ""))
    if found:
        kinds = sorted({os.path.splitext(path)[1] for path in found})
        raise ConfigError(
            f"a folder of images must hold images, got {len(found):,} {' and '.join(kinds)} files in "
            f"{shown(tree.place)}; {_remedy(tree, found)}"
        )


def _packed(tree: Tree, folder: str) -> Iterator[str]:
    names = tree.look(folder)
    yield from (inside(folder, name) for name in names.files if os.path.splitext(name)[1].lower() in PACKED)
    if folder.count("/") < DEEP - 1:
        for name in names.folders:
            yield from _packed(tree, inside(folder, name))


def _remedy(tree: FolderTree, found: list[str]) -> str:
    kinds = {os.path.splitext(path)[1].lower() for path in found}
    if kinds <= {".parquet", ".arrow"}:
        return f"try data=hugging_face {typed('data.root', at(tree, _saved(tree, found[0])))}"
    first = at(tree, found[0])
    if kinds == {".tar"} and _is_shard(first, tree.cache_dir):
        return f"try data=webdataset {typed('data.root', tree.place)}"
    if len(found) == 1:
        return f"try data=image_folder {typed('data.root', first)}"
    return "unpack them into one folder, or pack all into one archive, and set data.root to that"


def _saved(tree: Tree, table: str) -> str:
    """Find the outermost folder that `save_to_disk` wrote around a table."""
    folders = table.split("/")[:-1]
    around = ["/".join(folders[:depth]) for depth in range(len(folders) + 1)]
    marks = {"dataset_dict.json", "state.json"}
    return next((folder for folder in around if marks & {*tree.look(folder).files}), "")


def _is_shard(archive: str, cache_dir: str | None) -> bool:
    """Return whether an archive has labels beside its images."""
    names = open_archives(archive, [archive], os.path.dirname(cache_path(archive, cache_dir))).names
    return any(name.endswith(LABELS) for name in names)
