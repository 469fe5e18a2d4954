import numpy as np
import pytest
from factories.simulated_curves import FRACTIONS, grid, power_law, saturating, simulated_curves, simulated_study

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.learning_curve import LearningCurve
from datavol.study.questions.answers import answers
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.target import images_for_target

THREE = [(seed, seed) for seed in range(3)]


def one_curve(truth=power_law, fractions=FRACTIONS, **changed) -> CurveRuns:
    (measured,) = curves_of_study(simulated_study(np.random.default_rng(0), grid(fractions, THREE), truth, **changed))
    return measured


@pytest.fixture
def crossings(monkeypatch):
    """Curves that reach 10 % of error at known sizes, as if they were all that the measurements allow."""
    sizes = np.sort(np.geomspace(3000, 100_000, 200))
    monkeypatch.setattr(
        LearningCurve, "average_errors", lambda _, n, draws=0, seed=0: 0.1 * (np.asarray(n) / sizes[:, None]) ** -0.4
    )
    return sizes


def test_numbers_are_those_of_the_given_curves(crossings):
    found = images_for_target(one_curve(), 0.9, miss=20_000)
    told, counted = found.numbers, [np.mean(crossings <= n) for n in (32_000, 64_000, 128_000)]
    assert [told[f"images_{share}"] for share in (50, 75, 90)] == pytest.approx(crossings[[99, 149, 179]], rel=0.01)
    assert [told["reached_full"], told["reached_twice"], told["reached_limit"]] == pytest.approx(counted, abs=0.006)
    assert (told["target"], told["full"], told["limit"], told["miss"]) == (0.9, 32_000, 128_000, 20_000)
    cost = np.array([max(n - 32_000, 0) + 20_000 * np.mean(crossings > n) for n in [32_000, *crossings]])
    bought = max(told["images_miss"] - 32_000, 0)  # those of the full set cost nothing more
    assert bought + 20_000 * (1 - told["reached_miss"]) == pytest.approx(cost.min(), rel=0.01)
    assert "miss" not in images_for_target(one_curve(), 0.9).numbers


def test_the_sentence_is_plain(crossings):
    assert str(images_for_target(one_curve(), 0.9, miss=200_000)) == (
        "an accuracy of 90 % is reached with 17,000 images with probability 50 %, with 41,000 with 75 %, with 70,000 "
        "with 90 %; with the full set (32,000) with 68 %, with twice the full set with 87 %; if missing it costs as "
        "much as 200,000 images, 56,000 images cost least (reached with 84 %)"
    )

    assert str(images_for_target(one_curve(), 0.9, miss=10)).endswith(
        "if missing it costs as much as 10 images, no images beyond the full set pay (reached with 68 %)"
    )


@pytest.mark.parametrize("fractions", [(*FRACTIONS[:2], 0.2), FRACTIONS[:3], FRACTIONS])
def test_sizes_beyond_forecasts_have_no_probability(fractions):
    told, largest = images_for_target(one_curve(fractions=fractions), 0.9).numbers, fractions[-1]
    assert (told["reached_full"] is None) == (largest < 0.25)
    assert (told["reached_twice"] is None) == (largest < 0.5)
    assert told["limit"] == 4 * largest * 32_000


def test_targets_and_prices_that_are_none_are_refused():
    with pytest.raises(InsufficientData, match=r"guessing reaches 10 %, and you ask for 10 % \(ask for more\)"):
        images_for_target(one_curve(saturating), 0.1)
    with pytest.raises(ConfigError, match=r"target must be an accuracy between 0 and 1, got 90; give a share, 0\.9"):
        images_for_target(one_curve(), 90)
    with pytest.raises(ConfigError, match="miss must be a number of images, got -3; give what missing"):
        images_for_target(one_curve(), 0.9, miss=-3)
    study = simulated_study(np.random.default_rng(0), grid())
    with pytest.raises(ConfigError, match=r"miss must come with a target, got 500 alone; give target=0\.9"):
        answers(study, miss=500)


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_the_images_at_90_per_cent_suffice_on_curves_whose_truth_is_known(count):
    truth = 50 * (0.9 / 0.11) ** (1 / 0.35)  # images that reach 89 %
    curves = simulated_curves(np.random.default_rng(0), grid(FRACTIONS[:4], THREE), power_law, count=count)
    found = [images_for_target(one, 0.89).needed for one in curves]
    surely = np.array([one.images(0.9) or np.inf for one in found])
    assert np.mean(surely >= truth) >= 0.8
    assert np.median([one.images(0.5) for one in found]) == pytest.approx(truth, rel=0.15)
