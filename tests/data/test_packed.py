"""Packed images: the pixels of a resize made here, whole stores whatever happens to who builds them."""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as F
from tqdm import tqdm

from datavol.data import packed, packing
from datavol.data.decoding import decoded
from datavol.data.folders import DamagedImage, FileSplit, joined
from datavol.data.packed import PackedImages, Store, cache_folder, estimated_bytes, store_of
from datavol.data.packing import fill
from datavol.data.transforms import shrunk
from datavol.errors import ConfigError, RunError

SIDE = 16
SIZES = [(24, 20), (16, 40), (40, 16), (9, 8), (33, 47), (17, 17), (64, 20), (20, 64), (16, 16), (100, 7)]
NAMES = [f"{i}.{'jpg' if i % 2 else 'png'}" for i in range(len(SIZES))]
EVERYTHING = np.arange(len(SIZES))
PLENTY = 10**9
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def own_tqdm_lock():
    """tqdm's own lock is shared by forked processes, and one that is killed may never give it back."""
    tqdm.set_lock(threading.RLock())


def write_photo(path: Path, size: tuple[int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def originals(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    for i, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        write_photo(root / name, size, i)
    return root


@pytest.fixture
def split(originals, tmp_path) -> FileSplit:
    root = tmp_path / "images"
    shutil.copytree(originals, root)
    return FileSplit(str(root), joined(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))


@pytest.fixture
def store(split, tmp_path) -> Store:
    return store_of(split, SIDE, str(tmp_path / "cache" / "images"))


def expected(split: FileSplit, i: int, side: int = SIDE) -> torch.Tensor:
    """From Pillow's decoder; the resize is torchvision's, on an image of another layout than the store's."""
    with Image.open(os.path.join(split.root, split.key(i))) as image:
        whole = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    return F.resize(whole, [side], antialias=True) if min(whole.shape[1:]) > side else whole


class Decoder:
    """Decodes as torchvision does, and counts; some positions can be made to do something else."""

    def __init__(self, split: FileSplit, **instead) -> None:
        self.split, self.asked, self.instead = split, [], {int(name[1:]): act for name, act in instead.items()}

    def __call__(self, i: int) -> torch.Tensor:
        self.asked.append(i)
        if i in self.instead:
            self.instead[i]()
        return decoded(self.split, i)


def filled(store: Store, split: FileSplit, positions=EVERYTHING, limit: int = PLENTY, threads: int = 2, **instead):
    """Fills the store and gives the positions that were decoded."""
    decode = Decoder(split, **instead)
    fill(store, split, decode, positions, limit, threads)
    return sorted(decode.asked)


def check(store: Store, split: FileSplit, there=EVERYTHING) -> None:
    """The images `there` are in the store, with the right pixels, and no others."""
    images = PackedImages(store)
    assert np.flatnonzero(images.holds(EVERYTHING)).tolist() == sorted(there)
    for i in EVERYTHING.tolist():
        image = images.image(i)
        assert (image is None) == (i not in there)
        assert image is None or torch.equal(image, expected(split, i))


def pixels_of(store: Store) -> bytes:
    """The content of the one pixels' file, beside which lie the index and the lock alone."""
    assert sorted(name.split("-")[0] for name in os.listdir(store.folder)) == ["index.npz", "lock", "pixels"]
    return pixels_file(store).read_bytes()


def pixels_file(store: Store) -> Path:
    (file,) = Path(store.folder).glob("pixels-*.u8")
    return file


def undisturbed(split: FileSplit, positions=EVERYTHING) -> bytes:
    """What the pixels' file holds after a build in one go."""
    side = 100 if split.root.endswith("alike") else SIDE
    return b"".join(expected(split, i, side).permute(1, 2, 0).numpy().tobytes() for i in positions)


def warnings_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@contextmanager
def files_up_to(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# what is stored


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(2, 60), st.integers(0, 99))
def test_shrinking_leaves_the_short_side_and_does_not_depend_on_the_layout(height, width, side, seed):
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))
    small = shrunk(image, side)
    if min(height, width) <= side:
        assert small is image
        return
    scale = side / min(height, width)
    assert min(small.shape[1:]) == side
    assert small.shape[1:] == (max(side, int(scale * height + 1e-9)), max(side, int(scale * width + 1e-9)))
    assert torch.equal(shrunk(image.permute(1, 2, 0).contiguous().permute(2, 0, 1), side), small)
    by_pillow = F.pil_to_tensor(F.to_pil_image(image).resize((small.shape[2], small.shape[1]), Image.BILINEAR))
    assert (small.int() - by_pillow.int()).abs().max() <= 1


def test_a_store_holds_the_shrunk_images_in_the_order_of_positions(store, split):
    assert filled(store, split, [3, 1, 4, 1]) == [1, 3, 4]
    check(store, split, {1, 3, 4})
    assert pixels_of(store) == undisturbed(split, [1, 3, 4])


@pytest.mark.filterwarnings("ignore:The image decoding")  # torchvision is about to give it away
def test_the_pixels_are_also_those_of_torchvision_s_decoder(store, split):
    def decode(i: int) -> torch.Tensor:
        return decode_image(os.path.join(split.root, split.key(i)), ImageReadMode.RGB)

    fill(store, split, decode, EVERYTHING, PLENTY, 2)
    images = PackedImages(store)
    assert all(torch.equal(images.image(i), shrunk(decode(i), SIDE)) for i in EVERYTHING.tolist())


def test_runs_share_a_store_and_decode_only_what_it_lacks(store, split):
    assert filled(store, split, [0, 2, 5]) == [0, 2, 5]
    before = PackedImages(store)
    assert filled(store, split, [1, 2, 3]) == [1, 3]
    assert filled(store, split, [0, 1, 2, 3, 5]) == []
    check(store, split, {0, 1, 2, 3, 5})
    assert before.image(1) is None
    assert torch.equal(before.image(5), expected(split, 5))


def test_each_table_root_and_side_has_its_own_store(store, split, tmp_path):
    cache = os.path.dirname(store.folder)
    other_labels = FileSplit(split.root, split.paths, split.labels + 1)
    other_root = FileSplit(str(tmp_path), split.paths, split.labels)
    others = [store_of(split, 17, cache), store_of(split.take(np.arange(3)), SIDE, cache)]
    others += [store_of(other, SIDE, cache) for other in (other_labels, other_root)]
    assert len({store.folder, *(other.folder for other in others)}) == 5
    assert store_of(FileSplit(split.root, split.paths, split.labels.copy()), SIDE, cache) == store


def test_an_image_whose_file_changed_is_stored_anew(store, split):
    filled(store, split)
    path = Path(split.root, split.key(7))
    write_photo(path, (30, 50), 99)
    os.utime(path, ns=(0, 12345))
    assert filled(store, split, [0, 1, 2]) == []
    assert filled(store, split) == [7]
    check(store, split)
    path.write_bytes(b"no image any more")
    assert filled(store, split) == [7]
    check(store, split, set(EVERYTHING) - {7})


def test_a_damaged_image_is_left_out(store, split):
    def damaged():
        raise DamagedImage("it is not whole")

    assert filled(store, split, p4=damaged) == EVERYTHING.tolist()
    check(store, split, set(EVERYTHING) - {4})
    assert filled(store, split) == [4]
    check(store, split)


def test_a_file_that_is_gone_stops_the_build_which_keeps_what_came_before(store, split):
    os.unlink(os.path.join(split.root, split.key(6)))
    with pytest.raises(RunError, match=r"an image must be readable, got .*6\.png"):
        filled(store, split)
    assert PackedImages(store).holds(EVERYTHING).tolist() == [True] * 6 + [False] * 4


# how it is read


def test_an_image_is_a_view_of_the_map_channels_last(store, split):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled(store, split)
        images = PackedImages(store)
        views = [images.image(i) for i in EVERYTHING.tolist()]
    starts = np.cumsum([0] + [view.numel() for view in views])[:-1]
    base = views[0].data_ptr()
    assert [view.data_ptr() - base for view in views] == starts.tolist()
    assert len({view.untyped_storage().data_ptr() for view in views}) == 1
    assert all(view[None].is_contiguous(memory_format=torch.channels_last) for view in views)
    views[0].zero_()  # what a transform in place would do
    assert images.image(0).sum() == 0
    check(store, split)


def test_a_view_outlives_the_reader_and_the_store(store, split):
    filled(store, split)
    images = PackedImages(store)
    view = images.image(4)
    del images
    shutil.rmtree(store.folder)
    assert torch.equal(view, expected(split, 4))


def test_a_map_may_be_larger_than_the_memory(tmp_path):
    size = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(size)
    assert len(packed._mapped(str(tmp_path / "sparse"), size)) == size


def test_a_reader_goes_to_a_worker_without_its_map(store, split):
    filled(store, split)
    images = PackedImages(store)
    content = pickle.dumps(images)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).image(3), expected(split, 3))
    loader = DataLoader(Rows(images), batch_size=None, num_workers=2, multiprocessing_context="fork")
    for i, image in enumerate(loader):
        assert torch.equal(image, expected(split, i))


class Rows(torch.utils.data.Dataset):
    def __init__(self, images: PackedImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(SIZES)

    def __getitem__(self, i: int) -> torch.Tensor:
        return pickle.loads(pickle.dumps(self.images)).image(i)


def test_an_empty_store_has_nothing(store, split, caplog):
    assert PackedImages(store).image(0) is None
    assert filled(store, split, []) == []
    assert not os.path.exists(store.folder)
    assert warnings_of(caplog) == []


# what it takes


def test_the_estimate_of_a_whole_sample_is_exact(split):
    for side in (8, 16, 33, 200):
        actual = sum(expected(split, i, side).numel() for i in EVERYTHING.tolist())
        assert estimated_bytes(split, side) == actual


def test_the_estimate_is_close_and_always_the_same(split):
    many = split.take(np.tile(EVERYTHING, 30))
    actual = 30 * sum(expected(split, i).numel() for i in EVERYTHING.tolist())
    assert estimated_bytes(many, SIDE) == pytest.approx(actual, rel=0.2)
    assert estimated_bytes(many, SIDE) == estimated_bytes(many, SIDE)


def test_the_estimate_leaves_out_what_does_not_open(split):
    alike = split.take(np.zeros(8, dtype=np.int64))
    one = estimated_bytes(split.take(EVERYTHING[:1]), SIDE)
    assert estimated_bytes(alike, SIDE) == 8 * one
    Path(split.root, split.key(1)).write_bytes(b"x")
    os.unlink(os.path.join(split.root, split.key(2)))
    assert estimated_bytes(split.take(EVERYTHING[:3]), SIDE) == 3 * one
    assert estimated_bytes(split.take(EVERYTHING[1:3]), SIDE) == 0


def test_where_stores_lie(monkeypatch, tmp_path):
    monkeypatch.delenv("DATAVOL_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("disk", None) == "/home/me/.cache/datavol/images"
    assert cache_folder("disk", "~/there") == "/home/me/there/images"
    monkeypatch.setenv("DATAVOL_CACHE", "/scratch")
    assert cache_folder("disk", None) == "/scratch/images"
    monkeypatch.setattr(packed, "SHARED_MEMORY", str(tmp_path))
    assert cache_folder("ram", "/elsewhere") == f"{tmp_path}/datavol-{os.getuid()}/images"
    monkeypatch.setattr(packed, "SHARED_MEMORY", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"data.cache=ram must have .*gone, got .*; try data.cache=disk"):
        cache_folder("ram", None)


# what may happen to a build


def test_what_a_build_tells(store, split, capsys, monkeypatch):
    filled(store, split, [0, 1])
    begin, end = capsys.readouterr().err.splitlines()
    assert begin == f"image cache: decoding 2 images into {store.folder}"
    assert end == f"image cache: {len(undisturbed(split, [0, 1])) / 1000:.2f}kB in {store.folder}"
    filled(store, split, [0, 1])
    fill(store, split, Decoder(split), [2], PLENTY, 1, progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    filled(store, split)
    assert "\rimage cache:   0%|" in capsys.readouterr().err


def test_few_images_are_decoded_ahead(store, split, monkeypatch):
    written, ahead, real = [], [], packing._Builder.add
    monkeypatch.setattr(packing, "BLOCK", 3)
    monkeypatch.setattr(packing._Builder, "add", lambda *given: (real(*given), time.sleep(0.01), written.append(given)))

    def decode(i: int) -> torch.Tensor:
        ahead.append(i - len(written))
        return decoded(split, i)

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
    monkeypatch.setattr(packing, "PUBLISH_SECONDS", seconds)

    def build() -> None:
        added, add = [], packing._Builder.add

        def adding(self, *given):
            added.append(given)
            if len(added) == images and point == "in an image":
                self.file.write(b"half an image")
                die()
            if len(added) == images and point == "before the index":
                packed.write_whole.__globals__["os"].replace = die
            add(self, *given)
            if len(added) == images and point == "after the index":
                die()

        packing._Builder.add = adding
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
    """Stopped from outside at random moments, over and over, unless the store is whole."""
    monkeypatch.setattr(packing, "PUBLISH_SECONDS", 0.0)
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


@pytest.fixture
def interruptible():
    """Ctrl-C as a terminal's process takes it; one that was started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_build_keeps_what_is_whole(store, split, monkeypatch, interruptible):
    monkeypatch.setattr(packing, "BLOCK", 2)  # 6 and 7 are decoded once 5 is stored

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        filled(store, split, p6=interrupt)
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
    return FileSplit(str(root), joined(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))


def test_a_full_disk_leaves_whole_images_and_one_warning(alike, tmp_path, caplog):
    store = store_of(alike, 100, str(tmp_path / "cache"))
    with files_up_to(100_000):
        filled(store, alike)
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
    """A disk that loses what it took, or has no room left for the index: what was published before holds."""
    monkeypatch.setattr(packing, "PUBLISH_SECONDS", seconds)
    store = store_of(alike, 100, str(tmp_path / "cache"))
    filled(store, alike, [0, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, failing, lambda *_: no_room())
        filled(store, alike)
    assert len(warnings_of(caplog)) == 1
    assert "is full after 2 of 10 images (No space left on device)" in warnings_of(caplog)[0]
    assert pixels_of(store) == undisturbed(alike, [0, 1])
    assert filled(store, alike) == list(range(2, 10))
    assert pixels_of(store) == undisturbed(alike)


def test_what_stops_a_build_is_not_hidden_by_what_it_could_not_publish(store, split, monkeypatch):
    os.unlink(os.path.join(split.root, split.key(6)))
    monkeypatch.setattr(os, "replace", lambda *_: no_room())
    with pytest.raises(RunError, match=r"an image must be readable"):
        filled(store, split)
    assert not PackedImages(store).holds(EVERYTHING).any()


def test_a_changed_image_is_not_given_even_if_that_cannot_be_published(store, split, caplog):
    filled(store, split)
    old = PackedImages(store)
    before = old.image(3).clone()
    write_photo(Path(split.root, split.key(3)), (50, 50), 99)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: no_room())
        filled(store, split)
    assert PackedImages(store).image(3) is None
    assert filled(store, split) == EVERYTHING.tolist()
    check(store, split)
    assert torch.equal(old.image(3), before)  # a run that goes on reading keeps what it had


def no_room() -> None:
    raise OSError(28, "No space left on device")


def test_a_place_that_cannot_be_written_is_warned_of(split, tmp_path, caplog):
    (tmp_path / "file").touch()
    store = store_of(split, SIDE, str(tmp_path / "file"))
    assert filled(store, split) == []
    assert warnings_of(caplog) == [
        "the image cache cannot be written after 0 of 10 images (Not a directory); the others are decoded each time; "
        f"see to {tmp_path}/file or try data.cache=off"
    ]


# what may happen to a store


@pytest.mark.parametrize("harm", ["index cut", "index empty", "pixels cut", "pixels gone", "another table"])
def test_a_store_that_cannot_be_trusted_is_built_anew(harm, store, split, caplog):
    filled(store, split)
    before, content = PackedImages(store), pixels_of(store)
    index, pixels = Path(store.folder, "index.npz"), pixels_file(store)
    if harm == "index cut":
        os.truncate(index, index.stat().st_size // 2)
    if harm == "index empty":
        index.write_bytes(b"")
    if harm == "pixels cut":
        shutil.copy(pixels, pixels.with_suffix(".copy"))
        os.replace(pixels.with_suffix(".copy"), pixels)  # so that `before` keeps its file
        os.truncate(pixels, len(content) - 1)
    if harm == "pixels gone":
        pixels.unlink()
    if harm == "another table":
        packed.write_index(store, packed.Index(pixels.name, 0, packed.read_index(store).entries[:3]))
    assert PackedImages(store).image(0) is None
    (warning,) = warnings_of(caplog)
    assert warning.startswith(f"the image cache {store.folder} is unusable (")
    assert warning.endswith("; its images are decoded each time")
    caplog.clear()
    assert filled(store, split) == EVERYTHING.tolist()
    (warning,) = warnings_of(caplog)
    assert warning.endswith("; building it anew")
    check(store, split)
    assert pixels_of(store) == content
    assert all(torch.equal(before.image(i), expected(split, i)) for i in EVERYTHING.tolist())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_index_gives_wrong_pixels(data, whole_store):
    store, split, content = whole_store
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    Path(store.folder, "index.npz").write_bytes(damaged[:length])
    images = PackedImages(store)
    for i in EVERYTHING.tolist():
        image = images.image(i)
        assert image is None or torch.equal(image, expected(split, i))


@pytest.fixture(scope="session")
def whole_store(originals, tmp_path_factory):
    split = FileSplit(str(originals), joined(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))
    store = store_of(split, SIDE, str(tmp_path_factory.mktemp("whole")))
    filled(store, split)
    return store, split, Path(store.folder, "index.npz").read_bytes()
