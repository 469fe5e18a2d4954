"""Tests that a store survives whatever stops its builder."""

import fcntl
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from factories.image_stores import (
    EVERYTHING,
    NAMES,
    PLENTY,
    SIDE,
    Decoder,
    check,
    expected,
    filled,
    pixels_file,
    pixels_of,
    undisturbed,
    warnings_of,
    write_photo,
)
from torchvision.io import ImageReadMode, decode_image

from datavol.data.augment.transforms import shrink
from datavol.data.images import cache_reader, cache_writer
from datavol.data.images.cache_reader import PackedImages, store_of
from datavol.data.images.cache_writer import fill
from datavol.data.images.decode import decode_file
from datavol.data.sources.files.file_table import DamagedImage, FileSplit, join_names
from datavol.data.sources.storage import settled
from datavol.data.sources.storage.folder import Folder
from datavol.errors import RunError

fork = multiprocessing.get_context("fork")
NO_ROOM = OSError(28, "No space left on device")


def test_a_store_holds_the_shrunk_images_in_the_order_of_positions(store, split):
    assert filled(store, split, [3, 1, 4, 1]) == [1, 3, 4]
    check(store, split, {1, 3, 4})
    assert pixels_of(store) == undisturbed(split, [1, 3, 4])


@pytest.mark.filterwarnings("ignore:The image decoding")  # torchvision is about to give it away
def test_the_pixels_are_also_those_of_torchvision_s_decoder(store, split):
    def decode(i: int) -> torch.Tensor:
        return decode_image(split.path(i), ImageReadMode.RGB)

    fill(store, split, decode, EVERYTHING, PLENTY, 2)
    images = PackedImages(store)
    assert all(torch.equal(images.image(i), shrink(decode(i), SIDE)) for i in EVERYTHING.tolist())


def test_runs_share_a_store_and_decode_only_what_it_lacks(store, split):
    assert filled(store, split, [0, 2, 5]) == [0, 2, 5]
    before = PackedImages(store)
    assert filled(store, split, [1, 2, 3]) == [1, 3]
    assert filled(store, split, [0, 1, 2, 3, 5]) == []
    check(store, split, {0, 1, 2, 3, 5})
    assert before.image(1) is None
    assert torch.equal(before.image(5), expected(split, 5))


def test_an_image_whose_file_changed_is_stored_anew(store, split):
    filled(store, split)
    path = Path(split.path(7))
    write_photo(path, (30, 50), 99)
    os.utime(path, ns=(0, 12345))
    assert filled(store, split, [0, 1, 2]) == []
    assert filled(store, split) == [7]
    check(store, split)
    path.write_bytes(b"no image any more")
    assert filled(store, split) == [7]
    check(store, split, set(EVERYTHING) - {7})


@pytest.mark.parametrize("how", ["copied over", "moved over", "written into"])
def test_an_image_replaced_under_its_old_time_and_size_is_stored_anew(how, store, split, tmp_path):
    path, other = Path(split.path(8)), tmp_path / "other.png"
    path.write_bytes(path.read_bytes() + bytes(64))  # behind the end of a PNG nothing is read
    filled(store, split)
    write_photo(other, (16, 16), 99)
    before = path.stat()
    other.write_bytes(other.read_bytes() + bytes(before.st_size - other.stat().st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    if how == "moved over":
        other.rename(path)
    elif how == "copied over":
        shutil.copy2(other, path)
    else:
        path.write_bytes(other.read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert filled(store, split) == [8]
    check(store, split)


def test_damaged_images_are_told_at_each_filling(store, split, capfd):
    Path(split.path(6)).write_bytes(b"no image")
    for found in ("1 of 10", "1 of 1"):
        filled(store, split)
        check(store, split, set(EVERYTHING) - {6})
        told = capfd.readouterr().err
        assert f"image cache: {found} images are damaged, the first: an image must be whole, got " in told
        assert split.path(6) in told


@pytest.mark.parametrize(("seconds", "again"), [(0, 10), (1.9, 10), (2.1, 0), (-3600, 10)])
def test_an_image_whose_file_changed_just_now_is_decoded_again(store, split, monkeypatch, seconds, again):
    """A file written twice within a tick of its clock has one stamp for both."""
    monkeypatch.setattr(settled, "TICK", 2 * 10**9)
    changed = max(Path(split.path(i)).stat().st_ctime_ns for i in EVERYTHING.tolist())
    for i in EVERYTHING.tolist():
        os.utime(split.path(i), ns=(10**18, 10**18))  # a copy may bring any mtime along
    monkeypatch.setattr(time, "time_ns", lambda: changed + int(seconds * 1e9))
    for _ in range(2):
        filled(store, split)
        check(store, split)
    monkeypatch.setattr(time, "time_ns", lambda: changed + 10**11)
    assert [len(filled(store, split)) for _ in range(2)] == [again, 0]


def test_an_outdated_image_is_not_given_where_the_store_cannot_be_written(store, split, caplog, monkeypatch):
    filled(store, split)
    write_photo(Path(split.path(3)), (50, 50), 99)
    monkeypatch.setattr(cache_writer, "file_lock", Mock(side_effect=PermissionError(13, "Permission denied")))
    outdated = fill(store, split, Decoder(split), EVERYTHING, PLENTY, 2)
    assert outdated.tolist() == [3]
    assert "cannot be written" in warnings_of(caplog)[0]
    images = PackedImages(store, outdated)
    for reader in (images, pickle.loads(pickle.dumps(images))):  # as a worker gets it
        assert reader.holds(EVERYTHING).tolist() == [i != 3 for i in range(10)]


def test_an_interrupt_while_outdated_images_are_forgotten(store, split, monkeypatch):
    filled(store, split)
    write_photo(Path(split.path(3)), (50, 50), 99)
    publish, interrupts = cache_writer._Builder.publish, iter([KeyboardInterrupt])

    def interrupted(self) -> None:
        for interrupt in interrupts:
            raise interrupt
        publish(self)

    monkeypatch.setattr(cache_writer._Builder, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        filled(store, split)
    check(store, split, set(EVERYTHING) - {3})


def test_a_store_of_an_earlier_version_makes_room(store, split):
    older = Path(store.older)
    older.mkdir(parents=True)
    for name in ("index.npz", "lock", "pixels-0123456789abcdef.u8"):
        (older / name).touch()
    filled(store, split)
    assert not older.exists()
    check(store, split)


def test_a_damaged_image_is_left_out(store, split):
    def damaged():
        raise DamagedImage("it is not whole")

    assert filled(store, split, p4=damaged) == EVERYTHING.tolist()
    check(store, split, set(EVERYTHING) - {4})
    assert filled(store, split) == [4]
    check(store, split)


def test_a_file_that_is_gone_stops_the_build_which_keeps_what_came_before(store, split):
    os.unlink(split.path(6))
    with pytest.raises(RunError, match=r"an image must be readable, got .*6\.png"):
        filled(store, split)
    assert PackedImages(store).holds(EVERYTHING).tolist() == [True] * 6 + [False] * 4


def test_what_a_build_tells(store, split, capsys, monkeypatch):
    filled(store, split, [0, 1])
    begin, end = capsys.readouterr().err.splitlines()
    assert begin == f"image cache: decoding 2 images into {store.folder}"
    assert end == f"image cache: {len(undisturbed(split, [0, 1])) / 1000:.2f}kB in {store.folder}"
    filled(store, split, [0, 1])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    filled(store, split)
    assert "\rimage cache:   0%|" in capsys.readouterr().err


def test_few_images_are_decoded_ahead(store, split, monkeypatch):
    written, ahead, real = [], [], cache_writer._Builder.add
    monkeypatch.setattr(cache_writer, "BLOCK", 3)
    monkeypatch.setattr(cache_writer._Builder, "add", lambda *one: (real(*one), time.sleep(0.01), written.append(one)))

    def decode(i: int) -> torch.Tensor:
        ahead.append(i - len(written))
        return decode_file(split, i)

    fill(store, split, decode, EVERYTHING, PLENTY, 4)
    assert 1 <= max(ahead) < 3
    check(store, split)


def test_two_builders_at_once_store_each_image_once(store, split, tmp_path, capfd):
    together = fork.Barrier(2)

    def build(number: int) -> None:
        decode = Decoder(split, **{f"p{i}": lambda: time.sleep(0.02) for i in range(10)})
        together.wait()
        fill(store, split, decode, EVERYTHING[number:], PLENTY, 2)
        (tmp_path / f"asked-{number}").write_text(" ".join(map(str, decode.asked)))

    builders = [fork.Process(target=build, args=(number,)) for number in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(30)
        assert builder.exitcode == 0
    asked = [(tmp_path / f"asked-{number}").read_text().split() for number in range(2)]
    assert sorted(map(int, asked[0] + asked[1])) == EVERYTHING.tolist()
    assert capfd.readouterr().err.count(f"image cache: another run is building {store.folder}; waiting for it") == 1
    check(store, split)
    assert len(pixels_of(store)) == len(undisturbed(split))


def test_a_run_whose_images_are_there_does_not_wait_for_a_builder(store, split):
    filled(store, split, [1, 2])
    held, done = fork.Event(), fork.Event()

    def hold() -> None:
        with open(store.path("lock"), "a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            held.set()
            done.wait(30)

    builder = fork.Process(target=hold)
    builder.start()
    assert held.wait(30)
    try:
        assert filled(store, split, [1, 2]) == []
    finally:
        done.set()
        builder.join(30)


def die(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("seconds", [0.0, 30.0], ids=["published", "not published"])
@pytest.mark.parametrize("point", ["in an image", "before the index", "after the index"])
@pytest.mark.parametrize("images", [1, 4, 10])
def test_a_killed_build_goes_on_as_if_it_had_not_been(point, images, seconds, store, split, monkeypatch):
    monkeypatch.setattr(cache_writer, "PUBLISH_SECONDS", seconds)

    def build() -> None:
        added, add = [], cache_writer._Builder.add

        def adding(self, *given):
            added.append(given)
            if len(added) == images and point == "in an image":
                self.file.write(b"half an image")
                die()
            if len(added) == images and point == "before the index":
                cache_reader.write_whole.__globals__["os"].replace = die
            add(self, *given)
            if len(added) == images and point == "after the index":
                die()

        cache_writer._Builder.add = adding
        filled(store, split, threads=3)

    builder = fork.Process(target=build)
    builder.start()
    builder.join(30)
    assert builder.exitcode == -signal.SIGKILL
    published = images - (point != "after the index") if seconds == 0 else 0
    check(store, split, set(range(published)))
    assert filled(store, split) == list(range(published, 10))
    check(store, split)
    # when all had been published, nothing was left to do, not even tidying
    assert (pixels_of(store) if published < 10 else pixels_file(store).read_bytes()) == undisturbed(split)


@pytest.mark.parametrize("killed", [signal.SIGINT, signal.SIGKILL])
def test_readers_of_a_build_that_is_stopped_anywhere(killed, store, split, monkeypatch):
    """Stop builders at random moments until the store is whole."""
    monkeypatch.setattr(cache_writer, "PUBLISH_SECONDS", 0.0)
    rng = np.random.default_rng(0)

    def build() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        filled(store, split, threads=2, **{f"p{i}": lambda: time.sleep(0.003) for i in range(10)})
        os._exit(0)

    for _ in range(12):
        builder = fork.Process(target=build)
        builder.start()
        builder.join(float(rng.uniform(0.005, 0.03)))
        if builder.exitcode is None:
            os.kill(builder.pid, killed)
        builder.join(30)
        images = PackedImages(store)
        there = np.flatnonzero(images.holds(EVERYTHING)).tolist()
        assert all(torch.equal(images.image(i), expected(split, i)) for i in there)
        if builder.exitcode == 0:
            break
    filled(store, split)
    check(store, split)
    assert pixels_file(store).read_bytes() == undisturbed(split)


def test_an_interrupted_build_keeps_what_is_whole(store, split, monkeypatch):
    monkeypatch.setattr(cache_writer, "BLOCK", 2)  # 6 and 7 are decoded once 5 is stored

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, also in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            filled(store, split, p6=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    check(store, split, set(range(6)))
    assert filled(store, split) == [6, 7, 8, 9]
    assert pixels_of(store) == undisturbed(split)


@pytest.fixture
def alike(tmp_path) -> FileSplit:
    """Ten images of 30,000 bytes each."""
    root = tmp_path / "alike"
    root.mkdir()
    for i, name in enumerate(NAMES):
        write_photo(root / name, (100, 100), i)
    return FileSplit(Folder(str(root)), join_names(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))


def test_a_full_disk_leaves_whole_images_and_one_warning(alike, tmp_path, caplog):
    store = store_of(alike, 100, str(tmp_path / "cache"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        filled(store, alike)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert warnings_of(caplog) == [
        "the image cache is full after 3 of 10 images (File too large); the others are decoded each time; "
        f"make room in {tmp_path}/cache or try data.cache=off"
    ]
    assert pixels_of(store) == undisturbed(alike, range(3))
    images = PackedImages(store)
    assert images.holds(EVERYTHING).tolist() == [True] * 3 + [False] * 7
    assert filled(store, alike) == list(range(3, 10))
    assert pixels_of(store) == undisturbed(alike)
    assert torch.equal(images.image(2), expected(alike, 2, 100))


def test_the_limit_is_for_all_stores_together(alike, tmp_path, caplog):
    cache = str(tmp_path / "cache")
    other = store_of(alike.take(EVERYTHING[:2]), 100, cache)
    filled(other, alike.take(EVERYTHING[:2]), [0, 1])
    store = store_of(alike, 100, cache)
    filled(store, alike, limit=60_000 + 90_000)
    assert warnings_of(caplog) == [
        "the image cache is full after 3 of 10 images (its limit is 150kB); the others are decoded each time; "
        f"make room in {cache} or try data.cache=off"
    ]
    assert pixels_of(store) == undisturbed(alike, range(3))
    filled(store, alike, [0, 1, 8], limit=60_000 + 120_000)
    assert pixels_of(store) == undisturbed(alike, [0, 1, 2, 8])
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("seconds", [0.0, 30.0], ids=["on the way", "at the end"])
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_what_could_not_be_published_is_given_up(failing, seconds, alike, tmp_path, caplog, monkeypatch):
    """Fail to sync the pixels, or to write the index."""
    monkeypatch.setattr(cache_writer, "PUBLISH_SECONDS", seconds)
    store = store_of(alike, 100, str(tmp_path / "cache"))
    filled(store, alike, [0, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, failing, Mock(side_effect=NO_ROOM))
        filled(store, alike)
    assert len(warnings_of(caplog)) == 1
    assert "is full after 2 of 10 images (No space left on device)" in warnings_of(caplog)[0]
    assert pixels_of(store) == undisturbed(alike, [0, 1])
    assert filled(store, alike) == list(range(2, 10))
    assert pixels_of(store) == undisturbed(alike)


def test_what_stops_a_build_is_not_hidden_by_what_it_could_not_publish(store, split, monkeypatch):
    os.unlink(split.path(6))
    monkeypatch.setattr(os, "replace", Mock(side_effect=NO_ROOM))
    with pytest.raises(RunError, match=r"an image must be readable"):
        filled(store, split)
    assert not PackedImages(store).holds(EVERYTHING).any()


def test_a_changed_image_is_not_given_even_if_that_cannot_be_published(store, split, caplog):
    filled(store, split)
    old = PackedImages(store)
    before = old.image(3).clone()
    write_photo(Path(split.path(3)), (50, 50), 99)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", Mock(side_effect=NO_ROOM))
        filled(store, split)
    assert PackedImages(store).image(3) is None
    assert filled(store, split) == EVERYTHING.tolist()
    check(store, split)
    assert torch.equal(old.image(3), before)  # a run that goes on reading keeps what it had


def test_a_place_that_cannot_be_written_is_warned_of(split, tmp_path, caplog):
    (tmp_path / "file").touch()
    store = store_of(split, SIDE, str(tmp_path / "file"))
    assert filled(store, split) == []
    assert warnings_of(caplog) == [
        "the image cache cannot be written after 0 of 10 images (Not a directory); the others are decoded each time; "
        f"see to {tmp_path}/file or try data.cache=off"
    ]
