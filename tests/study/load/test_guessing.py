import json

import numpy as np
import pandas as pd
import pytest
from factories.run_folders import GUESS, SIZES, made_up_predictions, write_run

from datavol.runs.guessing import guessed
from datavol.study.load.study import load_study

SUBSET = [250 / 1570, (250 + 230 + 200 + 180 + 150) / 1570]
"""What guessing gives by the proportions of the largest subset."""


def guess_of(runs: pd.DataFrame) -> list[float]:
    (pair,) = runs[["guess_top1", "guess_top5"]].drop_duplicates().to_numpy().tolist()
    return pair


def test_the_commonest_class_and_the_five_commonest_are_guessed():
    labels = np.random.default_rng(0).choice(10, 2000, p=np.arange(1, 11) / 55)
    counts = np.bincount(labels, minlength=10)
    five = np.argsort(counts)[-5:]
    assert guessed(counts) == pytest.approx(
        {"val/top1": (labels == counts.argmax()).mean(), "val/top5": np.isin(labels, five).mean()}
    )
    assert guessed([3, 1, 0, 0]) == {"val/top1": 0.75}
    assert guessed([3, 1, 0, 0, 0]) == {"val/top1": 0.75, "val/top5": 1}
    assert guessed([0, 0]) == {}


def test_what_a_record_says_counts_and_stands_for_runs_on_the_same_images(tmp_path):
    write_run(tmp_path, fraction=0.5)
    write_run(tmp_path, fraction=1.0, planted={"guess": {}}, predictions=made_up_predictions(0.7))
    assert guess_of(load_study(tmp_path).runs) == [GUESS["val/top1"], GUESS["val/top5"]]


def test_an_older_record_takes_it_from_predictions_and_is_not_rewritten(tmp_path):
    older = [write_run(tmp_path, fraction=fraction, planted={"guess": {}}) for fraction in (0.5, 1.0)]
    predictions = made_up_predictions(0.7)
    older[0].write_predictions("last", predictions)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    counts = np.sort(np.bincount(predictions.labels))[::-1]
    assert guess_of(load_study(tmp_path).runs) == pytest.approx([counts[0] / 359, counts[:5].sum() / 359])
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_without_predictions_it_is_that_of_the_largest_subset_that_can_be_read(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path, fraction=1.0, seed=seed, planted={"guess": {}})
    write_run(tmp_path, fraction=0.05, planted={"guess": {}})
    assert guess_of(load_study(tmp_path).runs) == pytest.approx(SUBSET)
    whole = sorted(tmp_path.glob("*100pct*"))
    for folder in whole[:2]:
        (folder / "subset.json").write_text("{")
    (whole[2] / "predictions").mkdir()
    (whole[2] / "predictions/last.npz").write_bytes(b"PK damaged")
    assert guess_of(load_study(tmp_path).runs) == pytest.approx(SUBSET)
    for folder in tmp_path.iterdir():
        (folder / "subset.npy").unlink()
    assert guess_of(load_study(tmp_path).runs) == pytest.approx([0.1, 0.5])


def test_equally_large_subsets_are_taken_in_the_order_of_the_runs(tmp_path):
    """An unstable sort took any of them."""
    for seed in range(20):
        folder = write_run(tmp_path, fraction=1.0, seed=seed, planted={"guess": {}})
        manifest = json.loads((folder.path / "subset.json").read_text())
        manifest["images_per_class"] = np.roll(SIZES, 1).tolist() if seed else [1570 - 9, *[1] * 9]
        (folder.path / "subset.json").write_text(json.dumps(manifest))
    assert guess_of(load_study(tmp_path).runs)[0] == pytest.approx(1561 / 1570)


def test_evaluations_that_left_damaged_images_out_have_their_own(tmp_path):
    some = {"last.val/images": 300, "guess": {"val/top1": 0.2, "val/top5": 0.6}}
    write_run(tmp_path, fraction=0.5, planted=some)
    write_run(tmp_path, fraction=1.0)
    assert load_study(tmp_path).runs["guess_top1"].tolist() == [0.2, GUESS["val/top1"]]


def test_below_five_classes_there_is_no_top5_and_of_unreadable_runs_nothing_is_known(tmp_path):
    predictions = made_up_predictions(0.7, classes=4)
    write_run(tmp_path, planted={"guess": {}, "classes": ["a", "b", "c", "d"]}, predictions=predictions)
    (write_run(tmp_path).path / "run.json").write_text("{")
    runs = load_study(tmp_path).runs
    assert runs["guess_top5"].isna().all()
    assert runs.set_index("state")["guess_top1"].notna().to_dict() == {"finished": True, "unreadable": False}
