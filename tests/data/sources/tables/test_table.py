"""Tests how tables are read, and every way to get them wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
from factories.sources import OWL_IN, items, says, touch

from datavol.errors import ConfigError

ROWS = ["path,label,split", "x/1.png,cat,train", "x/2.png,dog,train", "x/3.png,cat,val", "x/4.png,dog,val"]


@pytest.fixture
def table(root):
    def write(*rows: str) -> Path:
        (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
        return root / "labels.csv"

    return write


def test_a_table_with_a_split(opened, table, root, tmp_path):
    source = opened("table", table=table(*ROWS))
    assert source.classes == ("cat", "dog")
    assert items(source.train) == [("x/1.png", 0), ("x/2.png", 1)]
    assert items(source.val) == [("x/3.png", 0), ("x/4.png", 1)]
    assert source.train.files.place == str(root)
    assert opened("table", table=table(*ROWS), root=tmp_path).train.files.place == str(tmp_path)


def test_a_fingerprint_sees_the_class_names(opened, table):
    first = opened("table", table=table(*ROWS)).fingerprint
    assert opened("table", table=table(*(row.replace("dog", "elk") for row in ROWS))).fingerprint != first


def test_the_columns_of_a_table_stand_in_any_order(opened, table):
    rows = ["note, split, label, path", 'a, train, big cat, "x,1.png"', "b, val, big cat, ./größe.png"]
    source = opened("table", table=table(*rows, "c, train, ape, 2.png", "d, val, ape, 3.png"))
    assert source.classes == ("ape", "big cat")
    assert items(source.train) == [("x,1.png", 1), ("2.png", 0)]
    assert items(source.val) == [("./größe.png", 1), ("3.png", 0)]


def test_a_table_is_split_once(opened, table):
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(20)]
    source = opened("table", table=table("path,label", *rows), val_fraction=0.3)
    assert np.bincount(source.val.labels).tolist() == [3, 3]
    assert sorted(items(source.train) + items(source.val)) == sorted((f"{i}.png", 1 - i % 2) for i in range(20))


def test_a_table_must_be_there(opened, root):
    file = root / "gone.csv"
    with says(f"data.table must be a readable CSV file, got {file} (No such file or directory); check data.table"):
        opened("table", table=file)
    with says(f"data.table must be a readable CSV file, got {root} (Is a directory); check data.table"):
        opened("table", table=root)


WRONG_TABLES = {  # more of them in layouts.yaml
    "data must have at least 2 classes, got one (cat) in {root}; label another class": [*ROWS[:2], ROWS[3]],
    "classes must differ in more than spaces, zeros or Unicode forms, got '01' and '1' in {root}; write them alike": [
        *ROWS,
        "x/5.png,01,train",
        "x/6.png,1,val",
    ],
    "train and val must have the same classes in {root}, got 'Owl' and 'owl', which differ in case, spaces or Unicode "
    "form only; rename one": [*ROWS, "x/5.png,Owl,train", "x/6.png,owl,val"],
    OWL_IN + "val only; add it to train or remove it": [*ROWS, "x/5.png,owl,val"],
}


@pytest.mark.parametrize(("message", "rows"), WRONG_TABLES.items())
def test_a_wrong_table_is_said(opened, table, message, rows):
    file = table(*rows)
    with says(message.format(root=file)):
        opened("table", table=file)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("x/5.png,dog,fold1", "have train, val or test in column split, got 'fold1' on line 6 of {file}"),
        ("x/5.png,dog", "have train, val or test in column split, got '' on line 6 of {file}"),
        ("x/1.png,cat,val", "name each path once, got 'x/1.png' of line 2 again on line 6 of {file}; remove one"),
        ("./x/1.png,cat,val", "name each path once, got './x/1.png' of line 2 again on line 6 of {file}; remove one"),
        (
            "y/../x/1.png,dog,val",
            "name each path once, got 'y/../x/1.png' of line 2 again on line 6 of {file}, first as 'cat' and now as "
            "'dog'; remove one",
        ),
        ("x/5.png,NaN,val", "have a label in every row, got 'NaN' on line 6 of {file}; label or remove it"),
        (
            "x/5.png, ,val",
            "have text for path, label in every row, got a gap or NUL on line 6 of {file}; fill or remove it",
        ),
        ("x/5,6.png,dog,val", "have a field per column, got more on line 6 of {file}; quote commas in names"),
        (
            "x/5.png,,val",
            "have text for path, label in every row, got a gap or NUL on line 6 of {file}; fill or remove it",
        ),
    ],
)
def test_a_wrong_row_of_a_table_is_said_by_its_line(opened, table, row, rule):
    file = table(*ROWS, row)
    with says(f"data.table must {rule.format(file=file)}"):
        opened("table", table=file)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("names", [("train", "val"), ("Training", "valid"), ("train", "test")])
def test_a_table_is_read_as_spreadsheets_write_it(opened, table, delimiter, names):
    rows = [row.replace("train", names[0]).replace("val", names[1]).replace(",", delimiter) for row in ROWS]
    assert opened("table", table=table(*rows)).fingerprint == opened("table", table=table(*ROWS)).fingerprint


def test_rows_of_a_test_split_change_no_fingerprint(opened, table):
    source = opened("table", table=table(*ROWS, "x/5.png,owl,test", "x/6.png,cat,test"))
    assert source.fingerprint == opened("table", table=table(*ROWS)).fingerprint


@pytest.mark.parametrize("encoding", ["latin1", "utf-16", "utf-16-le", "utf-32", "cp1250"])
def test_an_encoding_that_has_one_reading_is_found(opened, root, encoding):
    (root / "labels.csv").write_bytes("\n".join(ROWS).replace("cat", "Käfer").encode(encoding))
    assert opened("table", table=root / "labels.csv").classes == ("Käfer", "dog")


def test_an_encoding_may_be_named(opened, root):
    (root / "labels.csv").write_bytes("\n".join(ROWS).replace("cat", "кошка").encode("koi8-r"))
    assert opened("table", table=root / "labels.csv", encoding="koi8-r").classes == ("dog", "кошка")


def test_a_path_that_is_not_utf8_is_that_of_its_file(opened, root):
    """Files and table were written in Latin-1, or the table alone."""
    rows = [*ROWS, "x/é.png,cat,train"]
    (root / "labels.csv").write_text("\n".join(rows), encoding="latin1")
    touch(root, "x/é.png")
    assert opened("table", table=root / "labels.csv").train.key(2) == "x/é.png"
    os.rename(root / "x/é.png", root / os.fsdecode(b"x/\xe9.png"))
    split = opened("table", table=root / "labels.csv").train
    assert os.path.exists(split.path(2))
    (root / "labels.csv").write_bytes("\n".join(rows).replace("dog", "größe").encode().replace("é".encode(), b"\xe9"))
    assert opened("table", table=root / "labels.csv").classes == ("cat", "größe")


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("path,label,class,image", "path, label"),  # the very names count, as they always did
        ("image,class,note", "image, class"),
        ("Image ID,Breed,Set", "Image ID, Breed, Set"),
        ("IMG_PATH,target,partition", "IMG_PATH, target, partition"),
        ("file name,Category,x", "file name, Category"),
    ],
)
def test_usual_names_of_columns_are_known(opened, table, header, chosen):
    number = len(header.split(","))
    rows = [f"{i}.png,{'ab'[i % 2]},train,x" if i < 4 else f"{i}.png,{'ab'[i % 2]},val,x" for i in range(8)]
    parted = ", Set" in chosen or ", partition" in chosen
    lines = [",".join(row.split(",")[:number]) for row in rows]
    source = opened("table", table=table(header, *lines), val_fraction=None if parted else 0.5)
    assert source.found.read == f"columns {chosen}; commas; UTF-8"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_listed_by_two_names_is_not_in_train_and_val(opened, table, root, link):
    touch(root, "x/1.png", "x/2.png")
    link(root / "x/1.png", root / "x/A.PNG")
    file = table(*ROWS, "x/A.PNG,cat,val")
    with says(
        "data.table must name each file once, as train and val may share none and a file has one class, got "
        f"{root}/x/1.png and {root}/x/A.PNG, which are one file; remove the links"
    ):
        opened("table", table=file)
    note = f"1 link to another image of the class, such as {root}/x/A.PNG"
    assert opened("table", table=table(*ROWS, "x/A.PNG,cat,train")).found.notes == (note,)


def test_a_nul_in_a_table_is_said(opened, table):
    with pytest.raises(ConfigError, match=r"^data\.table must .*NUL"):
        opened("table", table=table(*ROWS, "x/\0.png,cat,val"))


def test_a_table_with_a_split_takes_no_val_fraction(opened, table):
    message = "data.val_fraction must be null when data.table has a split, got 0.2; leave data.val_fraction out"
    with says(message):
        opened("table", table=table(*ROWS), val_fraction=0.2)


def test_a_table_does_not_look_at_its_files_one_by_one(opened, table, monkeypatch):
    file, seen = table(*ROWS), []
    for name in ("stat", "lstat", "open"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda path, *rest, real=real, **more: seen.append(path) or real(path, *rest, **more)
        )
    assert len(opened("table", table=file).train) == 2
    assert sum(str(path).endswith(".png") for path in seen) <= 1  # the first, which tells where the files lie
