"""Tests what a folder is taken for, what is said of it, and what is refused."""

import os
import re
from pathlib import Path

import pytest

from datavol.config.compose import compose
from datavol.data.sources.open import Source, open_source
from datavol.errors import ConfigError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "k").mkdir()
    return tmp_path / "k"


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def classes(*folders: str) -> list[str]:
    """Files of two classes in each of some folders."""
    return [f"{folder}/{name}/{i}.png".lstrip("/") for folder in folders for name in ("cat", "dog") for i in range(2)]


def opened(root: Path, val_fraction: float | None = None) -> Source:
    config = compose(["data=image_folder"])[0].config.data
    return open_source(config.model_copy(update={"root": str(root), "val_fraction": val_fraction}))


LAYOUTS = {  # files, the folders of train and val, and what is left out
    "Kaggle": (["Training", "Testing"], [], ("Training", "Testing"), None),
    "Keras": (["train", "validation"], [], ("train", "validation"), None),
    "capitals": (["Train", "Val"], [], ("Train", "Val"), None),
    "dev": (["train", "dev"], [], ("train", "dev"), None),
    "years": (["train2017", "val2017"], [], ("train2017", "val2017"), None),
    "Food-11": (["training", "evaluation"], [], ("training", "evaluation"), None),
    "Roboflow": (
        ["train", "valid", "test"],
        ["README.roboflow.txt", "train/_classes.csv", "test/cat/x.gif"],
        ("train", "valid"),
        "1 .csv, 1 .gif, 1 .txt, 4 in the test folder test",
    ),
    "a folder around": (
        ["flowers/train", "flowers/val"],
        ["__MACOSX/flowers/._1.jpg", ".DS_Store"],
        ("flowers/train", "flowers/val"),
        "2 hidden or left by tools",
    ),
    "twice": (
        ["x/x/train", "x/x/val", "x/x/old/train"],
        ["x/x/notes.md", "x/cover.jpg"],
        ("x/x/train", "x/x/val"),
        "1 .jpg, 1 .md, the folder old",
    ),
    "Intel": (
        ["seg_train/seg_train", "seg_test/seg_test"],
        ["seg_pred/seg_pred/1.jpg"],
        ("seg_train/seg_train", "seg_test/seg_test"),
        "the folder seg_pred",
    ),
    "endings": (
        ["train", "val"],
        ["train/cat/9.gif", "train/cat/8.avif", "train/dog/7.HEIC", "val/dog/LICENSE", "val/cat/a.b c", "val/1.png"],
        ("train", "val"),
        "1 .avif, 1 .gif, 1 .heic, 1 outside of class folders, 2 without ending",
    ),
    "tools": (
        ["train", "val"],
        [
            "train/@eaDir/1.png",
            "train/cat/@eaDir/1.png",
            "val/.ipynb_checkpoints/1.png",
            "val/cat/Thumbs.db",
            "val/._x",
        ],
        ("train", "val"),
        "5 hidden or left by tools",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_found_and_said(root, name):
    folders, files, (train, val), left_out = LAYOUTS[name]
    touch(root, *classes(*folders), *files)
    source = opened(root)
    assert source.lines == [
        f"{root}: 2 classes (cat, dog); train is {train} (4 images), val is {val} (4 images)",
        *([f"left out: {left_out}"] if left_out else []),
    ]
    assert (source.train.files.place, source.val.files.place) == (str(root / train), str(root / val))
    assert {source.train.key(i) for i in range(4)} == {f"{name}/{i}.png" for name in ("cat", "dog") for i in range(2)}


def test_another_name_of_a_jpeg_is_an_image(root):
    touch(root, *classes("train", "val"), "train/cat/a.JFIF", "train/cat/b.jpe")
    assert len(opened(root).train) == 6


@pytest.mark.parametrize("folder", ["", "flowers", "train", "flowers/train"])
def test_one_folder_of_classes_is_divided(root, folder):
    touch(root, *classes(folder))
    source = opened(root, 0.5)
    assert (len(source.train), len(source.val)) == (2, 2)
    assert source.lines[0].endswith(
        f"train is {folder or 'the folder itself'} (2 images), val is 0.5 of it, drawn (2 images)"
    )


def test_a_test_folder_stays_aside_where_val_is_drawn(root):
    touch(root, *classes("train", "test"))
    assert opened(root, 0.5).lines[1:] == ["left out: 4 in the test folder test"]


def test_what_is_found_is_the_same_from_the_cache(root):
    touch(root, *classes("train", "val"), "train/cat/x.gif", "train/cat/deep/1.png")
    assert opened(root).found == opened(root).found
    assert opened(root).lines[1:] == [
        "left out: 1 .gif",
        "note: folders inside class folders count as part of these: cat/deep",
    ]


def test_notes_are_said(root):
    """Upper and lower case tell classes of letters apart; a class of one image is trained on."""
    touch(root, "A/1.png", "A/2.png", "a/1.png", "a/2.png", "b/1.png")
    assert opened(root, 0.5).lines[1:] == [
        "note: classes A, a differ in upper and lower case only",
        "note: 1 of 3 classes have no validation image: b",
    ]


ONE_CLASS = (
    "data must have at least 2 classes, got one (cat) in {place}; give each class a folder, and set data.root to the "
    "folder around these"
)
SPLIT_INSIDE = (
    "a class folder must hold no folders named for splits, got {folder} in {place}; try data.root={place}/{choice} if "
    "that is a data set, else move it out or list the images in a table, with data=table"
)
ALIKE = "classes must differ in more than spaces, zeros or Unicode forms, got {names} in {place}; write them alike"
DIFFER = (
    "train and val must have the same classes in {place}, got {names}, which differ in case, spaces or Unicode form "
    "only; rename one"
)
BOTH = "data.root must hold folders named for splits or for classes, got both ({names}) in {place}; move one kind away"
ONE_FOLDER = "data.root must hold one folder of {role} images, got {names} in {place}; move one away"
FLAT = "a folder of images must hold a folder per class, got none in {place}; check data.root"
TEST_ALONE = "data.root must hold train beside val, got test alone in {place}; add the folder train"
CAFE, CAFE_OF_A_MAC = "caf\u00e9", "cafe\u0301"
LOOSE = ["cat/1.png", "dog/1.png"]
REFUSED = [  # a message, what stands in it, the folder that it names, and the files
    (ONE_CLASS, {}, "", ["cat/1.png", "cat/2.png"]),
    (ONE_CLASS, {}, "/photos", ["photos/cat/1.png"]),
    (ONE_CLASS, {}, "/train", ["train/cat/1.png", "val/cat/1.png"]),
    (SPLIT_INSIDE, {"folder": "cat/train", "choice": "cat"}, "", ["cat/train/1.png", "cat/val/1.png", "dog/val/1.png"]),
    (SPLIT_INSIDE, {"folder": "A/train", "choice": "A"}, "", classes("A/train", "B/train")),
    (SPLIT_INSIDE, {"folder": "val/cat", "choice": "val"}, "/train", classes("train", "train/val")),
    (BOTH + " and try data.root={place}/train", {"names": "train; cat, dog"}, "", [*LOOSE, *classes("train")]),
    (BOTH, {"names": "test; cat, dog"}, "", [*LOOSE, "test/1.png"]),
    (ONE_FOLDER, {"role": "train", "names": "Train, train"}, "", classes("train", "Train")),
    (ONE_FOLDER, {"role": "val", "names": "dev, val"}, "", classes("train", "dev", "val")),
    (TEST_ALONE, {}, "", classes("test")),
    (FLAT, {}, "/train", ["train/cat.1.jpg", "train/dog.1.jpg", "test1/1.jpg"]),
    (ALIKE, {"names": "'cat' and 'cat '"}, "/train", [*classes("train", "val"), "train/cat /1.png"]),
    (ALIKE, {"names": "'01' and '1'"}, "/train", ["train/1/a.png", "train/01/a.png", "val/1/a.png"]),
    (
        ALIKE,
        {"names": r"'cafe\u0301' and 'caf\xe9'"},
        "/train",
        [f"train/{CAFE}/1.png", f"train/{CAFE_OF_A_MAC}/1.png"],
    ),
    (DIFFER, {"names": "'Cat' and 'cat'"}, "", ["train/Cat/1.png", "train/dog/1.png", *classes("val")]),
    (
        DIFFER,
        {"names": r"'caf\xe9' and 'cafe\u0301'"},
        "",
        [*classes("train", "val"), f"train/{CAFE}/1.png", f"val/{CAFE_OF_A_MAC}/1.png"],
    ),
]


@pytest.mark.parametrize(("message", "words", "place", "files"), REFUSED)
def test_what_has_several_readings_or_none_is_refused_in_one_line(root, message, words, place, files):
    touch(root, *files)
    with pytest.raises(ConfigError, match=f"^{re.escape(message.format(**words, place=f'{root}{place}'))}$"):
        opened(root)


def test_a_folder_too_deep_is_answered_with_the_one_around_it(root):
    touch(root, *classes("train", "val"))
    with pytest.raises(ConfigError, match=rf"; try data\.root={root}, which holds val beside train, or data\.val_"):
        opened(root / "train")
    with pytest.raises(ConfigError, match=rf"got 2 images and no folder in .*; try data\.root={root / 'train'}$"):
        opened(root / "train" / "cat")


def test_folders_may_be_links(root):
    touch(root, *classes("store/a", "store/b"))
    (root / "data").mkdir()
    for name, target in (("train", "a"), ("val", "b")):
        os.symlink(root / "store" / target, root / "data" / name)
    assert len(opened(root / "data").train) == 4


LOOP = (
    "data.root must hold no folder inside itself, got '{root}/train/{}', a link to a folder around it; remove the link"
)


@pytest.mark.parametrize(("link", "target"), [("cat/loop", "."), ("cat/loop", ".."), ("loop", ".")])
def test_a_link_to_a_folder_around_is_refused(root, link, target):
    touch(root, *classes("train", "val"))
    os.symlink(target, root / "train" / link)
    with pytest.raises(ConfigError, match=f"^{re.escape(LOOP.replace('{}', link).format(root=root))}$"):
        opened(root)


SHARED = "data.root must name each file once, as train and val may share none and a file has one class, got {} and {}, "


@pytest.mark.parametrize("linked", ["the split", "the class", "the file", "the inode"])
def test_links_that_put_a_file_into_two_places_are_refused(root, linked):
    touch(root, *classes("train"), *(classes("val") if linked != "the split" else []))
    pairs = {
        "the split": ("train", "val", "train/cat/0.png", "val/cat/0.png"),
        "the class": ("train/cat", "train/kitty", "train/cat/0.png", "train/kitty/0.png"),
        "the file": ("train/cat/0.png", "val/cat/9.png", "train/cat/0.png", "val/cat/9.png"),
        "the inode": ("train/cat/0.png", "val/cat/9.png", "train/cat/0.png", "val/cat/9.png"),
    }
    real, link, *both = pairs[linked]
    (os.link if linked == "the inode" else os.symlink)(root / real, root / link)
    if linked == "the class":
        touch(root, "val/kitty/1.png")
    with pytest.raises(ConfigError, match=f"^{re.escape(SHARED.format(*(root / path for path in both)))}"):
        opened(root)


def test_links_within_a_class_are_noted_unless_val_is_drawn_from_them(root):
    touch(root, *classes("train", "val"))
    os.symlink(root / "train/cat/0.png", root / "train/cat/9.png")
    note = f"1 images are links to others of their class, such as {root}/train/cat/9.png"
    assert opened(root).found.notes == (note,)
    with pytest.raises(ConfigError, match=re.escape(SHARED.partition("{")[0])):
        opened(root / "train", 0.5)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_names_that_are_no_text_are_found_and_shown(root):
    for part in ("train", "val"):
        touch(root, os.fsdecode(f"{part}/".encode() + b"caf\xe9/1.png"), f"{part}/new\nline/1.png")
    source = opened(root)
    assert source.classes == ("caf\udce9", "new\nline")
    assert r"2 classes (caf\udce9, new\nline)" in source.lines[0]
