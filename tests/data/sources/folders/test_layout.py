"""Tests what folders and tables are taken for, what is said of it, and what is refused."""

import itertools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.layouts import CASES, command_of, expand, look, make, remedies, typed_again
from factories.sources import says, touch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datavol.config.compose import compose
from datavol.data.sources.files.file_table import split_names
from datavol.data.sources.files.tree import FolderTree, ListedTree
from datavol.data.sources.folders.image_folder import open_tree
from datavol.data.sources.open import Source, open_source
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError

FOUND = [name for name, case in CASES.items() if "finds" in case]
REFUSED = [name for name, case in CASES.items() if "refuses" in case]
CONFIG = compose(["data=image_folder"])[0].config.data
OF_FOLDERS = [name for name, case in CASES.items() if "table" not in case and "->" not in case["files"]]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "z" / "k").mkdir(parents=True)  # with nothing around it
    return tmp_path / "z" / "k"


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_said(name, root, monkeypatch, capsys):
    make(root, CASES[name])
    code, printed = look(monkeypatch, capsys, command_of(root, CASES[name]))
    assert printed == CASES[name]["finds"].replace("{root}", str(root))
    assert code == 0
    for line in CASES[name]["finds"].splitlines():
        assert len(line) < 92 or line.startswith("warning"), "beside `datavol: ` in 100 columns"


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_several_readings_or_none_is_refused_in_one_line_whose_remedies_work(name, root, monkeypatch, capsys):
    make(root, CASES[name])
    overrides = command_of(root, CASES[name])
    code, printed = look(monkeypatch, capsys, overrides)
    assert printed == CASES[name]["refuses"].replace("{root}", str(root))
    assert (code, printed.count("\n")) == (2, 1)
    for remedy in remedies(printed, overrides):
        code, printed = look(monkeypatch, capsys, typed_again(remedy, root))
        assert (code, remedy) == (0, remedy), printed


def test_the_cases_are_many_and_most_refusals_have_a_remedy_to_type():
    assert len(CASES) > 120
    with_remedy = [name for name in REFUSED if remedies(CASES[name]["refuses"], [])]
    assert len(with_remedy) >= 36


def paths_in(root: Path) -> list[bytes]:
    found = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return [os.fsencode(os.path.relpath(path, root)) for path in found]


def opened_both_ways(root: Path, options: dict[str, Any]) -> list[Any]:
    """What a folder and a list of its paths are taken for: lines and keys, or the error."""
    config = CONFIG.model_copy(update={"root": str(root), **options})
    outcomes: list[Any] = []
    for tree in (FolderTree(str(root), None), ListedTree(Folder(str(root)), reversed(paths_in(root)))):
        try:
            classes, train, val, found = open_tree(tree, config)
        except ConfigError as error:
            outcomes.append(str(error))
        else:
            splits = [(split_names(split.paths), split.labels.tolist(), split.content(0)) for split in (train, val)]
            outcomes.append((classes, splits, found))
    return outcomes


@pytest.mark.parametrize("name", OF_FOLDERS)
def test_a_list_of_paths_is_taken_for_what_its_folder_is(name, root):
    case = CASES[name]
    make(root, case)
    if not paths_in(root):
        pytest.skip("a list has no empty folders")
    pairs = (one.replace("{root}", str(root)).partition("=") for one in case.get("options", "").split())
    options: dict[str, Any] = {key.removeprefix("data."): value for key, _, value in pairs}
    if "val_fraction" in options:
        options["val_fraction"] = float(options["val_fraction"])
    folder, listed = opened_both_ways(Path(options.pop("root", root)), options)
    if isinstance(folder, str) and "try data=image_folder data.root=" in folder and listed != folder:
        pytest.skip("an archive has no folder around it")
    assert listed == folder


PARTS = st.lists(
    st.sampled_from(["train", "val", "cat", "dog", "x.png", "b", ".git", "@eaDir"]), min_size=1, max_size=5
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=12))
def test_a_list_is_scanned_in_the_order_of_its_folder(tmp_path_factory, several):
    root = tmp_path_factory.mktemp("scan")
    for parts in several:
        path = root.joinpath(*(part if part != "x.png" else "x" for part in parts[:-1]), "1.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder = FolderTree(str(root), str(tmp_path_factory.mktemp("cache"))).table("")
    listed = ListedTree(Folder(str(root)), paths_in(root)).table("")
    for name in ("folders", "paths", "classes", "nested", "loose"):
        assert getattr(listed, name) == getattr(folder, name), name
    assert np.array_equal(listed.labels, folder.labels)
    assert listed.left_out == folder.left_out


def classes(*folders: str) -> list[str]:
    """Files of two classes in each of some folders."""
    return list(itertools.chain(*(expand(f"{folder}/{{cat,dog}}/{{0..1}}.png".lstrip("/")) for folder in folders)))


def opened(root: Path, val_fraction: float | None = None) -> Source:
    return open_source(CONFIG.model_copy(update={"root": str(root), "val_fraction": val_fraction}))


def test_what_is_found_is_the_same_from_the_cache_and_in_the_record(root):
    touch(root, *classes("train", "val"), "train/cat/x.txt", "train/cat/deep/1.png")
    (root / "train/cat/a").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    first, again = opened(root), opened(root)
    assert first.found == again.found
    record = first.sizes.record(first.found)
    assert record["per_class"]["train"] == {"images": 6, "least": 2, "least_class": "dog", "median": 3.0, "most": 4}
    assert (record["classes"], record["left_out"], record["train"]) == (2, {".txt": 1}, "train")
    assert record["notes"] == ["1 image without an ending, known by the first bytes"]
    assert record["warnings"][0].startswith("folders inside class folders count as part of these: cat/deep")


def test_files_with_an_ending_are_not_opened(root, monkeypatch):
    touch(root, *classes("train", "val"))
    monkeypatch.setattr(
        "datavol.data.sources.files.scan.first_bytes", lambda path: pytest.fail(f"{path} was looked into")
    )
    assert len(opened(root).train) == 4


LOOP = (
    "data.root must hold no folder inside itself, got '{root}/train/{}', a link to a folder around it; remove the link"
)


@pytest.mark.parametrize(("link", "target"), [("cat/loop", "."), ("cat/loop", ".."), ("loop", ".")])
def test_a_link_to_a_folder_around_is_refused(root, link, target):
    touch(root, *classes("train", "val"))
    os.symlink(target, root / "train" / link)
    with says(LOOP.replace("{}", link).format(root=root)):
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
    assert opened(root).found.notes == (f"1 link to another image of the class, such as {root}/train/cat/9.png",)
    with pytest.raises(ConfigError, match=re.escape(SHARED.partition("{")[0])):
        opened(root / "train", 0.5)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_names_that_are_no_text_are_found_and_shown(root):
    for part in ("train", "val"):
        touch(root, os.fsdecode(f"{part}/".encode() + b"caf\xe9/1.png"), f"{part}/new\nline/1.png")
    source = opened(root)
    assert source.classes == ("caf\udce9", "new\nline")
    assert r"2 classes (caf\udce9, new\nline)" in source.lines[0]


def test_unicode_forms_of_one_name_are_refused(root):
    """A Mac unpacks `café` otherwise than Linux."""
    touch(root, "train/caf\u00e9/1.png", "train/cafe\u0301/1.png")
    with says(
        r"classes must differ in more than spaces, zeros or Unicode forms, got 'cafe\u0301' and 'caf\xe9' in "
        f"{root}/train; write them alike"
    ):
        opened(root)
