import numpy as np
import pytest
from factories.simulated_curves import FRACTIONS, grid, power_law, saturating, simulated_curves, simulated_study

from datavol.cli.text import probability
from datavol.errors import InsufficientData
from datavol.study.curves.learning_curve import LearningCurve
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.doubling import doubling

THREE = [(seed, seed) for seed in range(3)]
FULL = 32_000


def one_curve(truth=saturating, fractions=FRACTIONS, **changed) -> CurveRuns:
    (measured,) = curves_of_study(simulated_study(np.random.default_rng(0), grid(fractions, THREE), truth, **changed))
    return measured


@pytest.fixture
def given_curves(monkeypatch):
    """Ten power laws with floors, as if they were all that the measurements allow."""
    slopes, floors = np.linspace(0.1, 1.0, 10), np.linspace(0.05, 0.2, 10)

    def errors(_, n, draws=10, seed=0):
        assert max(n) <= 4 * FULL
        return floors[:, None] + 0.5 * (np.asarray(n, float) / 2000) ** -slopes[:, None]

    monkeypatch.setattr(LearningCurve, "average_errors", errors)
    return lambda n: errors(None, [n])[:, 0]


@pytest.mark.parametrize("fractions", [FRACTIONS, FRACTIONS[:4]], ids=["full set run", "half of it run"])
def test_gains_and_the_rule_are_counted_from_the_full_set_curve_by_curve(fractions, given_curves):
    found = doubling(one_curve(fractions=fractions), level=0.8)
    gains, last = given_curves(FULL) - given_curves(2 * FULL), given_curves(FULL / 2) - given_curves(FULL)
    assert (found.n, found.fraction) == (2 * FULL, fractions[-1])
    assert [found.low, found.gain, found.high] == pytest.approx(np.quantile(gains, [0.1, 0.5, 0.9]))
    assert [found.last_low, found.last, found.last_high] == pytest.approx(np.quantile(last, [0.1, 0.5, 0.9]))
    assert found.halving == np.mean(gains <= last)
    largest = fractions[-1] * FULL
    assert [test.n for test in found.earlier] == [largest, largest / 2, largest / 4][: len(fractions) - 2]
    for test in found.earlier:
        before = given_curves(test.n / 4) - given_curves(test.n / 2)
        gained = given_curves(test.n / 2) - given_curves(test.n)
        assert test.probability == np.mean(gained <= before)
        assert (test.before, test.gained) == pytest.approx((np.median(before), np.median(gained)))


def test_the_sentence_gives_the_rule_a_probability():
    found = doubling(one_curve(power_law, noise=0.002))
    text = str(found)
    assert text.startswith("twice the full set (64,000 images) would buy ")
    assert f"; with {probability(found.halving)} no more than the doubling before it, " in text
    assert "at most" not in text
    assert found.numbers["halving"] == found.halving
    assert "and so is what the full set gives" in doubling(one_curve(power_law, FRACTIONS[:4])).reason


def test_twice_the_full_set_is_refused_beyond_four_times_the_largest_subset():
    twice = (
        r"twice the full set \(64,000 images\) is 8 times the largest subset, and nothing validates .* fraction=0\.5"
    )
    with pytest.raises(InsufficientData, match=twice):
        doubling(one_curve(power_law, FRACTIONS[:3]))
    rounded = one_curve(power_law, FRACTIONS[:4], full_size=32_001)  # half of it is 16,000 images
    assert doubling(rounded).n == 64_002


def test_the_halving_rule_held_on_power_laws_and_broke_on_curves_that_only_begin_to_learn():
    steady = doubling(one_curve(power_law, (0.03125, *FRACTIONS), noise=0.002, test_size=None))
    assert (steady.broke, len(steady.earlier)) == (0, 4)
    assert steady.held >= 1
    assert all(test.probability > 0.5 for test in steady.earlier)
    assert steady.halving > 0.5
    assert steady.last == pytest.approx(power_law(16_000) - power_law(32_000), abs=0.004)
    accelerating = doubling(one_curve(lambda n: 0.85 - 0.4 * (n / 32_000) ** 1.5, noise=0.002, test_size=None))
    assert accelerating.held == 0 < accelerating.broke
    told = "of 3 earlier doublings 1 surely bought more than the one before, 2 may have bought either"
    assert accelerating.reason.endswith(told)


def test_halves_are_read_off_the_curve_where_they_were_not_run():
    found = doubling(one_curve(saturating, (0.05, 0.125, 0.25, 0.5, 0.75, 1.0), noise=0.002, test_size=None))
    assert [test.n for test in found.earlier] == [32_000, 16_000, 8_000]
    fell = [saturating(test.n / 2) - saturating(test.n) for test in found.earlier]
    assert [test.gained for test in found.earlier] == pytest.approx(fell, abs=0.004)
    close = doubling(one_curve(fractions=(0.6, 0.8, 1.0)))
    assert close.earlier == ()
    assert "there are no earlier doublings" in close.reason


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_intervals_hold_the_truth_and_the_rule_holds_as_often_as_is_said(count):
    gain, last = saturating(32_000) - saturating(64_000), saturating(16_000) - saturating(32_000)
    found = [doubling(one) for one in simulated_curves(np.random.default_rng(0), grid(seeds=THREE), count=count)]
    assert np.mean([one.low <= gain <= one.high for one in found]) >= 0.92
    assert np.mean([one.last_low <= last <= one.last_high for one in found]) >= 0.92
    assert np.mean([one.last for one in found]) == pytest.approx(last, abs=0.003)
    assert gain < last
    assert np.mean([one.halving for one in found]) > 0.5
