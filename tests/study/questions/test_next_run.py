import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import (
    FRACTIONS,
    grid,
    power_law,
    saturating,
    simulated_curves,
    simulated_errors,
    simulated_study,
)
from scipy.stats import norm

from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.learning_curve import LearningCurve, fit_learning_curve
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.next_run import next_run, next_runs

HOUR_PER_DATA_SET = {"budget": "epochs", "seconds_train": 3600 * np.array(FRACTIONS)}


def curve(fractions=FRACTIONS, seeds=((0, 0),), **changed):
    study = simulated_study(np.random.default_rng(0), grid(fractions, seeds), power_law, **changed)
    (measured,) = curves_of_study(study)
    return measured


def test_a_forecast_of_the_full_set_is_narrowed_most_by_training_on_it():
    found = next_run(curve(FRACTIONS[:3]), "full")
    assert (found.fraction, found.seed, found.hours) == (1.0, 0, 1.0)
    assert found.then < 0.5 * found.now
    assert str(found) == (
        "training fraction=1 seed=0 (about 1 h) would narrow the 95 % interval of the accuracy of the full set "
        "on these test images from "
        f"{100 * found.now:.2g} to {100 * found.then:.2g} points wide"
    )


def test_candidates_are_measured_fractions_again_their_neighbours_and_the_full_set():
    told = next_runs(curve((0.1, 0.2, 0.4), seeds=((0, 0), (2, 2))), "full")
    seeds = sorted(zip(told["fraction"], told["seed"], strict=True))
    assert seeds == [(0.05, 0), (0.1, 1), (0.2, 1), (0.4, 1), (0.8, 0), (1.0, 0)]
    assert told["per_hour"].is_monotonic_decreasing


def test_no_candidate_is_beyond_four_times_the_largest_subset():
    near, far = (
        next_runs(curve(fractions), "target", target=0.8)["fraction"]
        for fractions in (FRACTIONS[:3], (0.03, 0.06, 0.12))
    )
    assert near.max() == 1.0
    assert sorted(far) == [0.03, 0.06, 0.12, 0.24]


def test_hours_are_equal_with_equal_iterations_and_grow_with_n_with_equal_epochs():
    assert set(next_runs(curve(), "full")["hours"]) == {1.0}
    growing = next_runs(curve(columns=HOUR_PER_DATA_SET), "full")
    np.testing.assert_allclose(growing["hours"], growing["fraction"])
    with pytest.raises(InsufficientData, match="the seconds that runs took were not recorded"):
        next_runs(curve(columns={"seconds_train": np.nan}), "full")


def test_cheap_small_runs_win_where_large_ones_cost_more_than_they_tell():
    by_hour = next_runs(curve(columns=HOUR_PER_DATA_SET, noise=0.002), "saturation")
    assert by_hour["fraction"][0] <= by_hour.sort_values("then", ignore_index=True)["fraction"][0]


@pytest.mark.parametrize("asked", ["saturation", "target"])
def test_no_candidate_is_smaller_than_what_was_run_or_larger_than_all(asked):
    told = next_runs(curve((0.1, 0.2, 0.4)), asked, target=0.9)
    assert sorted(told["fraction"]) == [0.1, 0.2, 0.4, 0.8, 1.0]


@pytest.mark.parametrize("asked", ["full", "saturation", "target"])
@pytest.mark.parametrize("seeds", [((0, 0),), ((0, 0), (1, 1), (2, 2))], ids=["one seed", "three seeds"])
def test_no_run_is_expected_to_widen_what_is_known(asked, seeds):
    for noise in (0.002, 0.05):
        told = next_runs(curve(seeds=seeds, noise=noise), asked, target=0.85)
        assert (told["then"] <= told["now"]).all()
        assert told["then"].min() < told["now"].min()


def test_widths_are_those_of_the_normal_distribution_where_all_is_normal(monkeypatch):
    """Errors that differ by an unknown level and an unknown slope, runs by a known noise: all has a closed form."""
    levels, slopes = np.random.default_rng(0).standard_normal((2, 20_000)) * [[0.01], [0.004]]
    noise, full = 0.005, 32_000

    def doublings(n):
        return np.log2(np.asarray(n, float) / full)

    def errors(_, n, draws=0, seed=0, same_images=False):
        return 0.3 + levels[:, None] + slopes[:, None] * doublings(n)

    def predict(_, n, level):
        half = norm.ppf((1 + level) / 2) * np.sqrt(1e-4 + 1.6e-5 * doublings(n) ** 2 + noise**2)
        return pd.DataFrame({"n": n, "error": 0.3, "low": 0.3 - half, "high": 0.3 + half})

    monkeypatch.setattr(LearningCurve, "average_errors", errors)
    monkeypatch.setattr(LearningCurve, "predict", predict)
    for run in next_runs(curve(), "full").itertuples():
        x = doublings(run.images)
        # Cov(level, level + slope x)^2 / Var(run at x) is the variance of the level that the run takes away
        then = np.sqrt(1e-4 - 1e-4**2 / (1e-4 + 1.6e-5 * x**2 + noise**2))
        assert (run.now, run.then) == pytest.approx((3.92 * 0.01, 3.92 * then), rel=0.06)


@pytest.mark.parametrize("asked", ["saturation", "target"])
def test_sizes_are_asked_in_doublings(asked):
    found = next_run(curve(FRACTIONS[:4]), asked, target=0.88)
    assert 0 < found.then < found.now < 8
    assert str(found).endswith("doublings wide")


def test_it_refuses_what_the_data_do_not_allow():
    with pytest.raises(InsufficientData, match="a curve takes three measured fractions"):
        next_run(curve(FRACTIONS[:2]), "full")
    with pytest.raises(InsufficientData, match="cannot say what the full set gives"):
        next_run(curve((0.025, 0.05, 0.1)), "full")
    beyond = "all of the interval of the images needed lies at or beyond one end of the sizes searched"
    with pytest.raises(InsufficientData, match=beyond):
        next_run(curve(), "target", target=0.3)
    with pytest.raises(ConfigError, match="asked must be one of full, saturation, target, doubling, got 'best'"):
        next_run(curve(), "best")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="target must be an accuracy, got None"):
        next_run(curve(), "target")


def with_run(curve, n, error):
    """The curve fitted to one more run."""
    known = {"chance_error": curve.chance_error, "test_size": curve.test_size, "shared": curve.shared}
    return fit_learning_curve([*curve.n, n], [*curve.error, error], **known)


def test_expected_widths_come_true():
    """The run is added, as a simulation measures it, and the interval is as narrow as was expected, or narrower."""
    rng, runs = np.random.default_rng(0), grid(FRACTIONS[:3])
    expected, measured = [], []
    for one in simulated_curves(rng, runs, saturating, count=12):
        told = next_runs(one, "full").set_index("fraction").loc[1.0]
        error = simulated_errors(rng, grid((1.0,)), saturating)
        curve = with_run(one.fit(0.95), 32_000, error[0])
        low, high = np.quantile(curve.average_errors([32_000], 1000, same_images=True), [0.025, 0.975])
        expected.append(told["then"])
        measured.append(high - low)
    # What is expected allows for a run noise larger than the one that single runs are taken to have
    assert np.mean(measured) <= np.mean(expected) <= 1.5 * np.mean(measured)


def test_the_chosen_run_narrows_more_than_the_last_candidate():
    rng, restrict = np.random.default_rng(1), []
    for one in simulated_curves(rng, grid(FRACTIONS[:3]), saturating, count=8):
        told, widths = next_runs(one, "full"), []
        for fraction in told["fraction"].iloc[[0, -1]]:
            error = simulated_errors(rng, grid((fraction,)), saturating)
            errors = with_run(one.fit(0.95), 32_000 * fraction, error[0]).average_errors([32_000], 1000)
            widths.append(np.subtract(*np.quantile(errors, [0.975, 0.025])))
        restrict.append(widths[1] - widths[0])
    assert np.mean(restrict) > 0.02
