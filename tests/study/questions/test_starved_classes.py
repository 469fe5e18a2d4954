import numpy as np
import pytest
from factories.run_folders import write_run
from hypothesis import given
from hypothesis import strategies as st

from datavol.errors import InsufficientData
from datavol.runs.predictions import Predictions
from datavol.study.load.study import load_study
from datavol.study.questions.answers import answers
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.starved_classes import class_gains, classes_that_gain, holm

LABELS = np.repeat(np.arange(10), 40)


def made_up_predictions(right: np.ndarray, labels=LABELS) -> Predictions:
    """The true class first where it is right, and nowhere among the five where it is not."""
    others = (labels[:, None] + 1 + np.arange(5)) % 10
    classes = np.where(right[:, None] & (np.arange(5) == 0), labels[:, None], others)
    return Predictions(labels, classes, np.log(np.full(classes.shape, 0.1, dtype=np.float32)))


def images(rng, accuracies, runs=1, labels=LABELS):
    """What every run recognises, images being easy or hard for all runs alike (runs, images)."""
    hardness = rng.random(len(labels))
    return hardness + 0.1 * rng.normal(size=(runs, len(labels))) < np.asarray(accuracies)[labels]


@pytest.fixture
def kept(tmp_path):
    """Two fractions, two seeds; class 3 is poor and still gains, class 7 is good and still gains, the rest do not."""
    rng = np.random.default_rng(0)
    before, after = np.full(10, 0.7), np.full(10, 0.7)
    before[3], after[3], before[7], after[7] = 0.1, 0.55, 0.4, 0.95
    hardness = rng.random(len(LABELS))
    for fraction, accuracies in ((0.25, before), (0.5, after)):
        for seed in (0, 1):
            right = hardness + 0.05 * rng.normal(size=len(LABELS)) < accuracies[LABELS]
            write_run(tmp_path / "s", fraction=fraction, seed=seed, predictions=made_up_predictions(right))
    return tmp_path / "s"


@pytest.mark.parametrize("metric", ["top1", "top5"])
def test_the_classes_that_still_gain_and_those_that_are_starved(kept, metric):
    (measured,) = curves_of_study(load_study(kept), metric)
    found = classes_that_gain(measured)
    assert found.classes.loc[found.classes["gains"], "class"].tolist() == [3, 7]
    assert found.classes.loc[found.classes["starved"], "class"].tolist() == [3]
    assert (found.smaller, found.larger, found.repeated) == (0.25, 0.5, True)
    assert str(found) == (
        "2 of 10 classes still gained significantly from 25 % to 50 % of the data; starved, as they are below the "
        f"median class too: 3 ({100 * found.classes.loc[3, 'gain']:+.0f} points)"
    )
    assert found.numbers == {"smaller": 0.25, "larger": 0.5, "classes": 10, "gains": 2, "starved": 1}
    told = {one.question: one.state for one in answers(load_study(kept), metric=metric)}
    assert told["Which classes are starved of data?"] == "answered"


def test_classes_that_do_not_gain_are_not_starved(tmp_path):
    right = made_up_predictions(np.arange(len(LABELS)) % 2 == 0)
    for fraction in (0.25, 0.5):
        write_run(tmp_path, fraction=fraction, predictions=right)
    found = classes_that_gain(*curves_of_study(load_study(tmp_path)))
    none = "none of 10 classes gained significantly from 25 % to 50 % of the data"
    assert str(found) == f"none that can be told: {none}"
    assert found.reason.startswith("sign tests between the same images alone: one run each")


def test_without_predictions_it_says_which_key_keeps_them(clean):
    line = "cannot say anything of single classes: .* was not kept; train with predictions=last$"
    with pytest.raises(InsufficientData, match=line):
        classes_that_gain(curves_of_study(load_study(clean))[0])


def test_sizes_far_from_a_doubling_and_other_validation_images_are_refused(tmp_path):
    right = np.ones(len(LABELS), dtype=bool)
    for fraction in (0.1, 0.5):
        write_run(tmp_path, fraction=fraction, predictions=made_up_predictions(right))
    with pytest.raises(InsufficientData, match=r"the largest has 785 images and none about half of that; train one"):
        classes_that_gain(*curves_of_study(load_study(tmp_path)))
    write_run(tmp_path, fraction=0.25, predictions=made_up_predictions(right, LABELS[::-1].copy()))
    with pytest.raises(InsufficientData, match="measured on different validation images"):
        classes_that_gain(*curves_of_study(load_study(tmp_path)))


@pytest.mark.parametrize("runs", [1, 3])
def test_false_alarms_are_as_rare_as_promised(runs):
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        both = images(rng, np.linspace(0.2, 0.95, 10), 2 * runs)
        alarms += bool(class_gains(both[:runs], both[runs:], LABELS, 0.95)["gains"].any())
    assert alarms / 300 <= 0.05 + 0.02


def test_what_differs_between_runs_is_no_gain():
    """Runs trade whole classes for one another: images alone would call that a gain."""
    rng, alarms, alone = np.random.default_rng(0), 0, 0
    for _ in range(300):
        both = np.concatenate([images(rng, np.clip(0.6 + 0.15 * rng.normal(size=10), 0, 1)) for _ in range(6)])
        alarms += bool(class_gains(both[:3], both[3:], LABELS, 0.95)["gains"].any())
        alone += bool(class_gains(both[:1], both[3:4], LABELS, 0.95)["gains"].any())
    assert alarms / 300 <= 0.07
    assert alone / 300 > 0.5


def test_gains_are_found():
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        hardness = rng.random(len(LABELS))
        before = hardness + 0.05 * rng.normal(size=(3, len(LABELS))) < 0.5
        after = hardness + 0.05 * rng.normal(size=(3, len(LABELS))) < np.where(LABELS == 4, 0.8, 0.5)
        found.append(class_gains(before, after, LABELS, 0.95)["gains"])
    assert np.mean([gains[4] for gains in found]) > 0.9


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni_s(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()
