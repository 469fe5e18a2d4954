"""Tests that a list of images is read as it was written, whatever the images are called."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.subset_lists import list_line, read_subset
from datavol.subset import main

STRANGE = ["#1.png", " 1.png", "1.png ", "a\nb.png", "a\tb.png", "a\rb.png", "\ufeffx.png", '"q".png', "'q'.png",
           "12", "a\x85b.png", "a\u2028b.png", os.fsdecode(b"caf\xe9.png"), "\\n.png", "größe 猫.png", "a,b;c.png",
           '"']  # fmt: skip


def read(file: Path, names: list[str]) -> list[int]:
    return read_subset(file, np.zeros(len(names), dtype=np.int64), ["one"], names).indices.tolist()


@pytest.mark.parametrize("folder", ["", "cat/", "#cat/", " "])
def test_every_name_survives(tmp_path, folder):
    names = [folder + name for name in STRANGE]
    (tmp_path / "list.txt").write_bytes("".join(f"{list_line(name)}\n" for name in names).encode())
    assert read(tmp_path / "list.txt", names) == list(range(len(names)))


text = st.text(st.characters(exclude_characters="\0/", categories=["L", "N", "P", "Z", "C"]), min_size=1)


@given(st.lists(text.filter(lambda name: name.strip() not in (".", "..")), min_size=1, unique=True))
def test_any_name_survives(tmp_path_factory, names):
    file = tmp_path_factory.getbasetemp() / "list.txt"
    file.write_text("".join(f"{list_line(name)}\n" for name in names), encoding="utf-8", newline="")
    assert read(file, names) == list(range(len(names)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_are_read_as_editors_and_shells_write_them(tmp_path, encoding, end):
    (tmp_path / "list.txt").write_bytes(end.join(["é/1.png", "", "# a comment", "  2.png  "]).encode(encoding))
    assert read(tmp_path / "list.txt", ["é/1.png", "é/2.png", "é/3.png"]) == [0, 1]


def test_a_raw_name_that_looks_like_a_comment_is_a_name_if_there_is_such_an_image(tmp_path):
    """Lists that were published, or written by datavol 0.1.0, do not quote."""
    (tmp_path / "list.txt").write_text('#c/1.png\n#c/gone.png\n"q.png\n')
    assert read(tmp_path / "list.txt", ["#c/1.png", "#c/2.png", '"q.png']) == [0, 2]


@pytest.mark.parametrize("folder", ["#c", " c ", "a\nb", os.fsdecode(b"caf\xe9")])
def test_the_command_prints_what_it_reads(tmp_path, monkeypatch, capfdbinary, folder):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    for name in (f"train/{folder}", f"val/{folder}", "train/dog", "val/dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "data" / name / f"{i}.png").touch()
    data = ["data=image_folder", f"data.root={tmp_path / 'data'}", "recipe.batch_size=2"]
    monkeypatch.setattr(sys, "argv", ["subset", *data, "fraction=0.5"])
    main()
    sys.stdout.flush()
    listed = capfdbinary.readouterr().out
    assert listed.count(b"\n") == 4
    (tmp_path / "list.txt").write_bytes(listed)
    monkeypatch.setattr(sys, "argv", ["subset", *data, f"subset_file={tmp_path / 'list.txt'}"])
    main()
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == listed
