"""Shards of samples are data sets; what is wrong with them is one line."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from datavol.errors import ConfigError


def photo(gray: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), gray).save(file, "PNG")
    return file.getvalue()


def shard(path: Path, members: dict[str, bytes | str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            raw = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))


def samples(labels: list[str], ending: str = "cls") -> dict[str, bytes | str]:
    return {
        name: content
        for i, label in enumerate(labels)
        for name, content in ((f"{i:04d}.png", photo(i)), (f"{i:04d}.{ending}", label))
    }


TWO = ["b", "a"]
NAMES = {
    "in one folder": ("train-000000.tar", "val-000000.tar"),
    "with the set's name": ("imagenet-train-00.tar", "imagenet-validation-00.tar"),
    "in folders": ("train/0.tar", "valid/0.tar"),
    "test alone": ("train-0.tar", "test-0.tar"),
}


@pytest.mark.parametrize(("train", "val"), NAMES.values(), ids=NAMES)
def test_shards_are_parted_by_their_names(train, val, opened, root):
    shard(root / train, samples(["b", "a", "b"]))
    shard(root / val, samples(TWO))
    source = opened("webdataset", root=root)
    assert source.classes == ("a", "b")
    assert [source.train.key(i) for i in range(3)] == [f"{train}/{name}.png" for name in ("0001", "0000", "0002")]
    assert (source.train.labels.tolist(), source.val.labels.tolist()) == ([0, 1, 1], [0, 1])
    assert [source.train.content(i) for i in range(3)] == [photo(1), photo(0), photo(2)]


def test_shards_without_names_of_splits_are_divided(opened, root):
    shard(root / "0.tar", samples(TWO * 5))
    source = opened("webdataset", root=root, val_fraction=0.2)
    assert (len(source.train), len(source.val)) == (8, 2)
    with pytest.raises(ConfigError, match=r"has no split.*try data\.val_fraction=0\.2"):
        opened("webdataset", root=root)


LABELS = {
    "numbers": (["10", "9"], "cls", None, ["10", "9"]),
    "with a newline": (["b\n", "a\n"], "cls", None, TWO),
    "of JSON": ([json.dumps({"label": name, "score": 1}) for name in TWO], "json", None, TWO),
    "of a named field": ([json.dumps({"label": 0, "kind": name}) for name in TWO], "json", "json.kind", TWO),
    "plain JSON": (["1", "0"], "json", None, ["1", "0"]),
    "of another ending": (TWO, "species", "species", TWO),
}


@pytest.mark.parametrize(("labels", "ending", "column", "given"), LABELS.values(), ids=LABELS)
def test_labels_are_read(labels, ending, column, given, opened, root):
    for name in ("train-0.tar", "val-0.tar"):
        shard(root / name, samples(labels, ending))
    for _ in range(2):  # from the shards, then from the kept list
        source = opened("webdataset", root=root, columns={"path": None, "label": column, "split": None})
        found = {source.train.key(i): source.classes[source.train.labels[i]] for i in range(2)}
        assert found == dict(zip(("train-0.tar/0000.png", "train-0.tar/0001.png"), given, strict=True))


def test_shards_that_changed_are_read_anew(opened, root):
    for name in ("train-0.tar", "val-0.tar"):
        shard(root / name, samples(TWO))
    opened("webdataset", root=root)
    for name in ("train-0.tar", "val-0.tar"):
        os.unlink(root / name)
        shard(root / name, samples(["x", "y"]))
    assert opened("webdataset", root=root).classes == ("x", "y")


def test_what_is_no_sample_is_counted(opened, root):
    shard(root / "train-0.TAR", samples(TWO) | {"9.jxl": b"an image that is not read", "9.cls": "a"})
    shard(root / "val-0.tar", samples(TWO))
    (root / "train-1.tar.gz").write_bytes(b"")
    for _ in range(2):  # from the shards, then from the kept list
        source = opened("webdataset", root=root)
        assert len(source.train) == 2
        assert source.found.left_out == {"samples without an image": 1, ".gz": 1}


def test_keys_that_would_do_nothing_are_refused(opened, root):
    shard(root / "train-0.tar", samples(TWO))
    with pytest.raises(ConfigError, match=r"data\.columns\.split must be left out .*, got fold; leave it out"):
        opened("webdataset", root=root, columns={"path": None, "label": None, "split": "fold"})


REFUSED = {
    "no shards": ({}, r"must hold shards that end in \.tar, got none"),
    "names of one split alone": (
        {"train-0.tar": samples(TWO), "more.tar": samples(TWO)},
        r"must all be named for splits, as in train-000000\.tar, or none of them, got more\.tar",
    ),
    "no label": (
        {"train-0.tar": {"1.png": photo(), "1.txt": "a cat"}},
        r"label in a member \.cls or \.json, got train-0\.tar/1\.png .* with txt beside it; name its ending",
    ),
    "two images": ({"train-0.tar": {"1.png": photo(), "1.jpg": photo(), "1.cls": "a"}}, "must have one image, got 2"),
    "a JSON of other fields": (
        {"train-0.tar": {"1.png": photo(), "1.json": '{"width": 8}'}},
        r"must be one field of the JSON object, got width .*try data\.columns\.label=json\.width",
    ),
    "no UTF-8": (
        {"train-0.tar": {"1.png": photo(), "1.cls": b"\xff"}},
        r"must be text in UTF-8, or JSON, got b'\\xff'",
    ),
    "a list": ({"train-0.tar": {"1.png": photo(), "1.json": "[1]"}}, r"must be text or a whole number, got \[1\]"),
    "nothing": ({"train-0.tar": {"1.png": photo(), "1.cls": " "}}, "must be text or a whole number, got ''"),
    "half a letter": (
        {"train-0.tar": {"1.png": photo(), "1.json": r'"\ud800"'}},
        r"must be text in UTF-8, or JSON, got",
    ),
    "JSON that is too deep": ({"train-0.tar": {"1.png": photo(), "1.json": "[" * 10**5}}, "must be text in UTF-8, or"),
    "two endings that differ in case": (
        {"train-0.tar": samples(TWO) | {"0000.PNG": photo()}},
        r"must have each ending once, got train-0\.tar/0000\.PNG and 0000\.png",
    ),
    "nothing to evaluate on": (
        {"train-0.tar": samples(TWO), "val-0.tar": {"1.txt": "a"}},
        r"must part images into train and val, got train in .* \(left out: 1 samples without an image\)",
    ),
    "one class": ({"train-0.tar": samples(["a"]), "val-0.tar": samples(["a"])}, "at least 2 classes"),
    "another class in val": (
        {"train-0.tar": samples(TWO), "val-0.tar": samples(["a", "c"])},
        "must have the same classes",
    ),
}


@pytest.mark.parametrize(("shards", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_one_line(shards, message, opened, root):
    for name, members in shards.items():
        shard(root / name, members)
    with pytest.raises(ConfigError, match=message) as error:
        opened("webdataset", root=root)
    assert "\n" not in str(error.value)
