"""Hashes every byte of every file, and reads again only what may have changed."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from factories.sources import split_of

from datavol.data.sources.files import verified
from datavol.data.sources.files.verified import verified_content
from datavol.data.sources.storage import settled
from datavol.errors import RunError


@pytest.fixture
def files(tmp_path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    for i in range(20):
        (root / f"{i:02d}").write_bytes(bytes([i]) * 2**20)
    return root


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """List the files that are read."""
    names: list[str] = []
    hash_one = verified._hash
    monkeypatch.setattr(verified, "_hash", lambda split, i: (names.append(split.key(i)), hash_one(split, i))[1])
    return names


def by_hand(root: Path) -> str:
    parts = (hashlib.sha256(path.read_bytes()).digest() for path in sorted(root.iterdir()))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_all_bytes_count_and_each_file_is_read_once(files, tmp_path, read):
    cache = str(tmp_path / "cache")
    assert verified_content([split_of(files)], cache) == by_hand(files)
    assert len(read) == 20
    half = split_of(files).take(np.arange(0, 20, 2))  # another split of the same files
    assert verified_content([split_of(files)], cache) == by_hand(files)
    verified_content([half], cache)
    assert len(read) == 20
    shutil.copytree(files, tmp_path / "copy")
    assert verified_content([split_of(tmp_path / "copy")], cache) == by_hand(files)


def in_place(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def copied(file: Path, content: bytes) -> None:
    other = file.parent.parent / "other"
    other.write_bytes(content)
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    shutil.copy2(other, file)  # cp -p


def linked(file: Path, content: bytes) -> None:
    """Write through another name of the file."""
    os.link(file, file.parent.parent / "link")
    (file.parent.parent / "link").write_bytes(content)


def pointed_elsewhere(file: Path, content: bytes) -> None:
    other = file.parent.parent / "other"
    other.write_bytes(content)
    file.unlink()
    file.symlink_to(other)


@pytest.mark.parametrize("attack", [in_place, copied, linked, pointed_elsewhere])
def test_one_byte_in_the_middle_is_noticed_whatever_the_times_say(files, tmp_path, read, attack):
    cache, file = str(tmp_path / "cache"), files / "07"
    before = verified_content([split_of(files)], cache)
    times = file.stat()
    time.sleep(0.02)  # past a tick of the kernel's clock
    attack(file, bytes([7]) * 2**19 + b"x" + bytes([7]) * (2**19 - 1))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = verified_content([split_of(files)], cache)
    assert before != after == by_hand(files)
    assert read[20:] == ["07"]


def test_a_file_that_changed_just_now_is_read_again(files, tmp_path, read, monkeypatch):
    monkeypatch.setattr(settled, "TICK", 2 * 10**9)
    for _ in range(2):
        verified_content([split_of(files)], str(tmp_path / "cache"))
    assert len(read) == 40


def test_what_was_read_before_an_interrupt_is_not_read_again(files, tmp_path, read, monkeypatch):
    monkeypatch.setattr(verified, "BLOCK", 5)
    hash_one = verified._hash

    def stopped(split, i):
        if len(read) == 10:
            raise KeyboardInterrupt
        return hash_one(split, i)

    with monkeypatch.context() as patch:
        patch.setattr(verified, "_hash", stopped)
        with pytest.raises(KeyboardInterrupt):
            verified_content([split_of(files)], str(tmp_path / "cache"))
    done = len(read)
    assert verified_content([split_of(files)], str(tmp_path / "cache")) == by_hand(files)
    assert len(read) <= done + 15


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_memory_is_made_anew(files, tmp_path, read, damage):
    cache = str(tmp_path / "cache")
    before = verified_content([split_of(files)], cache)
    [kept] = Path(cache).glob("contents-*.npz")
    if damage is None:
        np.savez(kept, ids=np.zeros(16, dtype=np.uint8), digests=np.zeros(0, dtype=np.uint8))
    else:
        kept.write_bytes(damage)
    assert verified_content([split_of(files)], cache) == before
    assert len(read) == 40


def test_a_file_that_is_not_there_is_named(files, tmp_path):
    split = split_of(files)
    (files / "03").unlink()
    with pytest.raises(RunError, match=r"an image must be readable, got .*03"):
        verified_content([split], str(tmp_path / "cache"))
