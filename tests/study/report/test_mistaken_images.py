"""The surest mistakes are shown from the images that the runs saw, or the report ends before its work."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from factories.run_folders import made_up_predictions, write_run
from PIL import Image

from datavol.config.compose import compose
from datavol.data.sources.open import open_source
from datavol.errors import ConfigError
from datavol.report import report
from datavol.runs.folder import RunFolder
from datavol.study.load.run_data import source_of
from datavol.study.load.study import load_study
from datavol.study.load.validation_images import ValidationImages
from datavol.study.report.mistaken_images import MOST, Picture, Sheet, mistaken_images, section


def seen(folder: RunFolder, wrong: dict[int, tuple[int, float]]) -> None:
    """Write predictions of the run's validation images, right but for `wrong`: position to class and confidence."""
    labels = source_of(folder.path).val.labels
    kept = made_up_predictions(0.9, len(labels))
    classes = (labels[:, None] + np.arange(5)) % 10
    confidences = np.full((len(labels), 5), 0.01)
    confidences[:, 0] = 0.96
    for position, (said, sure) in wrong.items():
        others = [c for c in range(10) if c not in (said, labels[position])][:4]
        classes[position] = [said, *others]
        confidences[position] = [sure, *[(1 - sure) / 8] * 4]
    found = replace(kept, labels=labels, classes=classes, log_probabilities=np.log(confidences).astype(np.float32))
    folder.write_predictions("last", found)


@pytest.fixture
def on_digits(tmp_path):
    """Writes a run on scikit-learn's digits that takes images 3, 7 and 20 for others."""
    folder = write_run(tmp_path / "mine", fraction=0.5)
    (folder.path / "subset.json").write_text(
        (folder.path / "subset.json").read_text().replace("f" * 64, digits_fingerprint())
    )
    labels = source_of(folder.path).val.labels
    seen(folder, {3: ((labels[3] + 5) % 10, 0.99), 7: ((labels[7] + 6) % 10, 0.6), 20: ((labels[20] + 7) % 10, 0.8)})
    return folder


def digits_fingerprint() -> str:
    return open_source(compose([])[0].config.data).fingerprint


def test_the_surest_mistakes_come_first_with_label_answer_and_picture(on_digits):
    (sheet,) = mistaken_images(load_study(on_digits.path.parent))
    images = source_of(on_digits.path).val
    assert [picture.name for picture in sheet.pictures] == [f"validation image {i}" for i in (3, 20, 7)]
    assert [picture.label for picture in sheet.pictures] == [str(images.labels[i]) for i in (3, 20, 7)]
    said = [f"{(images.labels[i] + more) % 10}, {sure} %" for i, more, sure in ((3, 5, 99), (20, 7, 80), (7, 6, 60))]
    assert [picture.said.replace("\N{NO-BREAK SPACE}", " ") for picture in sheet.pictures] == said
    assert "3 mistaken images of 359" in sheet.caption
    content = base64.b64decode(sheet.pictures[0].source.partition("base64,")[2])
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("L"), dtype=float)
    assert content.startswith(b"\xff\xd8\xff")
    assert picture.shape == (128, 128)  # 8 x 8 pixels, each 16 times as large
    assert np.abs(picture[8::16, 8::16] - images.images[3]).mean() < 6  # centres of pixels, but for JPEG's losses


def test_the_page_has_the_pictures_only_when_asked(on_digits, tmp_path):
    study = on_digits.path.parent
    for asked, pictures in ((False, 0), (True, 3)):
        report([study], out=tmp_path / f"{asked}", images=asked)
        text = (tmp_path / f"{asked}/report.html").read_text()
        assert text.count("data:image/jpeg;base64,") == pictures
        assert ("Mistaken with most confidence" in text) is asked


def test_names_are_text_on_the_page_and_an_image_that_cannot_be_read_says_so():
    text = section([Sheet("a curve", "caption", [Picture("<b>.png", "<i>cat</i>", "dog, 90 %", True, "")])])
    assert "&lt;b&gt;.png" in text
    assert "<i>" not in text
    assert "cannot be read" in text
    assert "label may be wrong" in text
    assert "label may be wrong" not in section([Sheet("a", "b", [Picture("c", "d", "e", False, "")])])


def test_files_are_named_and_decoded_as_the_run_saw_them(photos, tmp_path):
    overrides = ("data=image_folder", f"data.root={photos}", "recipe=plain")
    folder = write_run(tmp_path / "mine", overrides=overrides)
    source = open_source(compose(list(overrides))[0].config.data)
    text = (folder.path / "subset.json").read_text().replace("f" * 64, source.fingerprint)
    (folder.path / "subset.json").write_text(text)
    images = ValidationImages(folder.path)
    assert images.name(5) == "dog/01.png"
    np.testing.assert_array_equal(images.pixels(5), np.asarray(Image.open(photos / "val/dog/01.png")))


def test_images_that_are_not_at_hand_are_one_line_before_the_work(on_digits, command, tmp_path):
    text = (on_digits.path / "subset.json").read_text().replace(digits_fingerprint(), "a" * 64)
    (on_digits.path / "subset.json").write_text(text)
    answer = command("report", str(on_digits.path.parent), "--images", "--out", str(tmp_path / "out"))
    assert answer.returncode == 2
    assert answer.stderr.startswith("datavol: --images must have the images where the runs found them, got: ")
    assert answer.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_runs_without_predictions_and_files_of_points_have_no_pictures(tmp_path):
    write_run(tmp_path / "mine")
    with pytest.raises(ConfigError, match="--images must have runs that kept their predictions, got none: "):
        mistaken_images(load_study(tmp_path / "mine"))


def test_no_more_than_a_sheet_is_shown(on_digits):
    labels = source_of(on_digits.path).val.labels
    seen(on_digits, {i: ((labels[i] + 5) % 10, 0.7) for i in range(MOST + 9)})
    (sheet,) = mistaken_images(load_study(on_digits.path.parent))
    assert len(sheet.pictures) == MOST
    assert f"{MOST + 9} mistaken images" in sheet.caption
