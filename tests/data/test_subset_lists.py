"""Tests that a list of images is read as it was written, whatever the images are called."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.subset_lists import list_line, list_text, read_subset
from datavol.errors import ConfigError
from datavol.subset import main

STRANGE = ["#1.png", " 1.png", "1.png ", "a\nb.png", "a\tb.png", "a\rb.png", "\ufeffx.png", '"q".png', "'q'.png",
           "12", "a\x85b.png", "a\u2028b.png", os.fsdecode(b"caf\xe9.png"), "\\n.png", "größe 猫.png", "a,b;c.png",
           '"']  # fmt: skip


OURS, OTHER = "0123456789abcdef" * 4, "f" * 64


def read(file: Path, names: list[str], fingerprint: str | None = OURS) -> list[int]:
    return read_subset(file, np.zeros(len(names), dtype=np.int64), ["one"], names, fingerprint).indices.tolist()


@pytest.mark.parametrize("folder", ["", "cat/", "#cat/", " "])
def test_every_name_survives(tmp_path, folder):
    names = [folder + name for name in STRANGE]
    (tmp_path / "list.txt").write_bytes(list_text("mine", OURS, [list_line(name) for name in names]).encode())
    assert read(tmp_path / "list.txt", names) == list(range(len(names)))


text = st.text(st.characters(exclude_characters="\0/", categories=["L", "N", "P", "Z", "C"]), min_size=1)


@given(st.lists(text.filter(lambda name: name.strip() not in (".", "..")), min_size=1, unique=True))
def test_any_name_survives(tmp_path_factory, names):
    file = tmp_path_factory.getbasetemp() / "list.txt"
    file.write_text(list_text("mine", OURS, [list_line(name) for name in names]), encoding="utf-8", newline="")
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
    assert listed.count(b"\n") == 5
    assert listed.startswith(b"# datavol list 1: data=image_folder, fingerprint ")
    (tmp_path / "list.txt").write_bytes(listed)
    monkeypatch.setattr(sys, "argv", ["subset", *data, f"subset_file={tmp_path / 'list.txt'}"])
    main()
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == listed


NAMES = [f"cat/{i}.png" for i in range(30)]


def changed(change: str) -> str:
    lines = list_text("mine", OURS, NAMES[:20]).splitlines()
    match change:
        case "as it was":
            pass
        case "sorted, with notes":
            lines = ["# mine", *sorted(lines), "", "  # the end"]
        case "cut":
            lines = lines[:-5]
        case "cut in a name":
            lines[-1] = "cat/1.png"
        case "longer":
            lines.append("cat/29.png")
        case "one exchanged":
            lines[3] = "cat/29.png"
        case "two lists in one":
            lines += list_text("mine", OURS, NAMES[20:]).splitlines()
        case "of another format":
            lines[0] = lines[0].replace("list 1:", "list 2:")
        case "with a damaged head":
            lines[0] = lines[0][:-3]
    return "\n".join(lines)


@pytest.mark.parametrize("change", ["as it was", "sorted, with notes"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_with_a_head_is_read(tmp_path, change, encoding):
    (tmp_path / "list.txt").write_text(changed(change), encoding=encoding)
    assert read(tmp_path / "list.txt", NAMES) == list(range(20))


REFUSED = {
    "cut": "the 20 lines that its head says, got 15 lines",
    "cut in a name": "the 20 lines that its head says, got other lines",
    "longer": "the 20 lines that its head says, got 21 lines",
    "one exchanged": "the 20 lines that its head says, got other lines",
    "two lists in one": r"one head of format 1 \(# datavol list 1: ...\), got 2 of them",
    "of another format": r"one head of format 1 .*, got '?# datavol list 2: data=mine",
    "with a damaged head": r"one head of format 1 .*, got '?# datavol list 1: data=mine",
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_list_that_is_not_as_its_head_says_is_refused(tmp_path, change):
    (tmp_path / "list.txt").write_text(changed(change))
    with pytest.raises(ConfigError, match=f"subset_file must have {REFUSED[change]}"):
        read(tmp_path / "list.txt", NAMES)


@pytest.mark.parametrize("by", ["name", "index"])
def test_a_list_of_other_data_is_a_warning_or_refused(tmp_path, by, capsys):
    """Names that are all here mean what they say; an index means nothing elsewhere."""
    lines = NAMES[:20] if by == "name" else [str(i) for i in range(20)]
    (tmp_path / "list.txt").write_text(list_text("mine", OTHER, lines))
    if by == "name":
        assert read(tmp_path / "list.txt", NAMES) == list(range(20))
        assert "warning: subset_file=" in capsys.readouterr().err
    else:
        with pytest.raises(ConfigError, match=r"list of these data if it has indices, got one of fingerprint ffffff"):
            read(tmp_path / "list.txt", NAMES)
