import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.checks import RisingErrors
from datavol.study.curves.learning_curve import LearningCurve, fit_learning_curve
from datavol.study.curves.power_laws import PowerLaw, fit_power_law, fit_power_law_with_floor

SIZES = 1000 * 2.0 ** np.arange(6)
THESIS = np.array([0.05, 0.125, 0.25, 0.5, 0.75, 1.0]) * 1_281_167
TRUTHS = {
    "power law": lambda n: 0.9 * (n / 50) ** -0.35,
    "saturating": lambda n: 0.12 + 0.75 * (n / 100) ** -0.5,
    "from chance": lambda n: 0.03 + 0.9 / (1 + np.exp(0.9 * np.log2(n / 800))),
    "flat": lambda n: np.full_like(n, 0.25),
}


def saturating(n, **changed) -> LearningCurve:
    n = np.asarray(n, float)
    return fit_learning_curve(n, TRUTHS["saturating"](n), **({"chance_error": 0.9} | changed))


# What it answers
def test_a_forecast_is_a_row_per_size_in_the_order_asked_for():
    curve = saturating(SIZES)
    told = curve.predict([128_000, 500, 64_000, 128_001])
    assert told.columns.tolist() == ["n", "error", "low", "high", "beyond"]
    assert told["n"].tolist() == [128_000, 500, 64_000, 128_001]
    assert told["beyond"].tolist() == [False, True, False, True]
    assert (curve.largest, curve.limit) == (32_000, 128_000)
    assert told["error"][2] == pytest.approx(TRUTHS["saturating"](64_000), abs=0.01)


def test_the_thesis_sizes_and_millions_of_images_are_ordinary_input():
    error = 0.25 + 1.3 * (THESIS / 1000) ** -0.5
    curve = fit_learning_curve(THESIS, error, chance_error=0.999, test_size=50_000)
    told = curve.predict([2 * 1_281_167, 4 * 1_281_167])
    assert np.all(told["high"] - told["low"] < 0.1)
    assert told["low"].lt(told["error"]).all()
    assert told["error"].lt(error[-1]).all()


def test_intervals_widen_from_the_measured_sizes_on():
    curve = saturating(np.repeat(SIZES, 3), test_size=10_000)
    told = curve.predict([32_000, 45_000, 64_000, 128_000])
    assert np.all(np.diff(told["high"] - told["low"]) > 0)
    between = curve.predict([11_000])
    assert between["low"][0] < TRUTHS["saturating"](11_000) < between["high"][0]


def test_images_for_an_error_are_where_the_drawn_curves_stay_below_it():
    curve = saturating(SIZES)
    needed = curve.images_for(0.17)
    assert (needed.error, needed.smallest, needed.limit) == (0.17, SIZES[0], curve.limit)
    for n in (14_000, 20_000, 32_000, 64_000):
        beyond = curve.average_errors(np.geomspace(n, curve.limit, 12))
        assert needed.probability(n) == pytest.approx((beyond <= 0.17).all(axis=1).mean(), abs=0.03)
    with pytest.raises(ConfigError, match=r"error must be between 0 and chance \(0\.9\), got 17; give a share"):
        curve.images_for(17)


def test_errors_out_of_reach_or_within_it_from_the_start_are_told_as_such():
    curve = saturating(SIZES)
    never, easy = curve.images_for(0.01), curve.images_for(0.8)
    assert (never.images(0.5), never.within_limit) == (None, 0)
    assert "within four times the largest subset (128,000 images) only with probability below 1 %" in str(never)
    assert (easy.images(0.5), easy.images(0.9), easy.within_limit) == (1000, 1000, 1)


def test_the_gain_is_the_fall_of_the_error():
    curve = saturating(SIZES)
    twice, four_times = curve.gain_of(2), curve.gain_of(4)
    fall = curve.predict([32_000])["error"][0] - curve.predict([64_000])["error"][0]
    assert twice.gain == pytest.approx(fall, abs=1e-3)
    assert twice.low < twice.gain < twice.high
    assert twice.gain < four_times.gain
    assert four_times.high - four_times.low > twice.high - twice.low
    points = f"{100 * twice.gain:.2f} points of error, {100 * twice.low:.2f} to {100 * twice.high:.2f} (95 % interval)"
    assert str(twice) == f"2 times the data (64,000 images) would buy {points}"
    for factor in (1, 4.1, math.nan):
        with pytest.raises(ConfigError, match="factor must be above 1 and at most 4, got"):
            curve.gain_of(factor)


def test_the_backtest_refits_without_the_largest_sizes():
    curve = saturating(np.repeat(SIZES, 2), test_size=1000)
    told = curve.backtest()
    assert told.columns.tolist() == ["fitted_to", "n", "error", "predicted", "low", "high", "inside"]
    pairs = [[8_000, 16_000], [8_000, 32_000], [16_000, 32_000]]
    assert told[["fitted_to", "n"]].to_numpy().tolist() == np.repeat(pairs, 2, axis=0).tolist()  # two runs of a size
    refit = saturating(np.repeat(SIZES[:-1], 2), test_size=1000).predict([32_000])
    expected = refit.loc[0, ["error", "low", "high"]].tolist()
    assert told.iloc[-1][["predicted", "low", "high"]].tolist() == pytest.approx(expected)
    assert told["inside"].dtype == bool
    assert told["inside"].all()
    bent = fit_learning_curve(SIZES, [0.5, 0.49, 0.48, 0.47, 0.46, 0.1], chance_error=0.9).backtest()
    assert bent["inside"].tolist() == [True, False, False]


def test_a_backtest_that_cannot_be_made_is_empty():
    at_chance_before = fit_learning_curve(SIZES[:4], [0.9, 0.9, 0.9, 0.7], chance_error=0.9)
    ten_times_the_data = saturating([100, 200, 400, 4000])
    for curve in (saturating(SIZES[:3]), at_chance_before, ten_times_the_data):
        assert curve.backtest().empty


# When it says no

BAD = {
    "two sizes": ({"n": [1, 2, 2]}, r"n must hold at least 3 distinct sizes, got 2 \(1 and 2\); train on"),
    "lengths": ({"n": [1, 2, 3, 4]}, "n and error must be equally long, got 4 and 3; give a pair per run"),
    "no n": ({"n": [0, 2, 3]}, "n must be numbers of images above 0, got 0; drop missing runs"),
    "NaN n": ({"n": [1, math.nan, 3]}, "n must be numbers of images above 0, got nan; drop missing runs"),
    "infinite n": ({"n": [1, 2, math.inf]}, "n must be numbers of images above 0, got inf; drop missing runs"),
    "per cent": ({"error": [30, 20, 10]}, r"error must be shares in \[0, 1\], got 30; divide per cent by 100"),
    "negative": ({"error": [0.3, -0.1, 0.1]}, r"error must be shares in \[0, 1\], got -0.1; divide"),
    "NaN": ({"error": [0.3, math.nan, 0.1]}, r"error must be shares in \[0, 1\], got nan; .* drop missing runs"),
    "words": ({"error": ["a", "b", "c"]}, r"error must be numbers, got \['a', 'b', 'c'\]; give one per run"),
    "a table": ({"n": [[1, 2, 3]]}, "n must have one dimension, got 2; give one number per run"),
    "chance 0": ({"chance_error": 0}, "chance_error must be a share above 0 and at most 1, got 0; 0.9 for ten classes"),
    "chance 90": ({"chance_error": 90}, "chance_error must be a share above 0 and at most 1, got 90; 0.9"),
    "chance NaN": ({"chance_error": math.nan}, "chance_error must be a share above 0 and at most 1, got nan; 0.9"),
    "test size": ({"test_size": 0}, "test_size must be at least 1 image, got 0; leave it out if it is unknown"),
    "test size in words": ({"test_size": "100"}, "test_size must be at least 1 image, got '100'; leave it out"),
    "shared": ({"shared": 70}, "shared must be a share from 0 to 1, got 70; leave it out if it is unknown"),
    "seeds": ({"seed": [0, 1]}, r"seed must be as long as n \(3\), got 2; give one per run"),
    "level": ({"level": 95}, "level must be between 0 and 1, got 95; 0.95 for 95 %"),
}


@pytest.mark.parametrize(("changed", "message"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line(changed, message):
    sound = {"n": [1, 2, 3], "error": [0.3, 0.2, 0.1], "chance_error": 0.9}
    with pytest.raises(ConfigError, match=f"^{message}") as told:
        fit_learning_curve(**(sound | changed))
    assert "\n" not in str(told.value)


def test_bad_questions_get_one_line():
    curve = saturating(SIZES)
    with pytest.raises(ConfigError, match="n must be numbers of images above 0, got -1"):
        curve.predict([-1])
    with pytest.raises(ConfigError, match=r"level must be between 0 and 1, got 1; 0\.95"):
        curve.predict([1], level=1)


def test_accuracies_by_mistake_are_warned_of():
    for rising in ([0.64, 0.68, 0.76], [0.64, 0.7, 0.69, 0.76]):
        with pytest.warns(RisingErrors, match=r"error rises with n, from 0\.64 to 0\.76; if these are accuracies"):
            fit_learning_curve(SIZES[: len(rising)], rising, chance_error=0.9)


def test_a_curve_at_chance_cannot_say():
    line = r"^cannot say what more .*: the error at the largest size \(400 images\) is 0\.86, above 0\.95 of chance"
    with pytest.raises(InsufficientData, match=line):
        fit_learning_curve([100, 200, 400], [0.9, 0.89, 0.86], chance_error=0.9)
    left = fit_learning_curve([100, 200, 400], [0.9, 0.89, 0.85], chance_error=0.9)
    assert left.predict([800])["high"][0] <= 0.9


# Properties
@st.composite
def curves(draw):
    sizes = draw(st.lists(st.floats(1, 1e7), min_size=3, max_size=12, unique_by=lambda n: round(10 * math.log2(n))))
    repeats = draw(st.lists(st.integers(1, 3), min_size=len(sizes), max_size=len(sizes)))
    n = np.repeat(sorted(sizes), repeats)
    chance = draw(st.sampled_from([0.01, 0.3, 0.5, 0.9, 0.999, 1.0]))
    errors = draw(st.lists(st.floats(0, min(1, 1.2 * chance)), min_size=len(n), max_size=len(n)))
    errors = np.where(n == n[-1], np.minimum(errors, 0.9 * chance), errors)
    test_size = draw(st.sampled_from([None, 100, 10_000]))
    return n, np.array(errors), {"chance_error": chance, "test_size": test_size}


@pytest.mark.filterwarnings("ignore::datavol.study.curves.checks.RisingErrors")
@settings(max_examples=60, deadline=None)
@given(curves(), st.randoms(use_true_random=False))
def test_intervals_are_bounded_ordered_and_nested_and_the_order_of_runs_does_not_matter(made, random):
    n, error, settings_ = made
    curve = fit_learning_curve(n, error, **settings_)
    asked = np.geomspace(n[0] / 2, 4 * n[-1], 9)
    wide, narrow = curve.predict(asked), curve.predict(asked, level=0.5)
    order = [wide["low"], narrow["low"], wide["error"], narrow["high"], wide["high"]]
    assert all((lower <= upper + 1e-12).all() for lower, upper in pairwise(order))
    assert (wide["low"] >= 0).all()
    assert (wide["high"] <= max(settings_["chance_error"], error.max())).all()
    shuffled = random.sample(range(len(n)), len(n))
    again = fit_learning_curve(n[shuffled], error[shuffled], **settings_).predict(asked)
    pd.testing.assert_frame_equal(again, wide, atol=1e-7)


@pytest.mark.filterwarnings("ignore::datavol.study.curves.checks.RisingErrors")
@settings(max_examples=30, deadline=None)
@given(curves(), st.floats(0.05, 0.95))
def test_every_curve_has_answers(made, share):
    n, error, settings_ = made
    curve = fit_learning_curve(n, error, **settings_)
    needed = curve.images_for(share * settings_["chance_error"])
    ends = [math.inf if (end := needed.images(one)) is None else end for one in (0.5, 0.75, 0.9)]
    assert n[0] <= ends[0] <= ends[1] <= ends[2]
    assert 0 <= needed.probability(n[-1]) <= needed.within_limit <= 1
    gain = curve.gain_of(2)
    assert gain.low <= gain.gain <= gain.high
    assert str(needed)
    assert curve.backtest()["inside"].dtype == bool


def test_errors_of_nothing_are_forecast_as_next_to_nothing():
    for test_size in (None, 10_000):
        told = fit_learning_curve(SIZES, np.zeros(6), chance_error=0.9, test_size=test_size).predict([64_000])
        assert told["low"][0] == 0
        assert 0 <= told["error"][0] < 0.001 < told["high"][0] + 0.001 < 0.02


def test_tiny_errors_are_forecast_as_tiny_where_the_test_set_is_not_known():
    error = 1e-4 * 2.0 ** -np.arange(6)  # a power law below a thousandth of chance
    told = fit_learning_curve(SIZES, error, chance_error=0.9).predict([64_000])
    assert told["error"][0] == pytest.approx(error[-1] / 2, rel=0.3)


def test_repeats_settle_what_a_run_measures():
    rng = np.random.default_rng(0)
    n = np.repeat(SIZES, 8)
    error = TRUTHS["saturating"](n) * np.exp(0.03 * rng.normal(size=len(n)))
    curve = fit_learning_curve(n, error, chance_error=0.9)
    assert curve.run_noise == pytest.approx(0.03, rel=0.3)
    told = curve.predict([32_000])
    assert told["high"][0] - told["low"][0] == pytest.approx(2 * 1.96 * 0.03 * told["error"][0], rel=0.4)


def test_what_a_seed_adds_to_every_size_cancels_in_differences():
    """Seeds differ by 3 % at all sizes alike, runs of a seed by 0.3 %."""
    rng = np.random.default_rng(0)
    n, seed = np.repeat(SIZES, 3), np.tile(["a", "b", "c"], 6)
    effect = dict(zip("abc", 0.03 * rng.standard_normal(3), strict=True))
    noise = np.array([effect[one] for one in seed]) + 0.003 * rng.standard_normal(18)
    error = TRUTHS["saturating"](n) * np.exp(noise)
    apart = fit_learning_curve(n, error, chance_error=0.9)
    together = fit_learning_curve(n, error, chance_error=0.9, seed=seed)

    def width(curve, of):
        low, high = np.quantile(of(curve.average_errors([16_000, 32_000])), [0.025, 0.975])
        return high - low

    gains = [width(curve, lambda errors: errors[:, 0] - errors[:, 1]) for curve in (apart, together)]
    levels = [width(curve, lambda errors: errors[:, 1]) for curve in (apart, together)]
    assert gains[1] < 0.7 * gains[0]
    assert levels[1] == pytest.approx(levels[0], rel=0.3)  # another three seeds would give another level
    shuffled = rng.permutation(18)
    again = fit_learning_curve(n[shuffled], error[shuffled], chance_error=0.9, seed=seed[shuffled])
    pd.testing.assert_frame_equal(again.predict([64_000]), together.predict([64_000]))


def test_a_size_with_a_lucky_seed_alone_is_not_taken_for_better():
    n, seed = np.append(np.repeat(SIZES[:-1], 3), SIZES[-1]), np.append(np.tile([0, 1, 2], 5), 2)
    error = TRUTHS["saturating"](n) * np.exp(np.array([0.06, 0.0, -0.06])[seed])  # seed 2 is 6 % better everywhere
    apart = fit_learning_curve(n, error, chance_error=0.9)
    together = fit_learning_curve(n, error, chance_error=0.9, seed=seed)
    off = [abs(curve.predict([32_000])["error"][0] - TRUTHS["saturating"](32_000)) for curve in (apart, together)]
    assert off[1] < 0.5 * off[0]


# Simulated truth


SIMULATED = [("power law", 1, 0.01, 10_000), ("saturating", 2, 0.03, 10_000)]
SIMULATED += [("from chance", 3, 0.02, 1000), ("flat", 3, 0.03, 10_000)]


@pytest.mark.parametrize(("truth", "repeats", "noise", "test_size"), SIMULATED)
def test_intervals_hold_new_runs_of_curves_whose_truth_is_known(truth, repeats, noise, test_size):
    """At the largest size and at 2 and 4 times that."""
    rng = np.random.default_rng(0)

    def measured(n):
        error = np.clip(TRUTHS[truth](n) * np.exp(noise * rng.normal(size=len(n))), 0, 1)
        return rng.binomial(test_size, error) / test_size

    n, new, frames = np.repeat(SIZES, repeats), SIZES[-1] * np.array([1.0, 2, 4]), []
    for _ in range(500):
        curve = fit_learning_curve(n, measured(n), chance_error=0.9, test_size=test_size)
        told = curve.predict(new)
        frames.append(told.assign(times=[1, 2, 4], truth=TRUTHS[truth](new), measured=measured(new)))
    told = pd.concat(frames)
    inside = told["measured"].between(told["low"], told["high"])
    assert (inside.groupby(told["times"]).mean() >= [0.91, 0.93, 0.93]).all()
    bias = (told["error"] - told["truth"]).groupby(told["times"]).mean()
    assert bias.abs().tolist() == [pytest.approx(0, abs=limit) for limit in (0.003, 0.006, 0.012)]


def test_the_average_run_is_where_new_runs_are_expected():
    curve = saturating(np.repeat(SIZES, 3))
    errors = curve.average_errors([16_000, 64_000], 4000)
    told = curve.predict([16_000, 64_000])
    assert np.median(errors, axis=0) == pytest.approx(told["error"], abs=0.001)
    assert (np.quantile(errors, 0.975, axis=0) < told["high"] + 0.002).all()  # a new run adds its own noise
    more = saturating([*np.repeat(SIZES, 3), 64_000])
    assert more.predict([64_000])["high"][0] < told["high"][1]


def test_power_laws_find_themselves():
    law = fit_power_law(SIZES, 3 * SIZES**-0.4)
    assert (law.scale, law.slope, law.floor) == pytest.approx((3, 0.4, 0))
    assert str(law) == "error = 3 n^-0.4"
    floored = fit_power_law_with_floor(SIZES, 0.1 + 3 * SIZES**-0.4)
    assert (floored.floor, floored.scale, floored.slope) == pytest.approx((0.1, 3, 0.4))
    assert str(floored) == "error = 0.1 + 3 n^-0.4"
    assert str(PowerLaw(0.315, -0.0142)) == "error = 0.315 n^0.0142"  # of a curve that gets worse
    assert str(PowerLaw(48_412, 2, 0.196)) == "error = 0.196 + 48,400 n^-2"
    assert str(PowerLaw(0, 0.01, 0.352)) == "error = 0.352"
    assert floored(np.array([64_000])) == pytest.approx(0.1 + 3 * 64_000**-0.4)
    assert fit_power_law_with_floor(SIZES, np.zeros(6))(SIZES).tolist() == [0] * 6
    with pytest.raises(ConfigError, match="a power law must have errors above 0 at 2 sizes or more"):
        fit_power_law(SIZES, np.zeros(6))
