"""What `python -m datavol.audit` finds, prints and writes, and what a study is told before it trains."""

import csv
import io
import json
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from factories.html_page import Page
from PIL import Image

from datavol.audit import main
from datavol.config.compose import compose
from datavol.data.duplicates import before_training
from datavol.data.duplicates.before_training import audit_prepared
from datavol.data.prepare import prepare_all
from datavol.data.sources.open import open_source
from datavol.errors import ConfigError


def scene(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def root(elsewhere: Path) -> Path:
    """Ten training and five validation images of two classes, with copies by kind."""
    root = elsewhere.parent / "pets"
    for split, count, first in (("train", 5, 0), ("val", 2, 50)):
        for label, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                scene(first + 10 * label + i).save(folder / f"{i}.png")
    train, val = root / "train", root / "val"
    shutil.copy(train / "cat" / "0.png", val / "cat" / "same file.png")
    scene(1).save(val / "cat" / "pixels.bmp")
    scene(12).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(val / "dog" / "<b>mirrored.png")
    scene(2).resize((80, 60)).save(train / "dog" / "small.jpg", quality=90)  # scene 2 is a cat
    scene(13).save(train / "dog" / "again.jpg", quality=75)
    (train / "dog" / "torn.png").write_bytes(b"no image")
    return root


def audit(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    sys.argv = ["audit", *map(str, arguments)]
    main()
    return capsys.readouterr().out.splitlines()


def test_copies_of_every_kind_are_found_and_told_the_gravest_first(root, capsys):
    lines = audit(capsys, "data=image_folder", f"data.root={root}")
    assert lines[0] == (
        "major: 3 of 7 validation images are also in train (2 with the same bytes or pixels, 1 alike, resized, saved "
        "anew, brightened or mirrored): accuracy may be too good by up to 43 points; val/cat/same file.png and "
        "train/cat/0.png are the same file, val/cat/pixels.bmp and train/cat/1.png are the same pixels, "
        "val/dog/<b>mirrored.png and train/dog/2.png are mirrored"
    )
    assert lines[1] == (
        "minor: 2 images have a copy with another label, so that one of the two is wrong; train/dog/small.jpg (dog) "
        "and train/cat/2.png (cat) are alike"
    )
    assert lines[2].startswith("minor: 2 of 13 training images (15 %) repeat an earlier one of these; train/dog/")
    assert lines[3] == "minor: images that do not decode, and were not compared: 1 (train/dog/torn.png)"
    table = list(csv.DictReader(io.StringIO(Path("audits/image_folder/duplicates.csv").read_text())))
    assert [(row["kind"], row["first"], row["second"]) for row in table] == [
        ("the same file", "train/cat/0.png", "val/cat/same file.png"),
        ("the same pixels", "train/cat/1.png", "val/cat/pixels.bmp"),
        *sorted((row["kind"], row["first"], row["second"]) for row in table if row["kind"] == "alike"),
        ("mirrored", "train/dog/2.png", "val/dog/<b>mirrored.png"),
    ]
    numbers = json.loads(Path("audits/image_folder/audit.json").read_text())
    assert (numbers["leaked"], numbers["leaked_identical"], numbers["disagreeing"]) == (3, 2, 2)


def test_the_pictures_stand_side_by_side_and_names_are_text(root, capsys):
    audit(capsys, "data=image_folder", f"data.root={root}", "--out", "there")
    text = Path("there/duplicates.html").read_text()
    assert "<b>mirrored" not in text
    assert "val/dog/&lt;b&gt;mirrored.png" in text
    assert text.count("data:image/png;base64,") == 10
    assert len(Page(text).alternatives) == 10


def test_the_printed_line_leaves_out_all_copies(root, capsys):
    line = audit(capsys, "data=image_folder", f"data.root={root}")[-1]
    assert line.startswith(
        "without 7 of them no two are copies and none is damaged; look at the pictures, then type: python -m "
        "datavol.run "
    )
    overrides = shlex.split(line.partition("datavol.run ")[2])
    source = open_source(compose(overrides)[0].config.data)
    assert (len(source.train), len(source.val)) == (6, 7)
    assert "left out: 7 listed in audits/image_folder/leave_out.txt" in source.lines
    lines = audit(capsys, *overrides)
    assert lines[0].startswith("0 pairs of copies among 13 images")
    assert open_source(compose(overrides)[0].config.data).fingerprint == source.fingerprint  # the list is still whole


def test_the_audit_of_other_data_has_a_folder_of_its_own(root, elsewhere, capsys):
    audit(capsys, "data=image_folder", f"data.root={root}")
    before = Path("audits/image_folder/leave_out.txt").read_bytes()
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (elsewhere / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        scene(1).save(elsewhere / "other" / f"{name}.png")
    line = audit(capsys, "data=image_folder", "data.val_fraction=0.5", "data.root=other")[-1]
    assert Path(line.partition(" leaves ")[0]).is_file()
    assert Path("audits/image_folder/leave_out.txt").read_bytes() == before


def test_damaged_members_of_an_archive_are_counted_and_not_copies(elsewhere, capsys):
    with zipfile.ZipFile("photos.zip", "w") as archive:
        for i, name in enumerate(
            f"{part}/{label}/{k}.png" for part in ("train", "val") for label in "ab" for k in "12"
        ):
            content = io.BytesIO()
            scene(i).save(content, "PNG")
            archive.writestr(name, content.getvalue())
    raw = bytearray(Path("photos.zip").read_bytes())
    for name in (b"train/a/1.png", b"val/b/2.png"):
        raw[raw.index(name) + 100] ^= 0xFF
    Path("photos.zip").write_bytes(raw)
    lines = audit(capsys, "data=image_folder", "data.root=photos.zip")
    assert lines[0].startswith(
        "minor: images that do not decode, and were not compared: 2 (train/a/1.png, val/b/2.png)"
    )
    assert lines[1].startswith("0 pairs of copies among 8 images")


def test_a_list_that_would_leave_a_class_without_images_is_not_offered(elsewhere, capsys):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (elsewhere / "same" / name).parent.mkdir(parents=True, exist_ok=True)
        scene(1).save(elsewhere / "same" / f"{name}.png")
    lines = audit(capsys, "data=image_folder", "data.val_fraction=0.5", "data.root=same")
    assert lines[-1] == (
        "audits/image_folder/leave_out.txt leaves no training image of a; look at the pictures, and take lines out "
        "before you use it"
    )


def test_of_subsets_is_told_how_much_is_new(root, capsys):
    lines = audit(capsys, "-m", "data=image_folder", f"data.root={root}", "fraction=0.5,1", "draw_seed=0,1")
    said = [line for line in lines if line.startswith("fraction ")]
    assert [line.partition(":")[0] for line in said] == ["fraction 0.5, draw_seed 0", "fraction 0.5, draw_seed 1"]
    assert all(" images (" in line and "are new" in line for line in said)


def test_indices_of_arrays_are_left_out_as_files_are(elsewhere):
    Path("list.txt").write_text("# two digits\ntrain/3\nval/0\n")
    whole, less = (open_source(compose(line)[0].config.data) for line in ([], ["data.exclude=list.txt"]))
    np.testing.assert_array_equal(less.train.images, np.delete(whole.train.images, 3, axis=0))
    np.testing.assert_array_equal(less.val.labels, whole.val.labels[1:])


@pytest.mark.parametrize(
    ("lines", "message"),
    {
        "train/0\ntrain/9999": "data.exclude must list images of the data as train/... or val/..., got train/9999, "
        "unknown or not unique, in list.txt (1 in all); compare it with python -m datavol.audit",
        "\n".join(f"val/{i}" for i in range(359)): "data.exclude must leave images of every class to train on and some "
        "to evaluate on, got no validation image left by list.txt; take lines out of it",
    }.items(),
    ids=["unknown", "all"],
)
def test_a_list_that_cannot_be_followed_is_refused(lines, message, elsewhere):
    Path("list.txt").write_text(lines)
    with pytest.raises(ConfigError) as error:
        open_source(compose(["data.exclude=list.txt"])[0].config.data)
    assert str(error.value) == message


def before(*overrides: str, multirun: bool = False):
    runs = compose(overrides, multirun=multirun)
    return audit_prepared(runs, prepare_all([run.config for run in runs]))


def test_a_study_is_told_once_before_it_trains_and_its_subsets_record_it(root, tmp_path):
    photos = ["data=image_folder", f"data.root={root}", "recipe.batch_size=2"]
    prepared, lines = before(*photos, "fraction=0.5,1", multirun=True)
    assert lines[0].startswith("audit: major: 3 of 7 validation images are also in train")
    assert lines[-1] == (
        "audit: pictures, and a list of images to leave out: python -m datavol.audit data=image_folder "
        f"data.root={root}"
    )
    half, whole = (one.manifest["duplicates"] for one in prepared)
    assert whole == {
        "images": 13, "repeated": 2, "validation_images": 7, "leaked": 3, "leaked_identical": 2, "disagreeing": 2,
        "damaged": 1,
    }  # fmt: skip
    assert half["images"] < 13
    assert half["leaked"] <= 3


def test_of_more_images_than_take_a_minute_the_command_is_told(root, monkeypatch):
    monkeypatch.setattr(before_training, "MOST_BYTES", 1000)
    photos = ["data=image_folder", f"data.root={root}", "recipe.batch_size=2"]
    (one,), lines = before(*photos)
    assert "duplicates" not in one.manifest
    assert lines[0].startswith("20 images of about ")
    assert lines[0].endswith(f"try python -m datavol.audit data=image_folder data.root={root}")
    assert before(*photos, "data.audit=true")[0][0].manifest["duplicates"]["leaked"] == 3
    monkeypatch.undo()
    assert before(*photos, "data.audit=false")[1] == []


def test_digits_have_none_and_nothing_is_said(elsewhere):
    (one,), lines = before()
    assert lines == []
    assert set(one.manifest["duplicates"].values()) == {0, 1438, 359}
