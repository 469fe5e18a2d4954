"""Tables of Hugging Face's `datasets` are data sets; what is wrong with them is one line."""

import io
import json
import sys

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from datavol.data.images.decode import decode_file
from datavol.data.sources.files.file_table import DamagedImage
from datavol.errors import ConfigError

NONE = {"path": None, "label": None, "split": None}


def photo(gray: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), gray).save(file, "PNG")
    return file.getvalue()


def table(labels: list, feature=None, first: int = 0, **columns: list) -> Dataset:
    cells = [{"bytes": photo(first + i), "path": f"{i}.png"} for i in range(len(labels))]
    features = Features({"image": ImageFeature(), "label": feature or ClassLabel(names=["b", "a"])})
    for name, values in columns.items():
        features[name] = Value("string" if isinstance(values[0], str) else "int64")
    return Dataset.from_dict({"image": cells, "label": labels, **columns}, features=features)


def saved(root, **tables: Dataset) -> None:
    (DatasetDict(tables) if len(tables) > 1 else next(iter(tables.values()))).save_to_disk(str(root))


def parquet(root, **tables: Dataset) -> None:
    for name, rows in tables.items():
        rows.to_parquet(str(root / f"{name}.parquet"))


def renamed(root, rows: Dataset, names: list[str]) -> None:
    saved(root, train=rows)
    info = root / "dataset_info.json"
    known = json.loads(info.read_text())
    known["features"]["label"]["names"] = names
    info.write_text(json.dumps(known))


def grays(split) -> list[int]:
    return [int(decode_file(split, i)[0, 0, 0]) for i in range(len(split))]


@pytest.mark.parametrize("names", [("train", "validation"), ("train", "test")])
def test_splits_and_names_of_classes_are_those_of_the_tables(names, opened, root):
    saved(root, **{names[0]: table([0, 1, 0]), names[1]: table([1, 0], first=50)})
    source = opened("hugging_face", root=root)
    assert source.classes == ("a", "b")  # in the order of names, as of folders
    assert (source.train.labels.tolist(), source.val.labels.tolist()) == ([1, 0, 1], [0, 1])
    assert (grays(source.train), grays(source.val)) == ([0, 1, 2], [50, 51])


@pytest.mark.parametrize(("labels", "feature"), [(["b", "a"], Value("string")), ([7, 3], Value("int64"))])
def test_labels_may_be_words_or_numbers(labels, feature, opened, root):
    saved(root, train=table(labels, feature), val=table(labels, feature))
    assert opened("hugging_face", root=root).classes == tuple(sorted(map(str, labels)))


def test_one_table_is_divided_and_may_have_groups(opened, root):
    saved(root, train=table([0, 1] * 8, clip=[f"clip{i // 4}" for i in range(16)]))
    source = opened("hugging_face", root=root, val_fraction=0.25, group="clip")
    assert len(source.groups.names) == 4
    assert not source.groups.shared
    with pytest.raises(ConfigError, match=r"try data\.val_fraction=0\.2"):
        opened("hugging_face", root=root)


def test_a_column_may_name_the_splits(opened, root):
    saved(root, train=table([0, 1, 0, 1, 0], part=["train", "val", "train", "train", "val"]))
    source = opened("hugging_face", root=root, columns=NONE | {"split": "part"})
    assert (grays(source.train), grays(source.val)) == ([0, 2, 3], [1, 4])


def test_a_split_without_labels_is_left_out(opened, root):
    saved(root, train=table([0, 1]), validation=table([0, 1]), test=table([-1, -1, -1]))
    source = opened("hugging_face", root=root)
    assert source.found.left_out == {"without labels in split test": 3}


def test_parquet_is_read_by_the_names_of_its_files(opened, root):
    (root / "data").mkdir()
    for name, first in (("train-00000-of-00002", 0), ("train-00001-of-00002", 10), ("validation-00000-of-00001", 20)):
        table([0, 1], first=first).to_parquet(str(root / f"data/{name}.parquet"))
    source = opened("hugging_face", root=root)
    assert (grays(source.train), grays(source.val)) == ([0, 1, 10, 11], [20, 21])
    table([0, 1], first=90).to_parquet(str(root / "data/train-00000-of-00002.parquet"))
    assert grays(opened("hugging_face", root=root).train) == [90, 91, 10, 11]


def test_parquet_of_splits_that_are_called_otherwise_is_named(opened, root, capfd):
    parquet(root, **{"fold a": table([0, 1]), "val": table([0, 1])})
    with pytest.raises(ConfigError, match=r"must part images into train and val, got fold a, val in"):
        opened("hugging_face", root=root)
    (root / "fold a.parquet").rename(root / "train.PARQUET")
    assert len(opened("hugging_face", root=root).train) == 2
    (root / "val.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ConfigError, match="must hold whole tables"):
        opened("hugging_face", root=root)
    assert capfd.readouterr().err == ""  # no line of the library's own


REFUSED = {
    "two columns of labels": (
        lambda root: saved(root, train=table([0, 1]).add_column("fine", [0, 1], feature=ClassLabel(names=["x", "y"]))),
        NONE,
        r"one column of a label, got label, fine .*try data\.columns\.label=label or data\.columns\.label=fine",
    ),
    "no column of images": (
        lambda root: saved(root, train=Dataset.from_dict({"text": ["x"], "label": [0]})),
        NONE,
        r"one column of an image, got none of its columns text, label; try data\.columns\.path=text",
    ),
    "a column that is not there": (
        lambda root: saved(root, train=table([0, 1])),
        NONE | {"label": "kind"},
        r"data\.columns\.label must be a column of the table, got kind; its columns are image, label",
    ),
    "rows without labels": (
        lambda root: saved(root, train=table([0, 1, -1])),
        NONE,
        r"a row must have a label, got none in 1 of 3 rows of split train",
    ),
    "no labels at all": (
        lambda root: saved(root, train=table([-1, -1])),
        NONE,
        "must hold a split with labels, got none",
    ),
    "labels that are no names": (
        lambda root: saved(root, train=table([0.5, 1.5], Value("float64"))),
        NONE | {"label": "label"},
        r"a label must be text or a whole number, got 0\.5",
    ),
    "an empty label": (
        lambda root: saved(root, train=table(["a", " ", "nan"], Value("string"))),
        NONE | {"label": "label"},
        r"must have a label, got none in 2 of 3 rows",
    ),
    "a number beyond the names of classes": (
        lambda root: renamed(root, table([0, 1]), ["b"]),
        NONE,
        r"must be one of the 1 classes of its column, got number 1 in split train",
    ),
    "a column of text for images": (
        lambda root: saved(root, train=table([0, 1], place=["1.png", "2.png"])),
        NONE | {"path": "place"},
        r"must be a column of images or their bytes, got place; try data\.columns\.path=image",
    ),
    "Parquet of other columns": (
        lambda root: parquet(root, train=table([0, 1]), test=table([0, 1]).remove_columns("label")),
        NONE,
        r"must have the same columns in all splits, got others in some of",
    ),
    "Parquet without rows": (
        lambda root: parquet(root, train=table([0, 1]), test=table([0]).select([])),
        NONE,
        r"must hold rows, got none in .*test\.parquet; remove it",
    ),
    "another folder": (lambda root: None, NONE, "must be a folder that datasets' save_to_disk wrote, or hold Parquet"),
    "damaged Parquet": (
        lambda root: (root / "train.parquet").write_bytes(b"PAR1 but no more"),
        NONE,
        r"must hold whole tables, got .* \(.*\); fetch them again",
    ),
}


@pytest.mark.parametrize(("write", "columns", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_one_line(write, columns, message, opened, root):
    write(root)
    with pytest.raises(ConfigError, match=message) as error:
        opened("hugging_face", root=root, columns=columns, val_fraction=0.5)
    assert "\n" not in str(error.value)


def test_without_the_library_the_extra_is_named(opened, root, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"try `pip install 'datavol\[hugging_face\]'`"):
        opened("hugging_face", root=root)


def test_an_image_that_is_missing_is_named(opened, root):
    missing = table([0, 1]).map(lambda row, i: {"image": None if i else row["image"]}, with_indices=True)
    saved(root, train=missing, validation=table([0, 1]))
    split = opened("hugging_face", root=root).train
    with pytest.raises(DamagedImage, match=r"an image must be whole, got .*train/0000001'.*its row has no image"):
        split.content(1)
