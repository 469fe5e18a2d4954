from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import (
    CHANCE,
    FRACTIONS,
    grid,
    power_law,
    saturating,
    simulated_curves,
    simulated_errors,
    simulated_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.error_scale import ErrorScale
from datavol.study.curves.measured import RUN_NOISE
from datavol.study.curves.posterior import KINDS
from datavol.study.curves.slope_process import SCALES
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.saturation import saturation

COUNTS = [50, pytest.param(500, marks=pytest.mark.slow)]
THREE = [(seed, seed) for seed in range(3)]


def one_curve(truth=saturating, fractions=FRACTIONS, **changed) -> CurveRuns:
    (measured,) = curves_of_study(simulated_study(np.random.default_rng(0), grid(fractions, THREE), truth, **changed))
    return measured


def flat_from(n0, floor=0.2, fall=0.15):
    """An error that falls in every doubling up to n0, and no further."""
    return lambda n: floor + fall * np.maximum(np.log2(n0 / n), 0)


@pytest.mark.parametrize("place", range(1, 5))
def test_a_curve_that_is_flat_from_a_fraction_on_is_saturated_there(place):
    found = saturation(one_curve(flat_from(32_000 * FRACTIONS[place], fall=0.08), noise=0.002, test_size=None), 0.03)
    assert found.fraction == FRACTIONS[place]
    assert found.full_accuracy == pytest.approx(0.8, abs=0.01)
    assert [one.fraction for one in found.fractions] == list(FRACTIONS)
    assert not found.forecast


def test_the_sentence_says_what_and_how_sure():
    found = saturation(one_curve(flat_from(8000), noise=0.002, test_size=None))
    assert str(found) == (
        "25 % of the data is within 1 point of what all of it gives (measured: "
        f"{100 * found.full_accuracy:.3g} %) with probability {100 * found.probability:.0f} %; "
        "12.5 % is so with probability below 1 %"
    )
    assert found.reason.endswith("picked on the validation images: the same")
    assert found.numbers["fraction"] == found.numbers["fraction_by_best"] == 0.25
    assert "probabilities: less than 1 % at 6.25 %, less than 1 % at 12.5 %, " in found.reason
    assert [found.numbers[f"probability at {one.fraction:g}"] for one in found.fractions] == [
        one.probability for one in found.fractions
    ]


def test_without_the_full_set_its_accuracy_is_a_forecast_up_to_four_times_the_data():
    found = saturation(one_curve(power_law, FRACTIONS[:3]))
    assert found.forecast
    assert found.fraction is None
    assert found.low < 1 - power_law(32_000) < found.high
    assert str(found).startswith("more than 25 % of the data: even that is within 1 point")
    assert "is a forecast" in found.reason
    with pytest.raises(InsufficientData, match="it is 5 times the largest subset, and nothing validates"):
        saturation(one_curve(power_law, (0.05, 0.1, 0.2)))
    rounded = one_curve(power_law, FRACTIONS[:3])
    images = rounded.runs["images"].replace(8000, 7990)  # classes are rounded one by one
    assert saturation(replace(rounded, runs=rounded.runs.assign(images=images))).forecast


def test_the_best_stands_beside_the_last():
    measured = one_curve(flat_from(8000), noise=0.002, test_size=None)
    better = measured.runs["error"].where(measured.runs["fraction"] > 0.125, 0.2)
    found = saturation(replace(measured, runs=measured.runs.assign(best_error=better)))
    assert found.fraction == 0.25
    assert found.by_best.fraction == 0.0625
    assert "picked on the validation images: 6.25 %" in found.reason


def test_it_refuses_what_the_data_do_not_allow():
    too_few = r"takes three measured fractions, there are 2 \(6\.25, 12\.5 %\); train"
    with pytest.raises(InsufficientData, match=too_few):
        saturation(one_curve(fractions=FRACTIONS[:2]))
    with pytest.raises(InsufficientData, match=r"the error at the largest size .* is 0\.8.*, above 0\.95 of chance"):
        saturation(one_curve(lambda n: np.full_like(n, 0.89, dtype=float)))
    with pytest.raises(ConfigError, match=r"delta must be a share between 0 and 1, got 1; 0\.01 for one point"):
        saturation(one_curve(), 1)


def claims(measured, error, truth):
    """Claimed probabilities of a loss below 1 point and if it is one, at each fraction; if the interval holds."""
    found = saturation(replace(measured, runs=measured.runs.assign(error=error, best_error=error)))
    smaller = zip(found.fractions[:-1], truth, strict=False)
    return [(p.probability, e - truth[-1] <= 0.01) for p, e in smaller], found.low <= 1 - truth[-1] <= found.high


def drawn_from_the_kinds(rng, x):
    """An error and its truth at the places x = log2(fraction), drawn as the forecasts take learning curves to be."""
    kinds, weights = zip(*KINDS.weights(32_000), strict=True)
    kind = kinds[rng.choice(2, p=weights)]
    density = np.exp(-kind.dof * (np.log(SCALES) + 0.5 / SCALES**2))
    scale = rng.choice(SCALES, p=density / density.sum())
    converted = ErrorScale(CHANCE, 1e-9, CHANCE, None)
    last = float(converted.z(rng.uniform(0.1, 0.4, 1))[0])
    cov = scale**2 * kind.drift_covariance(x, x) + kind.slope_covariance(x, x) + 1e-12 * np.eye(len(x))
    z = rng.multivariate_normal(last + kind.mean(x, last), cov)
    sd = np.hypot(scale * kind.wiggle * 2 ** (-x / 2), RUN_NOISE)
    return converted.error(z + sd * rng.standard_normal(len(x))), converted.error(z)


@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_probabilities_are_calibrated_and_intervals_hold_on_curves_as_they_are_taken_to_be(count):
    rng = np.random.default_rng(0)
    (measured,) = simulated_curves(rng, grid(), count=1, test_size=None)
    drawn = [claims(measured, *drawn_from_the_kinds(rng, np.log2(FRACTIONS))) for _ in range(count)]
    told = pd.DataFrame([row for rows, _ in drawn for row in rows], columns=["claimed", "true"])
    told["part"] = pd.cut(told["claimed"], [-0.01, 0.05, 0.3, 0.7, 0.95, 1])
    parts = told.groupby("part", observed=True).agg(["mean", "size"])
    spread = np.sqrt(parts["claimed", "mean"] * (1 - parts["claimed", "mean"]) / parts["claimed", "size"])
    assert ((parts["claimed", "mean"] - parts["true", "mean"]).abs() <= 0.03 + 3 * spread).all()
    assert np.mean([inside for _, inside in drawn]) >= 0.92


@pytest.mark.parametrize("count", COUNTS)
def test_on_saturating_curves_of_known_truth_it_claims_no_more_than_is_true(count):
    rng, runs = np.random.default_rng(0), grid(seeds=THREE[:2])
    (measured,) = simulated_curves(rng, runs, count=1)
    drawn = []
    for _ in range(count):
        floor, scale, slope = rng.uniform(0.02, 0.3), rng.uniform(0.1, 0.4), rng.uniform(0.5, 2)
        truth = lambda n, floor=floor, scale=scale, slope=slope: floor + scale * (n / 2000) ** -slope  # noqa: E731
        error = simulated_errors(rng, runs, truth, noise=0.015)
        drawn.append(claims(measured, error, truth(32_000 * np.array(FRACTIONS))))
    claimed, true = np.array([row for rows, _ in drawn for row in rows], dtype=float).T
    assert true[claimed >= 0.5].mean() >= claimed[claimed >= 0.5].mean() - 0.05
    assert true[claimed < 0.2].mean() <= claimed[claimed < 0.2].mean() + 0.02
    assert ((claimed - true) ** 2).mean() < 0.05
    assert np.mean([inside for _, inside in drawn]) >= 0.92


@settings(max_examples=15, deadline=None)
@given(st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.integers(0, 99))
def test_the_more_may_be_lost_the_less_is_enough(one, other, seed):
    small, large = sorted((one, other))
    (measured,) = simulated_curves(np.random.default_rng(seed), grid(), count=1)
    strict, loose = saturation(measured, small), saturation(measured, large)
    assert loose.fraction <= strict.fraction
    assert all(b.probability >= a.probability for a, b in zip(strict.fractions, loose.fractions, strict=True))
