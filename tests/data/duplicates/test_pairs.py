"""Copies that were planted are found, and nothing else."""

import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from datavol.config.compose import compose
from datavol.data.duplicates.audited import audit_source
from datavol.data.duplicates.pairs import KINDS, LIMITS
from datavol.data.sources.arrays import ArraySplit, digits
from datavol.data.sources.open import Source

FILE, PIXELS, ALIKE, MIRRORED, FLIPPED = range(len(KINDS))


def audited(train: np.ndarray, val: np.ndarray, labels: list[int] | None = None):
    numbers = np.zeros(len(train) + len(val), dtype=np.int64) if labels is None else np.array(labels)
    splits = ArraySplit(train, numbers[: len(train)]), ArraySplit(val, numbers[len(train) :])
    return audit_source(Source("made up", ("a", "b"), *splits, "0"), compose([])[0].config.data, 2)


def pairs(found) -> set[tuple[int, int, int]]:
    return {(int(row["kind"]), int(row["first"]), int(row["second"])) for row in found.pairs.table}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Twelve smooth scenes of 80 x 80 pixels."""
    rng = np.random.default_rng(3)
    small = [Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)) for _ in range(12)]
    return np.stack([np.asarray(image.resize((80, 80), Image.Resampling.BICUBIC)) for image in small])


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


def resized(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((60, 60)).resize((80, 80)))


def test_copies_are_found_by_kind_and_within_their_split(scenes):
    copies = [scenes[0], jpeg(scenes[1], 50), resized(scenes[2]), scenes[3][:, ::-1], scenes[4][::-1]]
    found = audited(scenes[:8], np.stack([*copies, *scenes[8:]]))
    # In arrays the file is the pixels
    assert pairs(found) == {(FILE, 0, 8), (ALIKE, 1, 9), (ALIKE, 2, 10), (MIRRORED, 3, 11), (FLIPPED, 4, 12)}
    assert np.flatnonzero(found.leaked()).tolist() == [8, 9, 10, 11, 12]
    assert np.flatnonzero(found.leaked(identical=True)).tolist() == [8]
    assert np.flatnonzero(found.leaked(np.array([1, 5]))).tolist() == [9]
    assert (found.repeated(), found.repeated(val=True)) == (0, 0)


def test_a_group_has_one_image_too_few_of_which_are_new(scenes):
    train = np.stack([scenes[0], scenes[1], scenes[0], jpeg(scenes[0], 75), scenes[2], resized(scenes[1])])
    found = audited(train, scenes[6:8])
    assert found.repeated() == 3
    assert found.repeated(subset=np.array([0, 2, 4])) == 1
    assert found.record(np.arange(6))["repeated"] == 3
    assert np.flatnonzero(found.to_leave_out).tolist() == [2, 3, 5]


def test_of_a_group_in_both_splits_the_validation_image_stays(scenes):
    found = audited(scenes[[0, 1, 0]], scenes[[2, 0, 0]])
    assert np.flatnonzero(found.to_leave_out).tolist() == [0, 2, 5]


def test_where_labels_disagree_all_of_a_group_are_left_out(scenes):
    found = audited(scenes[[0, 1, 2]], scenes[[0, 1, 3]], [0, 0, 1, 1, 0, 0])
    assert np.flatnonzero(found.disagreeing).tolist() == [0, 3]
    assert np.flatnonzero(found.to_leave_out).tolist() == [0, 1, 3]


def test_what_is_alike_is_what_the_librarys_hashes_say():
    """All pairs of 400 digits, half of them saved as JPEG, compared one by one."""
    images = digits()[1].images[:200]
    images = np.concatenate([images, [jpeg(one, 75) for one in images]])
    found = {(a, b) for kind, a, b in pairs(audited(images[:300], images[300:])) if kind == ALIKE}
    hashes = [[imagehash.phash(Image.fromarray(one), side, 32 // side) for side in (8, 16)] for one in images]
    limit = LIMITS[0][1]
    expected = {
        (a, b)
        for a in range(len(images))
        for b in range(a + 1, len(images))
        if hashes[a][0] - hashes[b][0] <= 10 and hashes[a][1] - hashes[b][1] <= limit
    }
    assert found == expected
    assert {(a, b) for a, b in found if b - a != 200} == set()  # no two digits are taken for one
    assert len(found) > 50


def test_a_second_audit_reads_what_the_first_one_found(scenes, monkeypatch):
    first = audited(scenes[:8], scenes[[0, 9]])
    monkeypatch.setattr("datavol.data.duplicates.reading.thumbnail", None)
    monkeypatch.setattr("datavol.data.duplicates.audited.find_pairs", None)
    assert pairs(audited(scenes[:8], scenes[[0, 9]])) == pairs(first) == {(FILE, 0, 8)}


def test_blank_images_are_copies_only_where_their_pixels_are(scenes):
    blank = np.repeat(np.arange(0, 200, 25, dtype=np.uint8), 80 * 80).reshape(8, 80, 80)
    found = audited(np.concatenate([blank, scenes[:2]]), np.stack([blank[3], jpeg(scenes[1], 90)]))
    assert pairs(found) == {(FILE, 3, 10), (ALIKE, 9, 11)}
