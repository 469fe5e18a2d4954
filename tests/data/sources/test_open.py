"""Tests how sources are opened, and every way to get it wrong."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from factories.sources import OWL_IN, items, says, touch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datavol.data.images.decode import decode_file
from datavol.data.sources.arrays import ArraySplit, digits
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.split import fold_split, stratified_split
from datavol.errors import ConfigError

labels_lists = st.lists(st.integers(0, 4), min_size=1, max_size=200)
fractions = st.floats(0.01, 0.99)


@given(labels_lists, fractions, st.integers(0, 5))
def test_a_split_is_a_sorted_partition(labels, val_fraction, seed):
    train, val = stratified_split(np.array(labels), val_fraction, seed)
    assert (train.dtype, val.dtype) == (np.int64, np.int64)
    assert sorted([*train, *val]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(val) > 0).all()


@given(labels_lists, fractions)
def test_each_class_gives_its_rounded_share_and_keeps_some(labels, val_fraction):
    labels = np.array(labels)
    _, val = stratified_split(labels, val_fraction, 0)
    for label in set(labels.tolist()):
        n, held = int((labels == label).sum()), int((labels[val] == label).sum())
        assert abs(held - n * val_fraction) <= 0.5 or held in (1, n - 1)
        assert n == 1 or 1 <= held <= n - 1
        assert n > 1 or held == 0


@given(labels_lists, fractions, st.integers(0, 5))
def test_a_class_gives_the_same_images_whatever_the_others_are(labels, val_fraction, seed):
    """Neither a class's place among the others nor their number matters."""
    labels = np.array(labels)
    chosen = labels[0]
    members = np.flatnonzero(labels == chosen)
    first, again = (stratified_split(labels, val_fraction, seed) for _ in range(2))
    among_others = set(first[1]) & set(members)
    alone = stratified_split(np.full(len(members), chosen), val_fraction, seed)[1]
    assert among_others == set(members[alone])
    assert [part.tolist() for part in first] == [part.tolist() for part in again]


def test_the_seed_and_the_class_change_the_split():
    labels = np.repeat([0, 1], 100)
    splits = [stratified_split(labels, 0.3, seed)[1] for seed in range(5)]
    assert len({split.tobytes() for split in splits}) == 5
    first, second = splits[0][splits[0] < 100], splits[0][splits[0] >= 100] - 100
    assert len(first) == len(second) == 30
    assert set(first) != set(second)


def test_a_split_is_the_same_on_every_machine():
    """Pin a split: one that moves would mix val into train."""
    assert stratified_split(np.repeat([0, 1], 10), 0.3, 0)[1].tolist() == [1, 6, 7, 10, 13, 14]


def test_digits(opened):
    source = opened("digits")
    classes, whole = digits()
    assert (source.name, source.classes) == ("digits", classes)
    assert isinstance(source.train, ArraySplit)
    assert len(source.train) + len(source.val) == 1797
    share = np.bincount(source.val.labels) / np.bincount(whole.labels)
    assert np.abs(share - 0.2).max() < 0.003
    train, val = stratified_split(whole.labels, 0.2, 0)
    assert np.array_equal(source.train.images, whole.images[train])
    assert np.array_equal(source.val.images, whole.images[val])
    assert opened("digits").fingerprint == source.fingerprint
    others = [opened("digits", split_seed=1), opened("digits", val_fraction=0.3)]
    assert len({source.fingerprint, *(other.fingerprint for other in others)}) == 3


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100"])
def test_missing_files_of_torchvision_are_said(opened, root, name):
    with pytest.raises(ConfigError, match=rf"^data\.root must hold the .*{name}, got .*data\.download=true"):
        opened(name, root=root)


TWO = ["train/cat/a.png", "train/cat/b.png", "train/dog/c.png", "val/cat/d.png", "val/dog/e.png"]
FOLDER = [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(10)]


def test_train_and_val_folders(opened, root):
    touch(root, *TWO)
    source = opened("image_folder", root=root)
    assert (source.name, source.classes) == ("image_folder", ("cat", "dog"))
    assert items(source.train) == [("cat/a.png", 0), ("cat/b.png", 0), ("dog/c.png", 1)]
    assert items(source.val) == [("cat/d.png", 0), ("dog/e.png", 1)]
    assert len(source.fingerprint) == 64


def test_images_are_read_from_their_split(opened, root):
    for name in TWO:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (200, 0, 0) if name.startswith("val") else (0, 0, 200)).save(root / name)
    source = pickle.loads(pickle.dumps(opened("image_folder", root=root)))
    assert decode_file(source.train, 0)[:, 0, 0].tolist() == [0, 0, 200]
    assert decode_file(source.val, 1)[:, 0, 0].tolist() == [200, 0, 0]


def test_a_fingerprint_follows_content_and_not_place(opened, root):
    touch(root, *TWO)
    first = opened("image_folder", root=root).fingerprint
    moved = root.rename(root.with_name("moved"))
    assert opened("image_folder", root=moved).fingerprint == first
    (moved / "val/dog/e.png").rename(moved / "val/dog/f.png")
    second = opened("image_folder", root=moved).fingerprint
    for part in ("train", "val"):
        (moved / part / "dog").rename(moved / part / "elk")
    third = opened("image_folder", root=moved).fingerprint
    assert len({first, second, third}) == 3


@pytest.mark.parametrize("inside", ["", "train"])
def test_one_folder_of_classes_is_split_once(opened, root, inside):
    touch(root / inside, *FOLDER)
    source = opened("image_folder", root=root, val_fraction=0.3)
    assert sorted(items(source.train) + items(source.val)) == [(key, int("dog" in key)) for key in sorted(FOLDER)]
    assert np.bincount(source.val.labels).tolist() == [3, 3]
    assert source.train.files.place == source.val.files.place == str(root / inside)
    assert opened("image_folder", root=root, val_fraction=0.3).fingerprint == source.fingerprint
    assert opened("image_folder", root=root, val_fraction=0.3, split_seed=1).fingerprint != source.fingerprint


def test_root_must_be_a_folder(opened, root):
    touch(root, "file")
    for name, kind in (("gone", "which does not exist"), ("file", "which is a file")):
        for source in ("image_folder", "imagenet"):
            with says(f"data.root must be a folder, got {root}/{name}, {kind}; try data.root=/path/to/images"):
                opened(source, root=root / name)


def test_a_tilde_is_home(opened, root, monkeypatch):
    touch(root, *TWO)
    monkeypatch.setenv("HOME", str(root.parent))
    assert opened("image_folder", root="~/data").train.files.place == str(root / "train")


NO_VAL_CLASSES = ["train/cat/a.png", "train/dog/a.png", "val/a.png"]
WRONG_FOLDERS = {
    None: {
        "a folder of images must hold a folder per class, got no folder in {root}; check data.root": [],
        "data.root must hold train beside val, got val alone in {root}; add the folder train, or to divide val try "
        "data=image_folder data.root={root} data.train=val data.val_fraction=0.2": ["val/cat/a.png"],
        "val must hold a folder per class, as train does, got 1 image and no folder in {root}/val; sort them, or try "
        "data=image_folder data.root={root} data.train=train data.val_fraction=0.2": NO_VAL_CLASSES,
        "a class folder must hold images, got none in {root}/train/owl (left out: 1 .psd); remove or fill the folder": [
            *TWO,
            "train/owl/a.psd",
        ],
        OWL_IN + "train only; add it to val or remove it": [*TWO, "train/owl/a.png"],
        OWL_IN + "val only; add it to train or remove it": [*TWO, "val/owl/a.png"],
        "data.val_fraction must be given when data.root has no folder val, got null with {root}; "
        "try data.val_fraction=0.2": FOLDER,
    },
    0.2: {
        "a folder of images must hold a folder per class, got 1 image and no folder in {root}; sort the images into "
        "them, or list them in a table, with data=table": ["a.png"],
        "data.val_fraction must be null when data.root has a folder val, got 0.2; leave data.val_fraction out": TWO,
        "data.val_fraction must find a class of 2 or more images, got 2 classes of one; add images": FOLDER[::10],
    },
}


@pytest.mark.parametrize(
    ("val_fraction", "message", "files"),
    [(fraction, *case) for fraction, cases in WRONG_FOLDERS.items() for case in cases.items()],
)
def test_wrong_folders_are_said(opened, root, val_fraction, message, files):
    touch(root, *files)
    with says(message.format(root=root)):
        opened("image_folder", root=root, val_fraction=val_fraction)


IDS = ("n01440764", "n01443537")
KAGGLE = "ILSVRC/Data/CLS-LOC"


def write_imagenet(base: Path, flat: bool) -> None:
    for label, name in enumerate(IDS):
        touch(base, *(f"train/{name}/{name}_{i}.JPEG" for i in range(3)))
        touch(base / "val" / ("" if flat else name), *(f"ILSVRC2012_val_{2 * i + label:08d}.JPEG" for i in range(2)))


def write_solution(file: Path, n: int = 6) -> None:
    rows = [f"ILSVRC2012_val_{i:08d},{IDS[i % 2]} 1 2 3 4 {IDS[0]} 5 6 7 8 " for i in reversed(range(n))]
    file.write_text("\n".join(["ImageId,PredictionString", *rows]))


def test_imagenet_by_class_folders(opened, root):
    write_imagenet(root, flat=False)
    source = opened("imagenet", root=root)
    assert (source.name, source.classes) == ("imagenet", IDS)
    assert items(source.train)[3] == ("n01443537/n01443537_0.JPEG", 1)
    assert source.val.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("below", ["", KAGGLE])
@pytest.mark.parametrize("solution", [None, "elsewhere.csv"])
def test_imagenet_with_a_flat_val(opened, root, below, solution):
    write_imagenet(root / below, flat=True)
    write_solution(root / (solution or "LOC_val_solution.csv"))
    source = opened("imagenet", root=root, val_solution=solution and root / solution)
    assert (source.classes, len(source.train)) == (IDS, 6)
    assert items(source.val) == [(f"ILSVRC2012_val_{i:08d}.JPEG", i % 2) for i in range(4)]
    assert isinstance(source.val, FileSplit)
    assert source.val.files.place == str(root / below / "val")


def test_a_flat_val_needs_its_solution(opened, root):
    write_imagenet(root, flat=True)
    with says(
        "data.val_solution must be Kaggle's LOC_val_solution.csv when val has no class folders, got no "
        f"{root}/LOC_val_solution.csv; try data.val_solution=/path/to/LOC_val_solution.csv"
    ):
        opened("imagenet", root=root)


def test_a_solution_must_be_whole_and_of_train_s_classes(opened, root):
    write_imagenet(root, flat=True)
    file = root / "LOC_val_solution.csv"
    write_solution(file, n=3)
    first = "ILSVRC2012_val_00000003"
    with says(f"data.val_solution must list every image of val, got no {first!r} in {file}; get it whole"):
        opened("imagenet", root=root)
    file.write_text("id,label\n")
    with says(f"data.val_solution must have the column ImageId, got id, label in {file}; name it so in the first line"):
        opened("imagenet", root=root)
    write_solution(file)
    file.write_text(file.read_text().replace(f"3,{IDS[1]}", "3,n99999999"))
    classes = f"train and val must have the same classes in {file}"
    with says(f"{classes}, got 'n99999999' in val only; add it to train or remove it"):
        opened("imagenet", root=root)


@pytest.mark.parametrize("part", ["train", "val"])
def test_another_class_name_suggests_image_folder(opened, root, part):
    write_imagenet(root, flat=False)
    touch(root, f"{part}/cats/a.jpg")
    with says(
        f"a class folder of data=imagenet must be a WordNet id (n and 8 digits), got 'cats' in {root}/{part}; "
        "try data=image_folder"
    ):
        opened("imagenet", root=root)


def test_imagenet_needs_train_and_val(opened, root):
    touch(root, "train/n01440764/a.JPEG")
    with says(f"data.root must hold train and val of ImageNet, got no {root}/val; try data.root=/data/imagenet"):
        opened("imagenet", root=root)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(2, 5), st.integers(0, 3))
def test_folds_validate_each_image_once_and_classes_evenly(labels, folds, seed):
    labels = np.array(labels)
    parts = [fold_split(labels, folds, fold, seed, "x") for fold in range(folds)]
    held = np.concatenate([val for _, val in parts])
    assert sorted(held) == list(range(len(labels)))
    assert all(sorted([*train, *val]) == list(range(len(labels))) for train, val in parts)
    for counts in (np.bincount(labels[val], minlength=4) for _, val in parts):
        assert (np.abs(counts - np.bincount(labels, minlength=4) / folds) < 1).all()
    assert np.ptp([len(val) for _, val in parts]) <= 1
