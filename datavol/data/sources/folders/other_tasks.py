"""Recognises data sets made for detection and segmentation."""

import os
from collections.abc import Callable, Iterator

from datavol.cli.text import shown
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, kind_of
from datavol.data.sources.files.tree import Tree, at, images_in, inside
from datavol.errors import ConfigError

IMAGES = ("images", "image", "imgs", "img", "jpegimages")
BOXES = ("labels", "annotations", "annotation", "annots", "label", "bboxes", "boxes")  # folders of text, one per image
MASKS = (
    *("masks", "mask", "segmentationclass", "segmentation", "groundtruth", "ground_truth", "gt", "segmentations"),
    *("labels", "annotations", "label", "annotation"),
)
BOX_ENDINGS = (".txt", ".xml", ".json")
COMPARED = 50  # files of a folder of masks


Role = Callable[[str], str | None]  # the split that a folder's name means


def check_whole_images(tree: Tree, folder: str, role: Role) -> None:
    """Raise a ConfigError if a folder holds detection or segmentation data."""
    if found := next(_detection(tree, folder, role), ""):
        raise ConfigError(
            f"data.root must hold a folder per class, got detection data ({found}) in {shown(at(tree, folder))}; "
            "cut the boxes out into a folder per class, or list each image with one label in a table, with data=table"
        )
    if found := next(_segmentation(tree, folder), ""):
        raise ConfigError(
            f"data.root must hold a folder per class, got segmentation data ({found}) in {shown(at(tree, folder))}; "
            "list each image with one label in a table, with data=table, or sort the images into a folder per class"
        )


def _detection(tree: Tree, folder: str, role: Role) -> Iterator[str]:
    names = tree.look(folder)
    for boxes in (name for name in names.folders if name.lower() in BOXES):
        ending = _one_kind(tree, inside(folder, boxes))
        others = [name for name in names.folders if name != boxes and _is_flat(tree, inside(folder, name), role)]
        if ending in BOX_ENDINGS and others:
            yield f"{shown(others[0])} beside {shown(boxes)} with {ending} files"
    kinds = names.kinds
    images = [name for name in names.files if kind_of(os.fsencode(name)) in IMAGE_ENDINGS]
    if images and not names.folders:  # Roboflow's: each image beside its boxes, or all boxes in a file
        written = {os.path.splitext(name)[0] for name in names.files if os.path.splitext(name)[1] in BOX_ENDINGS}
        with_text = sum(os.path.splitext(name)[0] in written for name in images)
        if with_text > len(images) / 2:
            yield "a file of boxes beside each image"
        if kinds[".json"] and any(name.endswith(".coco.json") for name in names.files):
            yield "a .coco.json file beside the images"


def _is_flat(tree: Tree, folder: str, role: Role) -> bool:
    """Return whether a folder holds images that lie in no class folders."""
    inner = [inside(folder, name) for name in tree.look(folder).folders if role(name)]
    return any(images_in(tree, one) for one in (folder, *inner))


def _segmentation(tree: Tree, folder: str) -> Iterator[str]:
    folders = tree.look(folder).folders
    for images in (name for name in folders if name.lower() in IMAGES):
        for masks in (name for name in folders if name.lower() in MASKS and name != images):
            stems = [
                {os.path.splitext(name)[0] for name in _first_files(tree, inside(folder, one))}
                for one in (images, masks)
            ]
            found = sorted(stems[1])[:COMPARED]
            # `7.png` of a mask is `7.jpg` or the beginning of `7_mask.png`
            if found and all(any(stem[:end] in stems[0] for end in range(len(stem), 0, -1)) for stem in found):
                yield f"{shown(images)} beside {shown(masks)} of the same names"


def _first_files(tree: Tree, folder: str) -> list[str]:
    """List a folder's files; without any, those of its first folder.

    The first folder is looked into in the same way.
    """
    names = tree.look(folder)
    if names.files or not names.folders:
        return names.files
    return _first_files(tree, inside(folder, names.folders[0]))


def _one_kind(tree: Tree, folder: str) -> str:
    """Return the one ending of a folder's files, unless they are images.

    Empty where they have several. Files that come with annotations, such as `.yaml`, do not count.
    """
    kinds = {kind_of(os.fsencode(name)) for name in _first_files(tree, folder)} - {".yaml", ".cache"}
    kinds -= {".txt"} if {".txt", ".xml"} <= kinds or {".txt", ".json"} <= kinds else set()
    return next(iter(kinds)) if len(kinds) == 1 and not images_in(tree, folder) else ""
