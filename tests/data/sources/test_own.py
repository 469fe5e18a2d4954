"""A data set by a class of the user's."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from datavol.config.compose import compose
from datavol.data.images.decode import decode_pixels
from datavol.data.sources.files.file_table import DamagedImage
from datavol.data.sources.open import open_source
from datavol.errors import ConfigError, RunError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)


def encoded(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def opened(monkeypatch):
    """Opens a source with the given attributes, by its class in a module of the user's."""

    def open_(*overrides: str, **has):
        has = {"labels": [0, 1, 2] * 4, "read": PIXELS.__getitem__} | has
        source = SimpleNamespace(**{name: value for name, value in has.items() if value is not None})
        monkeypatch.setitem(
            sys.modules, "data_of_a_user", SimpleNamespace(Made=lambda: source, __file__=__file__, __name__="x")
        )
        config = compose(["data=own", "data._target_=data_of_a_user.Made", *overrides])[0].config
        return open_source(config.data)

    return open_


HELD_OUT = "data.val_fraction=0.25"


@pytest.mark.parametrize(
    "read",
    [
        lambda i: PIXELS[i],
        lambda i: Image.fromarray(PIXELS[i]),
        lambda i: encoded(PIXELS[i]),
    ],
    ids=["array", "picture", "bytes"],
)
def test_pixels_are_those_that_read_gives_in_any_form(opened, read):
    source = opened(HELD_OUT, read=read)
    for split in (source.train, source.val):
        for i in range(len(split)):
            position = int(split.key(i))
            assert (decode_pixels(split, i) == PIXELS[position]).all()
            assert split.labels[i] == position % 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_a_picture_of_any_mode_is_decoded_as_its_file_would_be(opened, mode):
    picture = Image.fromarray(PIXELS[0]).convert("L" if mode == "LA" else "RGB").convert(mode)
    file = io.BytesIO()
    picture.save(file, "GIF" if mode == "P" else "TIFF")
    as_file = opened(HELD_OUT, read=lambda i: file.getvalue()).train
    as_picture = opened(HELD_OUT, read=lambda i: picture).train
    assert (decode_pixels(as_picture, 0) == decode_pixels(as_file, 0)).all()


def test_labels_are_names_or_numbers_of_classes(opened):
    named = opened(HELD_OUT, labels=["owl", "cat", "dog"] * 4)
    numbered = opened(HELD_OUT, classes=("owl", "cat", "dog"))
    bare = opened(HELD_OUT)
    assert named.classes == numbered.classes == ("cat", "dog", "owl")
    assert named.fingerprint == numbered.fingerprint
    assert bare.classes == ("0", "1", "2")


def test_splits_groups_and_names_are_taken_where_it_has_them(opened):
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    source = opened(splits=splits, groups=["a", "b", "c"] * 4, names=[f"{i}.png" for i in range(12)])
    assert (len(source.train), len(source.val)) == (6, 3)
    assert source.found.left_out == {"in split test": 3}
    assert source.groups.by == "groups"
    assert source.groups.shared == ["a", "b", "c"]
    assert source.train.key(1) == "0000001/1.png"
    assert "data_of_a_user.Made[" in source.train.path(1)


def test_whole_groups_are_held_out(opened):
    source = opened("data.val_fraction=0.5", groups=[f"g{i // 6}{i % 3}" for i in range(12)])
    assert not set(source.train.groups) & set(source.val.groups)


def test_a_stamp_of_its_own_allows_a_cache_and_marks_a_change(opened):
    stamps = {"mark": 1}
    source = opened(HELD_OUT, "data.cache=ram", stamp=lambda i: (i, stamps["mark"]))
    before = source.train.stamp(0)
    stamps["mark"] = 2
    assert source.train.stamp(0) != before


@pytest.mark.parametrize(("stamp", "said"), [(lambda i: "v1", "TypeError: .*'v1'"), (lambda i: {}[i], "KeyError: ")])
def test_a_stamp_is_of_numbers(opened, stamp, said):
    source = opened(HELD_OUT, stamp=stamp)
    with pytest.raises(ConfigError, match=f"stamp of data_of_a_user.Made must give a number, or several.*{said}"):
        source.train.stamp(0)


@pytest.mark.parametrize(
    ("has", "overrides", "said"),
    [
        ({"read": None}, [], "must give labels and read.position., got data_of_a_user.Made without read"),
        ({"labels": None}, [], "without labels"),
        ({"labels": [0, 1, 5] * 4, "classes": ("a", "b", "c")}, [], "from 0 to 2, as it has 3 classes, got 0 to 5"),
        ({"labels": [0.5] * 12}, [], "labels of data_of_a_user.Made must be names or numbers"),
        ({"labels": []}, [], "must be names or numbers"),
        ({"labels": (1 // 0 for _ in "a")}, [], r"labels of .*, got ZeroDivisionError: .*test_own.py:\d+"),
        ({"labels": [[1], [1, 2]] * 6}, [], "labels of data_of_a_user.Made must be names or numbers"),
        ({"labels": ["a", None] * 6}, [], "labels of data_of_a_user.Made must be names or numbers, .* got None"),
        ({"classes": {"a", "b", "c"}}, [], "classes of data_of_a_user.Made must be a list or an array, .* a set"),
        ({"classes": 3}, [], "classes of data_of_a_user.Made must be a list .*'int' object is not iterable"),
        ({"splits": 5}, [], "splits of data_of_a_user.Made must be a list"),
        ({"groups": ["a", None] * 6}, [], "groups of data_of_a_user.Made must have a text for each .* none for 1"),
        ({"groups": ["a"]}, [], "groups of data_of_a_user.Made must have a text for each of 12 images, got 1"),
        ({}, ["data.cache=ram"], r"data.cache must be off unless data_of_a_user.Made has stamp\(position\)"),
        ({"splits": ["train"] * 12}, [], "data.val_fraction must be null when data._target_ has a split"),
    ],
)  # fmt: skip
def test_what_a_source_lacks_is_told_in_one_line(opened, has, overrides, said):
    with pytest.raises(ConfigError, match=said):
        opened(HELD_OUT, *overrides, **has)


@pytest.mark.parametrize(
    ("read", "kind", "said"),
    [
        (lambda i: {}[i], DamagedImage, "KeyError"),
        (lambda i: PIXELS[i].astype(float), DamagedImage, "uint8 of shape .H, W. or .H, W, 3., got float64"),
        (lambda i: sys.exit(0), DamagedImage, "SystemExit: 0"),
        (lambda i: None, DamagedImage, "got a NoneType"),
        (lambda i: b"no image", DamagedImage, "8 bytes of no known format"),
        (lambda i: Path("/not/there").read_bytes(), RunError, "must be readable, got 'data_of_a_user.Made"),
    ],
)
def test_what_read_raises_is_one_line_with_the_image(opened, read, kind, said):
    source = opened(HELD_OUT, read=read)
    with pytest.raises(kind, match=said) as caught:
        decode_pixels(source.train, 0)
    assert "data_of_a_user.Made[" in str(caught.value)
    assert "\n" not in str(caught.value)
