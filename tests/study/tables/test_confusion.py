"""Which classes are mistaken for which, against scikit-learn's matrix, and as figures."""

from dataclasses import replace

import numpy as np
import pytest
from factories.run_folders import made_up_predictions, write_run
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from datavol.study import figures
from datavol.study.figures.confusion import MATRIX_CLASSES
from datavol.study.load.study import load_study
from datavol.study.tables.confusion import confusions, count_answers, most_confused


def studied(tmp_path, classes: int = 10):
    for fraction, seed in ((0.1, 0), (0.5, 0), (0.5, 1)):
        kept = made_up_predictions(0.6, 800, classes, seed=seed + int(10 * fraction))
        write_run(tmp_path / "mine", fraction=fraction, seed=seed, predictions=kept)
    return load_study(tmp_path / "mine").runs


def test_counts_are_those_of_scikit_learn():
    kept = made_up_predictions(0.7, seed=3)
    found = count_answers(kept).pivot_table(index="class", columns="predicted", values="images").fillna(0)
    np.testing.assert_array_equal(found, confusion_matrix(kept.labels, kept.classes[:, 0]))


def test_the_runs_of_the_largest_fraction_are_averaged(tmp_path):
    counts = confusions(studied(tmp_path))
    assert counts["fraction"].unique().tolist() == [0.5]
    assert counts["runs"].unique().tolist() == [2]
    assert counts["images"].sum() == pytest.approx(800)
    assert counts.groupby("class")["share"].sum().tolist() == pytest.approx([1] * 10)
    matrices = [confusion_matrix(kept.labels, kept.classes[:, 0]) for kept in
                (made_up_predictions(0.6, 800, seed=seed + 5) for seed in (0, 1))]  # fmt: skip
    right = counts[counts["class"] == counts["predicted"]].set_index("class")["images"]
    np.testing.assert_allclose(right, np.mean([np.diag(one) for one in matrices], axis=0))


def test_the_worst_pairs_are_mistakes_alone_by_images(tmp_path):
    counts = confusions(studied(tmp_path))
    worst = most_confused(counts, 5)
    assert (worst["class"] != worst["predicted"]).all()
    wrong = counts[counts["class"] != counts["predicted"]]["images"]
    assert worst["images"].tolist() == sorted(wrong, reverse=True)[:5]


def test_few_classes_are_a_matrix_and_many_are_pairs(tmp_path):
    counts = confusions(studied(tmp_path))
    (axes,) = figures.confusion(counts, Figure(), [f"name {c}" for c in range(10)])
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    for row in counts.itertuples():
        number = f"{100 * row.share:.0f}"
        assert shown.get((row[3], row.predicted), "0") == number
    assert axes.get_title(loc="left") == "mobilenet_v2: 50 %, mean of 2\nruns"

    many = MATRIX_CLASSES + 10
    pairs = confusions(studied(tmp_path / "many", many))
    (axes,) = figures.confusion(pairs, Figure(), [f"name {c}" for c in range(many)])
    first = most_confused(pairs, 1).iloc[0]
    name = f"name {int(first['class'])} \N{RIGHTWARDS ARROW} name {int(first['predicted'])}"
    assert axes.get_yticklabels()[0].get_text() == name
    assert axes.patches[0].get_width() == first["images"]


def test_a_network_that_is_never_wrong_is_drawn(tmp_path):
    kept = made_up_predictions(0.6, classes=MATRIX_CLASSES + 5)
    right = replace(kept, classes=(kept.labels[:, None] + np.arange(5)) % (MATRIX_CLASSES + 5))
    write_run(tmp_path / "mine", predictions=right)
    (axes,) = figures.confusion(confusions(load_study(tmp_path / "mine").runs), Figure())
    axes.figure.draw_without_rendering()
    assert len(axes.patches) == 0
