from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from datavol.runs.predictions import Predictions
from datavol.study.questions.common_mistakes import SHARED, grouped_images, right_images, shared_noise
from datavol.study.questions.curve_runs import CurveRuns

IMAGES = 400


def kept(mistakes, labels=None):
    labels = np.zeros(len(mistakes), int) if labels is None else labels
    classes = np.stack([np.where(mistakes, labels + 1, labels), labels + 2], axis=1)
    return Predictions(labels, classes, np.zeros((len(mistakes), 2), np.float32))


@pytest.fixture
def study(monkeypatch):
    """Runs whose folders are keys of the predictions that a test plants."""
    planted = {}
    monkeypatch.setattr("datavol.study.questions.common_mistakes.kept_predictions", planted.get)

    def runs(*sizes, folders=True, validation=IMAGES):
        names = [f"run{i}" if folders else None for i in range(len(sizes))]
        return pd.DataFrame({"images": sizes, "folder": names, "validation_images": validation}).astype(
            {"folder": object}
        )

    return planted, runs


def test_the_share_is_by_how_much_less_a_difference_varies_than_independent_runs(study):
    planted, runs = study
    rng = np.random.default_rng(0)
    hard = rng.random(IMAGES)
    mistakes = [hard + 0.3 * rng.standard_normal(IMAGES) > bound for bound in (0.6, 0.8, 0.85)]
    planted |= {f"run{i}": kept(one) for i, one in enumerate(mistakes)}
    apart = np.array([np.var(a.astype(float) - b) for a, b in ((mistakes[0], mistakes[1]), (mistakes[0], mistakes[2]))])
    alone = [np.var(mistakes[0]) + np.var(one) for one in mistakes[1:]]
    # The second and the third run are of one size, and no pair
    assert shared_noise(runs(100, 200, 200), 1) == pytest.approx(1 - apart.sum() / sum(alone))


def test_equal_mistakes_are_all_in_common_and_opposite_ones_nothing(study):
    planted, runs = study
    wrong = np.arange(IMAGES) % 4 == 0
    planted |= {"run0": kept(wrong), "run1": kept(wrong)}
    assert shared_noise(runs(100, 200), 1) == pytest.approx(1)
    planted["run1"] = kept(~wrong)
    assert shared_noise(runs(100, 200), 1) == 0


def test_what_was_not_measured_is_the_usual_share_or_unknown(study):
    planted, runs = study
    assert shared_noise(runs(100, 200, folders=False), 1) == SHARED
    planted |= {"run0": kept(np.zeros(IMAGES, bool)), "run1": kept(np.zeros(IMAGES, bool))}
    assert shared_noise(runs(100, 200), 1) == SHARED  # without a mistake nothing tells
    assert shared_noise(runs(100, 200, validation=[400, 300]), 1) is None
    planted["run1"] = kept(np.zeros(IMAGES, bool), labels=np.arange(IMAGES) % 3)
    assert shared_noise(runs(100, 200), 1) is None  # other test images


def test_of_the_five_likeliest_classes_any_may_be_right():
    found = kept(np.array([True, False]))
    found.classes[0, 1] = 0
    assert right_images(found, 1).tolist() == [False, True]
    assert right_images(found, 5).tolist() == [True, True]


def in_groups(mistakes, size=10):
    plain = kept(mistakes)
    return replace(plain, groups=np.arange(len(mistakes)) // size)


def test_images_in_groups_count_as_fewer_and_the_runs_say_so(study):
    planted, runs = study
    rng = np.random.default_rng(0)
    for i in range(3):
        planted[f"run{i}"] = in_groups(np.repeat(rng.random(40) < 0.3, 10) ^ (rng.random(400) < 0.05))
    frame = runs(100, 200, 400).assign(groups="{}", fraction=[0.25, 0.5, 1.0])
    found = grouped_images(frame, 1)
    right = np.array([right_images(planted[f"run{i}"], 1) for i in range(3)])
    # By hand: 40 groups of ten, so that a group's mean is one of 40 independent values
    of_groups = right.reshape(3, 40, 10).mean(axis=2).var(axis=1, ddof=1) / 40
    share = right.mean(axis=1)
    assert found.effective == pytest.approx((share * (1 - share)).sum() / of_groups.sum())
    assert 40 < found.effective < 80
    assert str(found) == f"400 validation images of 40 groups count as about {found.effective:.0f}"
    curve = CurveRuns("a", "top1", frame.assign(error=0.3), {})
    assert (curve.test_images, curve.test_size) == (400, found.effective)
    assert curve.provenance == f"from 3 finished runs at 3 fractions; {found}"


def test_images_without_groups_or_of_other_groups_count_as_they_are(study):
    planted, runs = study
    planted |= {"run0": in_groups(np.arange(400) < 100), "run1": in_groups(np.arange(400) < 90, size=20)}
    assert grouped_images(runs(100, 200).assign(groups="{}"), 1) is None
    assert grouped_images(runs(100, 200).assign(groups=None), 1) is None
    planted |= {"run0": kept(np.arange(400) < 100), "run1": kept(np.arange(400) < 90)}
    assert grouped_images(runs(100, 200).assign(groups="{}"), 1) is None
