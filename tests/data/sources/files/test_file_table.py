"""Tests the scan of files, its cache, and the decoding of images."""

import logging
import os
import pickle
import random
import re
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from factories.sources import split_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS, ImageFolder

from datavol.data.images.decode import decode_file
from datavol.data.sources.files import file_table as file_tables
from datavol.data.sources.files.file_table import (
    DamagedImage,
    FileSplit,
    FileTable,
    cache_path,
    file_table,
    join_names,
    split_names,
)
from datavol.data.sources.files.image_names import IMAGE_ENDINGS
from datavol.data.sources.storage import settled
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError, RunError

FILES = ["cat/b.PNG", "cat/a.jpg", "cat/deep/er/c.webp", "dog-2/x.ppm", "dog/y.Jpeg", "dog/a/z.tiff"]


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def keys(split: FileSplit) -> list[str]:
    return [split.key(i) for i in range(len(split))]


def in_classes(table: FileTable) -> FileSplit:
    whole = FileSplit(Folder(table.root), table.paths, table.labels.astype(np.int64))
    return whole.take(np.flatnonzero(whole.labels >= 0))


@pytest.fixture
def images(tmp_path):
    root = tmp_path / "images"
    touch(root, *FILES)
    return root


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache")


@pytest.fixture
def scans(monkeypatch):
    """Count the roots that are scanned rather than remembered."""
    roots, scan = [], file_tables._scan
    monkeypatch.setattr(file_tables, "_scan", lambda root: (roots.append(root), scan(root))[1])
    return roots


def test_a_table_is_ordered_by_class_then_path(images, cache):
    touch(images, "dog/notes.txt", "cat/.hidden.png", ".ipynb_checkpoints/x.png", "loose.png", "empty/readme.md")
    table = file_table(str(images), cache)
    assert table.classes == ("cat", "dog", "dog-2", "empty")
    loose, *names = [os.fsdecode(path) for path in split_names(table.paths)]
    assert loose == "loose.png"
    assert names == ["cat/a.jpg", "cat/b.PNG", "cat/deep/er/c.webp", "dog/a/z.tiff", "dog/y.Jpeg", "dog-2/x.ppm"]
    assert table.labels.tolist() == [-1, 0, 0, 0, 1, 1, 2]
    split = in_classes(table)
    assert keys(split) == names
    assert (split.labels.tolist(), split.labels.dtype) == ([0, 0, 0, 1, 1, 2], np.int64)


def test_the_order_is_not_that_of_the_file_system(images, cache, monkeypatch):
    expected = keys(in_classes(file_table(str(images), cache)))
    scandir = os.scandir

    def shuffled(place):
        entries = list(scandir(place))
        random.Random(len(entries)).shuffle(entries)
        return nullcontext(reversed(entries))

    monkeypatch.setattr(file_tables.os, "scandir", shuffled)
    assert keys(in_classes(file_table(str(images), cache + "2"))) == expected


def test_the_files_are_those_of_torchvision(images, cache):
    for number, name in enumerate(FILES):
        Image.new("RGB", (9, 8), (number, 2 * number, 200)).save(images / name)
    peer = ImageFolder(str(images))
    table = file_table(str(images), cache)
    split = in_classes(table)
    assert set(IMG_EXTENSIONS) < IMAGE_ENDINGS
    assert list(table.classes) == peer.classes
    ours = sorted((split.path(i), int(split.labels[i])) for i in range(len(split)))
    assert ours == sorted(peer.samples)
    theirs = {path: np.asarray(peer.loader(path)) for path, _ in peer.samples}
    for i in range(len(split)):
        assert np.array_equal(decode_file(split, i).permute(1, 2, 0), theirs[split.path(i)])


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_strange_names_survive_scan_cache_and_pickling(images, cache, scans):
    strange = [b"cat/new\nline.png", b"cat/\xff\xfe.png", "cat/größe 猫.png".encode(), b"cat/a|b'\".png"]
    for name in strange:
        Image.new("RGB", (9, 8)).save(os.fsdecode(os.fsencode(images) + b"/" + name))
    tables = [file_table(str(images), cache) for _ in range(2)]
    assert len(scans) == 1
    for split in (in_classes(tables[0]), pickle.loads(pickle.dumps(in_classes(tables[1])))):
        found = {os.fsencode(split.key(i)): i for i in range(len(split))}
        assert set(strange) <= set(found)
        assert all(decode_file(split, found[name]).shape == (3, 8, 9) for name in strange)


@given(st.lists(st.binary(max_size=5).map(lambda name: name.replace(b"\0", b"")), max_size=9))
def test_blobs_come_back(names):
    assert split_names(join_names(names)) == names


def test_take_keeps_its_order_and_keys_check_their_range():
    split = split_of(Path("/data"), "a.png", "b.png", "c.png")
    split = FileSplit(split.files, split.paths, np.array([5, 6, 7]))
    taken = split.take(np.array([2, 0]))
    assert (keys(taken), taken.labels.tolist()) == (["c.png", "a.png"], [7, 5])
    with pytest.raises(IndexError):
        split.key(3)


def test_a_digest_sees_keys_and_labels_but_not_the_root():
    split = split_of(Path("/data"), "a.png", "b.png")
    assert split.digest() == split_of(Path("/moved"), "a.png", "b.png").digest()
    assert split.digest() != split_of(Path("/data"), "b.png", "a.png").digest()
    assert split.digest() != FileSplit(split.files, split.paths, np.array([0, 1])).digest()


def remembered(table) -> tuple:
    return table.root, table.folders, table.stamps.tolist(), table.paths, table.labels.tolist(), table.classes


def test_an_unchanged_folder_is_scanned_once(images, cache, scans):
    first, second = (file_table(str(images), cache) for _ in range(2))
    assert scans == [str(images)]
    assert remembered(first) == remembered(second)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: touch(root, "cat/new.png"),
        lambda root: touch(root, "cat/deep/er/new.png"),
        lambda root: touch(root, "owl/new.png"),
        lambda root: (root / "dog" / "y.Jpeg").unlink(),
        lambda root: (root / "dog" / "y.Jpeg").rename(root / "dog" / "w.jpeg"),
        lambda root: shutil.rmtree(root / "cat" / "deep"),
        lambda root: (root / "cat").rename(root / "lion"),
    ],
)
def test_a_changed_folder_is_scanned_anew(images, cache, scans, change):
    file_table(str(images), cache)
    time.sleep(0.02)  # past a tick of the kernel's clock
    change(images)
    again = file_table(str(images), cache)
    assert len(scans) == 2
    assert remembered(again) == remembered(file_table(str(images), cache + " of its own"))


def add_unseen(root: Path) -> None:
    """Add a file, and set the folder's mtime back."""
    before = (root / "cat").stat()
    touch(root, "cat/new.png")
    os.utime(root / "cat", ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_folder(root: Path) -> None:
    """Put another folder of the same mtime in a folder's place."""
    before = (root / "dog").stat()
    touch(root, "../other/z.png")
    os.utime(root / "../other", ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(root / "dog")
    (root / "../other").rename(root / "dog")
    os.utime(root, ns=(10**18, 10**18))


def turn_link(root: Path) -> None:
    """Turn a link of a folder elsewhere, where a folder of the same mtime is."""
    for name in ("one", "two"):
        touch(root, f"../{name}/{name}.png")
        os.utime(root / f"../{name}", ns=(10**18, 10**18))
    (root / "owl").symlink_to(root / "../one")
    os.utime(root, ns=(10**18, 10**18))
    file_table(str(root), str(root / "../cache"))
    (root / "owl").unlink()
    (root / "owl").symlink_to(root / "../two")
    os.utime(root, ns=(10**18, 10**18))


@pytest.mark.parametrize("attack", [add_unseen, replace_folder, turn_link])
def test_a_folder_whose_mtime_lies_is_scanned_anew(images, cache, attack):
    os.utime(images, ns=(10**18, 10**18))
    file_table(str(images), cache)
    time.sleep(0.02)
    attack(images)
    assert remembered(file_table(str(images), cache)) == remembered(file_table(str(images), cache + " of its own"))


@pytest.mark.parametrize(("seconds", "scanned"), [(0, 2), (1.9, 2), (2.1, 1), (10**6, 1), (-3600, 2)])
def test_a_folder_that_changed_just_now_is_not_remembered(images, cache, scans, monkeypatch, seconds, scanned):
    """A second change within the same tick of a clock, or after the clock was set back, could leave no trace."""
    monkeypatch.setattr(settled, "TICK", 2 * 10**9)
    changed = max(Path(folder).stat().st_ctime_ns for folder, _, _ in os.walk(images))
    monkeypatch.setattr(time, "time_ns", lambda: changed + int(seconds * 1e9))
    for _ in range(2):
        file_table(str(images), cache)
    assert len(scans) == scanned


def test_two_roots_share_a_cache(images, cache, tmp_path):
    touch(tmp_path / "other", "owl/a.png")
    for _ in range(2):
        assert file_table(str(images), cache).classes == ("cat", "dog", "dog-2")
        assert file_table(str(tmp_path / "other"), cache).classes == ("owl",)


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATAVOL_CACHE", raising=False)
    assert Path(cache_path("/data", None)).parent == tmp_path / "home" / ".cache" / "datavol"
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "env"))
    assert Path(cache_path("/data", None)).parent == tmp_path / "env"
    assert Path(cache_path("/data", "~/own")).parent == tmp_path / "home" / "own"
    assert cache_path("/data", None) != cache_path("/data2", None)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY", None])
def test_a_damaged_cache_file_is_replaced_with_a_warning(images, cache, scans, caplog, content):
    kept = Path(cache_path(str(images), cache))
    table = file_table(str(images), cache)
    kept.write_bytes(kept.read_bytes()[:-40] if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert remembered(file_table(str(images), cache)) == remembered(table)
    assert len(scans) == 2
    [record] = caplog.records
    assert record.getMessage().startswith(f"{kept} is unreadable (")
    assert record.getMessage().endswith("); making it anew")
    file_table(str(images), cache)
    assert len(scans) == 2


def test_columns_that_disagree_or_are_pickled_are_not_trusted(images, cache, caplog):
    table, kept = file_table(str(images), cache), cache_path(str(images), cache)
    shorter = replace(table, labels=table.labels[1:])
    file_tables._write(shorter, kept)
    assert remembered(file_table(str(images), cache)) == remembered(table)
    assert "its columns differ in length" in caplog.text
    columns = {name: np.array([{}], dtype=object) for name in ("folders", "paths", "left_out")}
    np.savez(kept, allow_pickle=True, **columns)
    assert remembered(file_table(str(images), cache)) == remembered(table)
    assert "allow_pickle=False" in caplog.text


@settings(deadline=None, max_examples=200)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_in_the_cache_never_changes_the_table(tmp_path_factory, place, bit):
    root = tmp_path_factory.getbasetemp() / "flipped"
    touch(root / "images", *FILES)
    table = file_table(str(root / "images"), str(root / "cache"))
    kept = Path(cache_path(table.root, str(root / "cache")))
    content = bytearray(kept.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    kept.write_bytes(content)
    assert remembered(file_table(table.root, str(root / "cache"))) == remembered(table)


def test_an_unwritable_cache_is_a_warning(images, tmp_path, caplog):
    touch(tmp_path, "a_file")
    table = file_table(str(images), str(tmp_path / "a_file"))
    assert len(table.labels) == len(FILES)
    message = caplog.records[-1].getMessage()
    assert message.startswith(f"{cache_path(table.root, str(tmp_path / 'a_file'))} could not be kept (")
    assert message.endswith("; try data.cache_dir=/path/to/a/writable/folder")


def test_a_write_that_fails_leaves_nothing_behind(images, cache, monkeypatch, caplog):
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(28, "No space left on device")))
    file_table(str(images), cache)
    assert "No space left on device" in caplog.text
    assert os.listdir(cache) == []


def test_two_writers_do_not_meet(images, cache, monkeypatch):
    """Write the same table again while the first writer is half-way."""
    replace, inner = os.replace, []

    def interrupted(source, target):
        if not inner:
            inner.append(source)
            file_tables._write(table, cache_path(str(images), cache))
        replace(source, target)

    table = file_tables._scan(str(images))
    monkeypatch.setattr(os, "replace", interrupted)
    file_tables._write(table, cache_path(str(images), cache))
    assert [Path(cache, name) for name in os.listdir(cache)] == [Path(cache_path(str(images), cache))]
    assert remembered(file_table(str(images), cache)) == remembered(table)


def test_a_folder_that_cannot_be_read_is_named(images, cache, monkeypatch):
    forbidden = Mock(side_effect=PermissionError(13, "Permission denied", str(images)))
    monkeypatch.setattr(file_tables.os, "scandir", forbidden)
    message = r"data\.root must be readable throughout, got .*images.* \(Permission denied\); check its permissions"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        file_table(str(images), cache)


def test_images_of_all_modes_come_in_rgb(tmp_path):
    levels = np.linspace(0, 255, 72).astype(np.uint8).reshape(8, 9)
    gray = Image.fromarray(levels)
    gray.save(tmp_path / "gray.png")
    gray.convert("RGBA").save(tmp_path / "alpha.png")
    gray.convert("P").save(tmp_path / "palette.png")
    gray.convert("CMYK").save(tmp_path / "print.tif")
    gray.convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    gray.save(tmp_path / "gray.jpg", quality=100)
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(levels.astype(np.int32) * 257).save(tmp_path / "deeper.tif")
    names = sorted(path.name for path in tmp_path.iterdir())
    split = split_of(tmp_path, *names)
    for i in range(len(names)):
        image = decode_file(split, i)
        assert (image.dtype, image.shape) == (torch.uint8, (3, 8, 9))
        assert np.abs(image.numpy().astype(int) - levels).max() <= 1, names[i]


def damaged_files(root: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> content and the reason that the message gives."""
    Image.effect_noise((40, 40), 50).save(root / "whole.jpg")
    Image.effect_noise((40, 40), 50).save(root / "whole.png")
    jpeg, png = (root / "whole.jpg").read_bytes(), (root / "whole.png").read_bytes()
    return {
        "empty.jpg": (b"", "0 bytes of no known format"),
        "text.jpg": (b"<html>not found</html>", "22 bytes of no known format"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "image file is truncated"),
        "cut.png": (png[: len(png) // 2], "image file is truncated"),
        "header.ppm": (b"P6\n4x 4\n255\n", "invalid literal"),
    }


@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg", "cut.jpg", "cut.png", "header.ppm"])
def test_a_damaged_image_is_named(tmp_path, name):
    content, reason = damaged_files(tmp_path)[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedImage) as caught:
        decode_file(split_of(tmp_path, name), 0)
    message = str(caught.value)
    assert message.startswith(f"an image must be whole, got {str(tmp_path / name)!r} ({reason}")
    assert message.endswith("); mend or remove it, or try data.on_damaged=replace")
    assert "\n" not in message
    assert isinstance(caught.value, RunError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_a_missing_file_is_not_a_damaged_image(tmp_path):
    path = str(tmp_path / "gone.png")
    message = f"an image must be readable, got {path!r} (No such file or directory); check data.root"
    with pytest.raises(RunError, match=f"^{re.escape(message)}$") as caught:
        decode_file(split_of(tmp_path, "gone.png"), 0)
    assert not isinstance(caught.value, DamagedImage)
