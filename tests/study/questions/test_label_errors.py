"""Wrong labels that were planted are found, as the library cleanlab finds them, and weighed against buying more."""

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from factories.run_folders import made_up_predictions, write_run

from datavol.errors import InsufficientData
from datavol.runs.predictions import Predictions
from datavol.study.load.study import load_study
from datavol.study.questions.answers import answers
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.label_errors import contradicted, label_errors, whole

QUESTION = "Should labels be cleaned before more are bought?"
TRUE = np.arange(360) % 10


def planted(wrong: int) -> np.ndarray:
    """Labels of which every third of the first ones is another class."""
    labels = TRUE.copy()
    labels[: 3 * wrong : 3] = (labels[: 3 * wrong : 3] + 4) % 10
    return labels


def predictions(labels: np.ndarray, wavering: int = 0, seed: int = 0) -> Predictions:
    """A network that knows the true classes, surely but of the last `wavering` images."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.5, (len(labels), 10))
    logits[np.arange(len(labels)), TRUE] += 6
    if wavering:
        logits[-wavering:] = rng.normal(0, 0.5, (wavering, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes = np.argsort(-probabilities, axis=1)[:, :5]
    return Predictions(labels, classes, np.log(np.take_along_axis(probabilities, classes, 1)).astype(np.float32))


def twice(gain: float, low: float, high: float) -> Doubling:
    return Doubling(2874, gain, low, high, gain, low, high, 0.9, 0.95, 1.0, ())


def asked(folder, forecast=None):
    (curve,) = curves_of_study(load_study(folder))
    return label_errors(curve, lambda: forecast)


@pytest.mark.parametrize("seed", range(5))
def test_the_contradicted_labels_are_those_of_the_library(seed):
    """On networks from sure to wavering, with classes of any size."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(6, 400, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    scores = rng.normal(0, 1, (400, 6)) + (1 + seed) * np.eye(6)[np.where(rng.random(400) < 0.9, labels, 0)]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    issues = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    ours = contradicted(labels, probabilities) != labels
    assert 5 < ours.sum() < 300
    # The library calls those of its issues off that the network gives the label all the same
    np.testing.assert_array_equal(ours & (probabilities.argmax(1) != labels), issues)


def test_planted_errors_are_named_the_surest_first_and_cleaning_comes_before_buying(tmp_path):
    labels = planted(18)
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, predictions=predictions(labels, wavering=10, seed=seed), planted=SIZES)
    found = asked(tmp_path, twice(0.005, 0.002, 0.009))
    assert sorted(found.suspects["image"]) == list(range(0, 54, 3))
    assert found.suspects["probability"].is_monotonic_decreasing
    first = found.suspects.iloc[0]
    assert (first["label"], first["suggested"]) == tuple(str(n) for n in (labels[first["image"]], TRUE[first["image"]]))
    assert found.advice == "clean"
    text = str(found)
    assert text.startswith(
        f"clean before you buy: 18 of {found.errors} validation errors look like wrong labels, at most "
        f"{found.contradicted} are (3 to "
    )
    assert " points of accuracy, 95 % interval); twice the data would buy 0.5 points (0.2 to 0.9, 95 %" in text
    assert text.endswith(" and 15 more")


SIZES = {"validation_images": 360, "last.val/images": 360.0}


@pytest.mark.parametrize(
    ("forecast", "answer"),
    [
        (twice(0.15, 0.12, 0.2), "buying helps more than cleaning could: "),
        (twice(0.05, 0.02, 0.09), "which helps more cannot be told: "),
        (None, "look at the labels first: "),
    ],
)
def test_what_comes_first_depends_on_what_twice_the_data_would_buy(tmp_path, forecast, answer):
    write_run(tmp_path, predictions=predictions(planted(18)), planted=SIZES)
    assert str(asked(tmp_path, forecast)).startswith(answer)


def test_of_right_labels_none_is_suspect(tmp_path):
    write_run(tmp_path, predictions=predictions(planted(0), wavering=30), planted=SIZES)
    found = asked(tmp_path, twice(0.01, 0, 0.02))
    assert len(found.suspects) == 0
    assert str(found) == (
        f"no need to: none of {found.errors} validation errors looks like a wrong label; twice the data would buy 1 "
        "point (0 to 2, 95 % interval)"
    )


def test_an_image_on_which_runs_disagree_is_hard_and_not_suspect(tmp_path):
    labels = planted(4)
    for seed in (0, 1):
        kept = predictions(labels, seed=seed)
        if seed:
            kept.classes[0, :2] = kept.classes[0, 1::-1]
        write_run(tmp_path / "one", seed=seed, predictions=kept, planted=SIZES)
        if not seed:
            assert 0 in asked(tmp_path / "one").suspects["image"].tolist()
    assert 0 not in asked(tmp_path / "one").suspects["image"].tolist()


def test_every_class_has_a_probability_and_they_sum_to_one():
    kept = predictions(planted(3), wavering=50)
    assert whole(kept, 12).shape == (360, 12)
    np.testing.assert_allclose(whole(kept, 12).sum(1), 1)
    np.testing.assert_allclose(
        np.take_along_axis(whole(kept, 12), kept.classes, 1), np.exp(kept.log_probabilities), 1e-5
    )


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (None, "got none; train with predictions=last"),
        (made_up_predictions(0.9, images=80), "80 validation images are"),
    ],
)
def test_it_is_refused_where_nothing_can_be_told(tmp_path, kept, why):
    sizes = {} if kept is None else {"validation_images": 80, "last.val/images": 80.0}
    write_run(tmp_path, predictions=kept, planted=sizes)
    with pytest.raises(InsufficientData, match=why):
        asked(tmp_path)


def test_a_report_asks_it_and_goes_without_a_forecast_that_a_gate_refuses(tmp_path):
    write_run(tmp_path, predictions=predictions(planted(18)), planted=SIZES)
    (answer,) = [one for one in answers(load_study(tmp_path)) if one.question == QUESTION]
    assert answer.state == "answered"
    assert answer.answer.startswith("look at the labels first: 18 of 18 validation errors look like wrong labels")
    assert answer.numbers["gain"] is None
