import numpy as np
import pytest
from factories.run_folders import SIZES, made_up_predictions, write_run
from sklearn.calibration import calibration_curve

from datavol.errors import ConfigError
from datavol.runs.predictions import Predictions
from datavol.study.load.labels import training_points
from datavol.study.load.study import load_study
from datavol.study.tables.confidence import class_accuracies, margins, over_runs, reliability_bins, risk_coverage
from datavol.study.tables.overlap import images_per_class

PREDICTIONS = made_up_predictions(0.7, images=1000)


def of(labels, classes, probabilities):
    return Predictions(np.array(labels), np.array(classes), np.log(np.array(probabilities, dtype=np.float32)))


def test_made_up_predictions_are_right_on_the_share_asked_for():
    assert (PREDICTIONS.classes[:, 0] == PREDICTIONS.labels).mean() == pytest.approx(0.7, abs=0.01)


def test_margins_are_those_of_equation_11():
    table = margins(of([0, 1], [[0, 1], [0, 1]], [[0.6, 0.3], [0.5, 0.5]]))
    assert table["correct"].tolist() == [True, False]
    assert table["margin"].tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


@pytest.mark.parametrize("bins", [5, 15])
def test_reliability_agrees_with_sklearn(bins):
    table = reliability_bins(PREDICTIONS, bins)
    confidence = np.exp(PREDICTIONS.log_probabilities[:, 0].astype(float)).clip(max=1)
    expected = calibration_curve(PREDICTIONS.classes[:, 0] == PREDICTIONS.labels, confidence, n_bins=bins)
    np.testing.assert_allclose(table[["accuracy", "confidence"]].to_numpy().T, expected, rtol=1e-6)
    assert table["images"].sum() == 1000


def test_coverage_of_all_images_has_the_error_of_all_and_ties_share_theirs():
    table = risk_coverage(PREDICTIONS)
    wrong = (PREDICTIONS.classes[:, 0] != PREDICTIONS.labels).mean()
    assert (table["coverage"].iloc[-1], table["error"].iloc[-1]) == pytest.approx((1, wrong))
    tied = risk_coverage(of([0, 1, 0, 0], [[0, 1]] * 4, [[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]]), steps=4)
    assert tied["error"].tolist() == pytest.approx([0, 0.25, 1 / 3, 0.25])


def test_classes_are_those_of_the_validation_set():
    table = class_accuracies(of([2, 2, 5], [[2, 5], [7, 2], [5, 2]], [[0.6, 0.3]] * 3))
    assert table.to_dict("list") == {"class": [2, 5], "images": [2, 1], "accuracy": [0.5, 1.0]}


def test_runs_that_kept_nothing_are_left_out_and_none_is_an_error(tmp_path):
    write_run(tmp_path, fraction=0.05)
    with pytest.raises(ConfigError, match="predictions=last"):
        over_runs(load_study(tmp_path).runs, margins)
    write_run(tmp_path, fraction=0.25, predictions=made_up_predictions(0.7, images=50))
    table = over_runs(load_study(tmp_path).runs, margins)
    assert (len(table), table["fraction"].unique().tolist(), table["label"].iloc[0]) == (50, [0.25], "mobilenet_v2")


def test_training_points_name_runs_and_leave_out_what_may_not_be_used(study):
    (next(study.glob("mobilenet_v2-5pct*")) / "run.json").write_text("{")
    loaded = load_study(study)
    points = training_points(loaded)
    assert set(points["state"]) == {"finished", "failed"}
    assert points.groupby("label")["name"].nunique().to_dict() == {"mobilenet_v2": 2, "resnet50": 4}
    assert len(points) == len(loaded.epochs)


def test_curves_of_other_lengths_are_other_curves(tmp_path):
    write_run(tmp_path, epochs=2)
    write_run(tmp_path, epochs=4, seed=1)
    points = training_points(load_study(tmp_path))
    assert set(points["label"]) == {"mobilenet_v2, 2 budget epochs", "mobilenet_v2, 4 budget epochs"}


def test_images_per_class_are_those_of_the_manifests(clean):
    sizes = images_per_class(load_study(clean).finished)
    assert sizes.loc[sizes["fraction"] == 1, "images"].tolist() == [*SIZES] * 2
