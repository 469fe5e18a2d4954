"""An archive or a bucket is opened as the folder that it holds would be."""

import io
import re
import tarfile
import tempfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from datavol.data.sources.files.file_table import file_table
from datavol.data.sources.files.tree import ListedTree
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError

_file = io.BytesIO()
Image.new("L", (4, 4)).save(_file, "PNG")
PNG = _file.getvalue()
PHOTOS = [f"{split}/{name}/{i}.jpg" for split in ("train", "val") for name in ("cat", "dog") for i in range(2)]


def zipped(path: Path, names: list[str], **contents: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
        for name, content in contents.items():
            archive.writestr(name.replace("_", "."), content)
    return path


def keys(split) -> list[str]:
    return [split.key(i) for i in range(len(split))]


WRAPPED = {
    "as it is": ("", ""),
    "in a folder": ("photos/", ""),
    "in two folders, with what macOS adds": ("a/b/", ""),
    "named by its folder": ("photos/", "/photos"),
    "named by a folder further in": ("a/b/", "/a"),
}


@pytest.mark.parametrize(("around", "inside"), WRAPPED.values(), ids=WRAPPED)
def test_layouts_in_an_archive(around, inside, opened, root):
    junk = ["__MACOSX/photos/train/cat/._0.jpg", f"{around}train/cat/.DS_Store", f"{around}notes.txt"]
    path = zipped(root / "x.zip", [f"{around}{name}" for name in PHOTOS] + junk)
    source = opened("image_folder", root=f"{path}{inside}")
    assert keys(source.train) == [name.removeprefix("train/") for name in PHOTOS if name.startswith("train")]
    assert [source.val.content(i) for i in range(4)] == [f"{around}{name}".encode() for name in PHOTOS[4:]]
    assert source.found.left_out[".txt"] == 1
    assert source.train.path(0) == f"{path}/{around}train/cat/0.jpg"


def test_the_fingerprint_is_that_of_the_unpacked_folder(opened, root):
    with zipfile.ZipFile(zipped(root / "x.zip", PHOTOS)) as archive:
        archive.extractall(root / "unpacked")
    sources = [opened("image_folder", root=root / name) for name in ("x.zip", "unpacked")]
    assert len({source.fingerprint for source in sources}) == 1
    assert len({source.content for source in sources}) == 1


TABLE = "file,label,split\n" + "\n".join(f"{n},{n.split('/')[1]},{n.split('/')[0]}" for n in PHOTOS)


@pytest.mark.parametrize("inside", [True, False], ids=["table in the archive", "table beside"])
def test_a_table_labels_members(inside, opened, root):
    path = zipped(root / "x.zip", PHOTOS, **({"labels_csv": TABLE} if inside else {}))
    (root / "labels.csv").write_text(TABLE)
    places = {"table": f"{path}/labels.csv"} if inside else {"table": root / "labels.csv", "root": path}
    source = opened("table", **places)
    assert keys(source.train) == [name for name in PHOTOS if name.startswith("train")]
    assert source.train.content(0) == PHOTOS[0].encode()


def test_a_table_whose_members_lie_in_a_folder_names_it(opened, root):
    path = zipped(root / "x.zip", [f"photos/{name}" for name in PHOTOS])
    (root / "labels.csv").write_text(TABLE)
    with pytest.raises(ConfigError, match=rf"try data=table .*data\.root={path}/photos"):
        opened("table", table=root / "labels.csv", root=path)
    assert len(opened("table", table=root / "labels.csv", root=f"{path}/photos").train) == 4


def test_members_that_are_not_there_are_counted(opened, root):
    path = zipped(root / "x.zip", PHOTOS)
    (root / "labels.csv").write_text(TABLE + "\ntrain/cat/9.jpg,cat,train")
    source = opened("table", table=root / "labels.csv", root=path)
    assert "1 of 9 files are not there, such as train/cat/9.jpg" in source.found.warnings


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    system.pipe({f"/shop/photos/{name}": name.encode() for name in PHOTOS})
    yield system
    system.rm("/shop", recursive=True)


def test_a_bucket_is_opened_as_a_folder(bucket, opened, root):
    source = opened("image_folder", root="memory://shop")
    assert [source.train.content(i) for i in range(4)] == [name.encode() for name in PHOTOS[:4]]
    assert source.train.path(0) == "memory://shop/photos/train/cat/0.jpg"
    bucket.pipe("/shop/labels.csv", TABLE.encode())
    listed = opened("table", table="memory://shop/labels.csv", root="memory://shop/photos")
    assert [listed.val.content(i) for i in range(4)] == [name.encode() for name in PHOTOS[4:]]


def test_a_file_that_changes_in_a_bucket_has_another_stamp(bucket, opened):
    before = opened("image_folder", root="memory://shop").train
    bucket.pipe("/shop/photos/train/cat/0.jpg", b"TRAIN/cat/0.jpg")
    after = opened("image_folder", root="memory://shop").train
    assert [before.stamp(i) == after.stamp(i) for i in range(4)] == [False, True, True, True]


FOLDERS = ["cat", "dog", "@eaDir", ".hidden"]
FILES = ["a.jpg", "B.JPG", "._a.jpg", "photo", "x.txt", "Thumbs.db"]
PATHS = st.tuples(st.lists(st.sampled_from(FOLDERS), max_size=3), st.sampled_from(FILES))


@given(st.sets(PATHS.map(lambda path: (*path[0], path[1])), max_size=12))
@example({("cat", "photo"), ("cat", "dog", "a.jpg"), ("dog", "a.jpg")})  # the order of paths, not of folders
@settings(deadline=None, max_examples=40)
def test_a_list_is_read_as_the_folder_that_it_unpacks_to(files):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "data")
        for path in files:
            root.joinpath(*path).parent.mkdir(parents=True, exist_ok=True)
            root.joinpath(*path).write_bytes(PNG if path[-1] == "photo" else b"text")
        root.mkdir(exist_ok=True)
        listed = ListedTree(Folder(str(root)), sorted("/".join(path).encode() for path in files))
        there, ours = file_table(str(root), scratch), listed.table("")
        assert (ours.paths, ours.classes, ours.nested) == (there.paths, there.classes, there.nested)
        assert (ours.labels.tolist(), ours.left_out, ours.by_content) == (
            there.labels.tolist(),
            there.left_out,
            there.by_content,
        )


REFUSED = {
    "nothing there": ("memory://nowhere", r"must (be an address that can be listed|hold files).*memory://nowhere"),
    "an archive that is not there": ("zip://::file:///nope.zip", r"must be an address that fsspec opens, got zip://::"),
    "no such protocol": ("foo://x", r"must be an address that fsspec opens, got foo://x \(Protocol not known: foo\)"),
    "no folder in the archive": ("{root}/x.zip/no", r"must be a folder, got .*x\.zip/no, which does not exist"),
    "another file": ("{root}/a.txt", r"must be a folder, got .*a\.txt, which is a file"),
}


@pytest.mark.parametrize(("place", "message"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_opened_is_one_line(place, message, opened, root):
    zipped(root / "x.zip", PHOTOS)
    (root / "a.txt").write_text("a")
    with pytest.raises(ConfigError, match=message) as error:
        opened("image_folder", root=place.format(root=root))
    assert "\n" not in str(error.value)


def shards(root: Path) -> None:
    for name in ("train-0.tar", "val-0.tar"):
        with tarfile.open(root / name, "w") as archive:
            for member in ("1.jpg", "1.cls"):
                archive.addfile(tarfile.TarInfo(member))


def saved(root: Path) -> None:
    (root / "set/train").mkdir(parents=True)
    for name in ("set/dataset_dict.json", "set/train/state.json", "set/train/data-0.arrow"):
        (root / name).touch()


PACKED = {
    "one zip": (lambda root: zipped(root / "x.zip", PHOTOS), "data=image_folder data.root={root}/x.zip"),
    "shards": (shards, "data=webdataset data.root={root}"),
    "a saved data set": (saved, "data=hugging_face data.root={root}/set"),
    "Parquet": (lambda root: (root / "train.parquet").touch(), "data=hugging_face data.root={root}"),
    "two zips": (lambda root: [zipped(root / f"{i}.zip", PHOTOS) for i in "ab"], "unpack them into one folder"),
}


@pytest.mark.parametrize(("write", "remedy"), PACKED.values(), ids=PACKED)
def test_a_folder_of_archives_or_tables_is_answered_with_what_opens_it(write, remedy, opened, root):
    write(root)
    with pytest.raises(ConfigError, match=re.escape(remedy.format(root=root))):
        opened("image_folder", root=root)
