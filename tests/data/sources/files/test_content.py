"""Notices what lies in files whose names stay."""

import os
import shutil
from pathlib import Path

import pytest
from factories.sources import split_of
from PIL import Image

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.data.sources.files import content
from datavol.data.sources.files.content import content_of


@pytest.fixture
def files(tmp_path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    for i in range(20):
        (root / f"{i:02d}").write_bytes(bytes([i]) * 100)
    return root


def test_copies_have_one_content_wherever_and_whenever_they_are_made(files, tmp_path):
    shutil.copytree(files, tmp_path / "copy", copy_function=shutil.copyfile)
    (tmp_path / "link").symlink_to(files)
    first = content_of([split_of(files)])
    assert content_of([split_of(tmp_path / "copy")]) == content_of([split_of(tmp_path / "link")]) == first
    assert len(first) == 16


@pytest.mark.parametrize("change", ["one byte, same time", "another size", "gone", "two exchanged"])
def test_changes_are_noticed(change, files):
    before, file = content_of([split_of(files)]), files / "07"
    split, times = split_of(files), file.stat()
    if change == "one byte, same time":
        file.write_bytes(bytes([7]) * 99 + b"x")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "another size":
        file.write_bytes(b"")
    elif change == "gone":
        file.unlink()
    else:
        other = (files / "08").read_bytes()
        (files / "08").write_bytes(file.read_bytes())
        file.write_bytes(other)
    assert content_of([split]) != before


def test_train_and_val_both_count_and_are_not_mixed_up(files, tmp_path):
    shutil.copytree(files, tmp_path / "val")
    train, val = split_of(files), split_of(tmp_path / "val")
    before = content_of([train, val])
    (tmp_path / "val/03").write_bytes(b"x" * 100)
    assert len({before, content_of([train, val]), content_of([val, train])}) == 3


def test_of_many_and_large_files_a_sample_is_read(files, monkeypatch):
    monkeypatch.setattr(content, "READ", 5)
    monkeypatch.setattr(content, "PIECE", 10)
    read, pieces = [], content._pieces
    monkeypatch.setattr(content, "_pieces", lambda *file: read.append(pieces(*file)) or read[-1])
    before, split = content_of([split_of(files)]), split_of(files)
    assert [len(part) for part in read] == [30] * 5
    touched = 0
    for i in range(20):  # bytes in the middle of one file after the other: the sample misses them
        whole = (files / f"{i:02d}").read_bytes()
        (files / f"{i:02d}").write_bytes(whole[:50] + b"x" + whole[51:])
    assert content_of([split]) == before
    for i in range(20):  # at the end: of the files of the sample they are noticed
        whole = (files / f"{i:02d}").read_bytes()
        (files / f"{i:02d}").write_bytes(whole[:-1] + b"x")
        after = content_of([split])
        touched += after != before
        before = after
    assert touched == 5


def test_the_manifest_of_files_has_it_and_that_of_arrays_has_it_in_its_fingerprint(photos, elsewhere):
    files = prepare(compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=8"])[0].config)
    arrays = prepare(compose([])[0].config)
    assert files.manifest["content"] == files.source.content
    assert "content" not in arrays.manifest
    Image.new("RGB", (32, 24), "gray").save(photos / "train/cat/00.png")
    again = prepare(compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=8"])[0].config)
    assert again.source.fingerprint == files.source.fingerprint
    assert again.source.content != files.source.content
