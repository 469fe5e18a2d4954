"""Tests what belongs together: folders, columns, expressions; and that no split parts it."""

import re

import numpy as np
import pytest
from factories.sources import items, says, touch
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.group_draws import commonest_classes
from datavol.data.sources.split import Division, grouped_split, stratified_split
from datavol.errors import ConfigError

CLIPS = [f"{name}/clip{clip}/{i}.png" for name in ("cat", "dog") for clip in range(5) for i in range(clip + 2)]


def by_group(split) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for i, (name, _) in enumerate(items(split)):
        found.setdefault(int(split.groups[i]), set()).add(name)
    return found


@st.composite
def grouped(draw):
    """Labels and groups of images, in any order; groups may hold several classes."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=30))
    groups = np.repeat(draw(st.permutations(range(len(sizes)))), sizes)
    classes = np.repeat([draw(st.integers(0, 3)) for _ in sizes], sizes)
    mixed = [draw(st.integers(0, 3)) if draw(st.integers(0, 5)) == 0 else c for c in classes.tolist()]
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(len(groups))
    return np.array(mixed)[order], groups[order]


@given(grouped())
def test_a_group_counts_for_its_commonest_class(data):
    labels, groups = data
    expected = []
    for group in sorted(set(groups.tolist())):
        counts = np.bincount(labels[groups == group])
        expected.append(int(np.argmax(counts)))
    assert commonest_classes(labels, groups).tolist() == expected


@given(grouped(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_split_parts_whole_groups_per_class(data, val_fraction, seed):
    labels, groups = data
    train, val = grouped_split(labels, groups, Division(val_fraction, seed))
    assert sorted([*train, *val]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[val])
    strata = commonest_classes(labels, groups)
    held = np.isin(np.unique(groups), groups[val])
    for stratum in set(strata.tolist()):
        n, taken = int((strata == stratum).sum()), int(held[strata == stratum].sum())
        assert taken == min(n - 1, max(1, round(n * val_fraction)))


@given(grouped(), st.integers(0, 5))
def test_the_order_of_images_changes_no_group_of_a_split(data, seed):
    labels, groups = data
    order = np.random.default_rng(seed).permutation(len(labels))
    first = grouped_split(labels, groups, Division(0.3, seed))[1]
    again = grouped_split(labels[order], groups[order], Division(0.3, seed))[1]
    assert set(groups[first]) == set(groups[order][again])


def test_images_that_are_groups_of_their_own_split_as_evenly_as_without_groups():
    labels = np.repeat([0, 1], [30, 50])
    held = [grouped_split(labels, np.arange(80), Division(0.2, 0))[1], stratified_split(labels, 0.2, 0)[1]]
    assert [np.bincount(labels[val]).tolist() for val in held] == [[6, 10], [6, 10]]


def test_a_split_of_groups_is_the_same_on_every_machine():
    """Pin a split: one that moves would mix val into train."""
    groups = np.repeat(np.arange(12), 3)
    _, val = grouped_split(groups % 2, groups, Division(0.3, 0))
    assert sorted(set(groups[val].tolist())) == [0, 2, 7, 9]


WAYS = {
    "folder": lambda path: path.rpartition("/")[0],
    r"^([^/]+/[^/]+)/": lambda path: path.rpartition("/")[0],
    r"clip\d+": lambda path: path.split("/")[1],
    r"(clip)(\d+)": lambda path: path.split("/")[1],
    r"^(?:(cat)|dog)/(clip\d)": lambda path: path.rpartition("/")[0].removeprefix("dog/"),
}


@pytest.mark.parametrize("rule", WAYS)
def test_a_folder_or_an_expression_names_groups(opened, root, rule):
    touch(root, *CLIPS)
    source = opened("image_folder", root=root, group=rule, val_fraction=0.4)
    expected: dict[str, set[str]] = {}
    for path in CLIPS:
        expected.setdefault(WAYS[rule](path), set()).add(path)
    train, val = by_group(source.train), by_group(source.val)
    assert not set(train) & set(val)
    assert sorted(map(sorted, [*train.values(), *val.values()])) == sorted(map(sorted, expected.values()))
    assert source.groups.record == {
        **{"by": rule, "train": len(train), "val": len(val), "size": source.groups.record["size"]},
        **{"shared": 0, "shared_val_images": 0, "shared_names": []},
    }


def test_a_column_names_groups_in_any_order(opened, root):
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'},p{i // 6}" for i in range(36)]
    for lines in (rows, rows[::-1]):
        (root / "labels.csv").write_text("\n".join(["path,label,patient", *lines]) + "\n")
        source = opened("table", table=root / "labels.csv", group="patient", val_fraction=0.34)
        parts = [{int(name.split(".")[0]) // 6 for name, _ in items(split)} for split in (source.train, source.val)]
        assert not parts[0] & parts[1]
        assert (len(parts[0]), len(parts[1])) == (4, 2)


def test_groups_are_counted_on_the_first_lines(opened, root):
    touch(root, *CLIPS)
    source = opened("image_folder", root=root, group=r"clip\d+", val_fraction=0.4)
    assert r"groups by clip\d+: 3 in train (" in source.lines[-1]
    assert "images each, median" in source.lines[-1]


def test_train_and_val_that_share_groups_are_told(opened, root):
    touch(root, *(f"train/{path}" for path in CLIPS))
    touch(root, "val/cat/clip0/90.png", "val/cat/clip9/1.png", "val/dog/clip1/91.png", "val/dog/clip1/92.png")
    source = opened("image_folder", root=root, group="folder")
    assert source.groups.shared == ["cat/clip0", "dog/clip1"]
    assert source.groups.record["shared_val_images"] == 3
    assert source.lines[-1].startswith(
        "warning: 2 groups lie in train and in val (cat/clip0, dog/clip1), with 75 % of the validation images: "
    )
    # Of the classes that are kept alone, one group is shared
    assert opened("image_folder", root=root, group="folder").groups.record["shared"] == 2


def test_folders_of_one_name_in_several_classes_are_noted(opened, root):
    touch(root, *CLIPS)
    notes = opened("image_folder", root=root, group="folder", val_fraction=0.4).found.notes
    assert any("folders of one name in several classes count as a group each: clip0, clip1" in note for note in notes)
    assert any("'data.group=\"^[^/]+/([^/]+)/\"'" in note for note in notes)


REFUSED = {
    "folder": (
        [*CLIPS, "cat/loose.png"],
        "data.group must name a group for every image, got cat/loose.png, which lies in no folder below its class "
        "folder (1 of 41 images); try 'data.group=\"^([^/]+/[^/]+)\"', which makes each of these its own group",
    ),
    " folder": (
        [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)],
        "data.group must name a group for every image, got cat/0.png, which lies in no folder below its class folder "
        "(8 of 8 images); name what an image's group is called in its path, as 'data.group=\"(clip\\d+)_\"' does, or "
        "leave data.group out",
    ),
    "folder ": (
        [*CLIPS, "cat/a/b/1.png"],
        "data.group=folder must find one folder between class and image, got cat/a/b/1.png (1 of 41); try "
        "'data.group=\"^([^/]+/[^/]+)/\"' for cat/a, or 'data.group=\"^(.+)/\"' for cat/a/b",
    ),
    r"clip(\d)/": (
        [*CLIPS, "cat/x/1.png"],
        "data.group must name a group for every image, got cat/x/1.png, which does not match (1 of 41 images); try "
        "'data.group=\"clip(\\d)/|([^/]+)$\"', which makes each of these its own group",
    ),
    "(?i)CLIP[0-9]": (
        [*CLIPS, "cat/x/1.png"],
        "data.group must name a group for every image, got cat/x/1.png, which does not match (1 of 41 images); try "
        "'data.group=\"(?i)(CLIP[0-9])|([^/]+)$\"', which makes each of these its own group",
    ),
    "(clip": (
        CLIPS,
        "data.group must be folder or a regular expression on the path, got (clip (missing ), unterminated subpattern "
        "at position 0); write it as 'data.group=\"(clip\\d+)_\"', or leave data.group out",
    ),
    "patient": (
        CLIPS,
        "data.group must be folder or a regular expression on the path, got patient; try data.group=folder, or an "
        "expression such as 'data.group=\"(clip\\d+)_\"'; columns are of data=table",
    ),
    "(png)": (
        CLIPS,
        "data.group must find two groups or more, got one (png) with (png); name what tells them apart, or leave "
        "data.group out",
    ),
    "^.*$": (
        CLIPS,
        "data.group must put several images into a group, got 40 groups of one image (cat/clip0/0.png, "
        "cat/clip0/1.png, cat/clip1/0.png, cat/clip1/1.png, cat/clip1/2.png and 35 more) with ^.*$; name what they "
        "have in common, or leave data.group out",
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_groups_that_cannot_be_are_refused_with_a_remedy_that_works(opened, root, rule):
    paths, message = REFUSED[rule]
    touch(root, *paths)
    with says(message):
        opened("image_folder", root=root, group=rule.strip(), val_fraction=0.4)
    for remedy in re.findall(r"try 'data\.group=\"(.*?)\"'", message):
        assert opened("image_folder", root=root, group=remedy, val_fraction=0.4).groups


TABLES = {
    "data.group must be a column of the table, folder or a regular expression on the path, got patiant; its columns "
    "are path, label, patient; try data.group=patient": ("patiant", "patient", "1119"),
    "data.group=patient must name a group for every image, got 'NaN' for 2 of 4; fill the column in, or leave those "
    "rows out": ("patient", "patient", ["1", "NaN", " ", "2"]),
    "data.group must have one meaning, got folder, which is a column of the table and the folder of an image; rename "
    "the column, or try 'data.group=\"^(.*)/\"' for the folder": ("folder", "folder", "1119"),
}


@pytest.mark.parametrize("message", TABLES)
def test_columns_that_are_no_groups_are_refused(opened, root, message):
    rule, column, values = TABLES[message]
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'},{value}" for i, value in enumerate(values)]
    (root / "labels.csv").write_text("\n".join([f"path,label,{column}", *rows]) + "\n")
    with says(message):
        opened("table", table=root / "labels.csv", group=rule, val_fraction=0.5)


def test_columns_whose_values_read_alike_are_noted(opened, root):
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'},{'p01' if i < 6 else 'P01' if i < 12 else i % 5}" for i in range(24)]
    (root / "labels.csv").write_text("\n".join(["path,label,patient", *rows]) + "\n")
    source = opened("table", table=root / "labels.csv", group="patient", val_fraction=0.3)
    assert "groups that read alike count as several: P01, p01" in source.found.notes


def test_a_class_without_training_images_is_refused_and_the_seed_that_is_named_works(opened, root):
    # elk lies in the clips of cat and is the commonest class of none
    rows = [f"cat{clip}/{i}.png,{'elk' if clip == 0 and i == 0 else 'cat'}" for clip in range(4) for i in range(4)]
    rows += [f"dog{clip}/{i}.png,dog" for clip in range(4) for i in range(4)]
    (root / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    seen = set()
    for seed in range(12):
        try:
            source = opened("table", table=root / "labels.csv", group="folder", val_fraction=0.5, split_seed=seed)
            assert len(np.unique(source.train.labels)) == 3
        except ConfigError as error:
            found = re.fullmatch(
                r"data\.val_fraction must leave every class training images, got whole groups that leave 1 of 3 "
                rf"classes none with data\.split_seed={seed}; try data\.split_seed=(\d+)",
                str(error),
            )
            seen.add(int(found[1]))
    assert len(seen) == 1
    assert opened("table", table=root / "labels.csv", group="folder", val_fraction=0.5, split_seed=seen.pop())


def test_groups_that_are_alone_in_their_classes_give_no_validation(opened, root):
    touch(root, *(f"{name}/clip/{i}.png" for name in ("cat", "dog") for i in range(4)))
    with says(
        "data.val_fraction must find a class of 2 or more groups, got 2 groups, each alone in its class; add groups"
    ):
        opened("image_folder", root=root, group="folder", val_fraction=0.4)
