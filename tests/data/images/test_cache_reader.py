"""Tests how packed images are read, also from damaged stores."""

import os
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.image_stores import EVERYTHING, NAMES, SIDE, check, expected, filled, pixels_file, pixels_of, warnings_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from datavol.data.images import cache_reader, cache_size
from datavol.data.images.cache_reader import PackedImages, store_of
from datavol.data.images.cache_size import cache_folder, estimate_bytes
from datavol.data.sources.files.file_table import FileSplit, join_names
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError


def test_each_table_root_and_side_has_its_own_store(store, split, tmp_path):
    cache = os.path.dirname(store.folder)
    other_labels = FileSplit(split.files, split.paths, split.labels + 1)
    other_root = FileSplit(Folder(str(tmp_path)), split.paths, split.labels)
    others = [store_of(split, 17, cache), store_of(split.take(np.arange(3)), SIDE, cache)]
    others += [store_of(other, SIDE, cache) for other in (other_labels, other_root)]
    assert len({store.folder, *(other.folder for other in others)}) == 5
    assert store_of(FileSplit(split.files, split.paths, split.labels.copy()), SIDE, cache) == store


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
    assert len(cache_reader._map_file(str(tmp_path / "sparse"), size)) == size


def test_a_reader_goes_to_a_worker_without_its_map(store, split):
    filled(store, split)
    images = PackedImages(store)
    content = pickle.dumps(images)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).image(3), expected(split, 3))

    def of_a_copy(i: int) -> torch.Tensor:  # called in a worker
        return pickle.loads(pickle.dumps(images)).image(i)

    loader = DataLoader(EVERYTHING.tolist(), None, num_workers=2, collate_fn=of_a_copy, multiprocessing_context="fork")
    for i, image in enumerate(loader):
        assert torch.equal(image, expected(split, i))


def test_an_empty_store_has_nothing(store, split, caplog):
    assert PackedImages(store).image(0) is None
    assert filled(store, split, []) == []
    assert not os.path.exists(store.folder)
    assert warnings_of(caplog) == []


def test_the_estimate_is_exact_of_a_whole_sample_else_close_and_always_the_same(split):
    for side in (8, 16, 33, 200):
        actual = sum(expected(split, i, side).numel() for i in EVERYTHING.tolist())
        assert estimate_bytes(split, side) == actual
    many = split.take(np.tile(EVERYTHING, 30))
    assert estimate_bytes(many, SIDE) == pytest.approx(30 * estimate_bytes(split, SIDE), rel=0.2)
    assert estimate_bytes(many, SIDE) == estimate_bytes(many, SIDE)


def test_the_estimate_leaves_out_what_does_not_open(split):
    alike = split.take(np.zeros(8, dtype=np.int64))
    one = estimate_bytes(split.take(EVERYTHING[:1]), SIDE)
    assert estimate_bytes(alike, SIDE) == 8 * one
    Path(split.path(1)).write_bytes(b"x")
    os.unlink(split.path(2))
    assert estimate_bytes(split.take(EVERYTHING[:3]), SIDE) == 3 * one
    assert estimate_bytes(split.take(EVERYTHING[1:3]), SIDE) == 0


def test_where_stores_lie(monkeypatch, tmp_path):
    monkeypatch.delenv("DATAVOL_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("disk", None) == "/home/me/.cache/datavol/images"
    assert cache_folder("disk", "~/there") == "/home/me/there/images"
    monkeypatch.setenv("DATAVOL_CACHE", "/scratch")
    assert cache_folder("disk", None) == "/scratch/images"
    monkeypatch.setattr(cache_size, "SHARED_MEMORY", str(tmp_path))
    assert cache_folder("ram", "/elsewhere") == f"{tmp_path}/datavol-{os.getuid()}/images"
    monkeypatch.setattr(cache_size, "SHARED_MEMORY", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"data.cache=ram must have .*gone, got .*; try data.cache=disk"):
        cache_folder("ram", None)


@pytest.mark.parametrize("harm", ["index cut", "index empty", "pixels cut", "pixels gone", "another table"])
def test_a_store_that_cannot_be_trusted_is_built_anew(harm, store, split, caplog):
    filled(store, split)
    before, content = PackedImages(store), pixels_of(store)
    index, pixels = Path(store.folder, "index.npz"), pixels_file(store)
    three = cache_reader.Index(pixels.name, 0, cache_reader.read_index(store).entries[:3])
    {
        "index cut": lambda: os.truncate(index, index.stat().st_size // 2),
        "index empty": lambda: index.write_bytes(b""),
        "pixels cut": lambda: (pixels.unlink(), pixels.write_bytes(content[:-1])),  # `before` keeps its file
        "pixels gone": pixels.unlink,
        "another table": lambda: cache_reader.write_index(store, three),
    }[harm]()
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
    split = FileSplit(Folder(str(originals)), join_names(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))
    store = store_of(split, SIDE, str(tmp_path_factory.mktemp("whole")))
    filled(store, split)
    return store, split, Path(store.folder, "index.npz").read_bytes()
