from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import CHANCE, grid, saturating, simulated_curves, simulated_study
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from datavol.errors import ConfigError, InsufficientData
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.variance import seeds_for, seeds_needed, variance

HALF = saturating(16_000)
UNIT = HALF * (1 - HALF / CHANCE)  # accuracy per z at half of the data, where standard deviations are reported
DESIGNS = {
    "crossed": list(product(range(3), range(3))),
    "training within subsets": [(draw, 10 * draw + k) for draw in range(3) for k in range(2)],
    "subsets within training": [(10 * train + k, train) for train in range(3) for k in range(2)],
}


def curve(runs, **changed):
    (measured,) = curves_of_study(simulated_study(np.random.default_rng(0), runs, **changed))
    return measured


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_simulated_components_are_recovered_and_intervals_hold_them(design, count):
    true = {"subset": 0.03, "training seed": 0.02, "interplay": 0.01}
    if design != "crossed":
        inner = "training seed" if design.startswith("training") else "subset"
        true[inner] = np.hypot(true[inner], true.pop("interplay"))
    drawn = {"draw_sd": 0.03, "train_sd": 0.02, "noise": 0.01, "test_size": None, "count": count}
    found = [variance(one) for one in simulated_curves(np.random.default_rng(0), grid(seeds=DESIGNS[design]), **drawn)]
    assert found[0].crossed == (design == "crossed")
    whole, coverage = sum(sd**2 for sd in true.values()), 0.78 if count < 100 else 0.92
    for place, part in enumerate(found[0].parts):
        parts = [one.parts[place] for one in found]
        sd, share = true[part.name] * UNIT, true[part.name] ** 2 / whole
        squares = [one.sd**2 for one in parts]
        assert np.mean(squares) == pytest.approx(sd**2, abs=4 * np.std(squares) / count**0.5 + 0.03 * sd**2)
        assert np.mean([one.low <= sd <= one.high for one in parts]) >= coverage
        assert np.mean([one.share_low <= share <= one.share_high for one in parts]) >= coverage
    assert np.mean([one.together.low <= UNIT * whole**0.5 <= one.together.high for one in found]) >= coverage


def test_a_source_that_does_nothing_is_told_as_such():
    found = variance(curve(grid(seeds=list(product(range(4), range(4)))), train_sd=0.05, noise=0.005, test_size=None))
    subset, training, interplay = found.parts
    assert training.share > 0.9
    assert subset.share < 0.05
    assert [subset.name, training.name, interplay.name] == ["subset", "training seed", "interplay"]
    assert str(found).startswith(f"runs differ by {100 * found.together.sd:.2g} points (standard deviation at 50 % of")
    assert "training seed 9" in str(found)
    assert found.reason == "components of variance of 64 repeated runs, crossed seeds"


def test_runs_that_do_not_differ_at_all_have_no_spread():
    """Rounding leaves sums of squares of next to nothing, on either side of 0."""
    measured = curve(grid((0.25, 0.5), [(0, 0), (1, 1), (2, 2)]))
    for error in np.linspace(0.02, 0.6, 30):
        alike = measured.runs.assign(error=error + measured.runs["fraction"] / 10)
        found = seeds_needed(replace(measured, runs=alike))
        assert (found.sd, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-9)
        assert found.seeds == 2


def test_a_crossed_grid_with_a_hole_is_still_a_crossed_grid():
    runs = grid(seeds=DESIGNS["crossed"]).drop(index=[4, 17])
    found = [variance(one) for one in simulated_curves(np.random.default_rng(0), runs, count=40, draw_sd=0.03)]
    assert np.mean([one.parts[0].sd ** 2 for one in found]) == pytest.approx((0.03 * UNIT) ** 2, rel=0.25)


REFUSED = {
    "no repeats": ([(0, 0)], "no fraction was run twice"),
    "one seed": ([(0, 0), (1, 1)], "seed sets draw_seed, init_seed and order_seed alike in every run"),
    "one draw": ([(0, 0), (0, 1)], "every repeat has the same draw_seed, so that only the training seed is seen"),
    "one training": ([(0, 0), (1, 0)], "same init_seed and order_seed, so that only the subset is seen"),
    "a corner": ([(0, 0), (1, 0), (0, 1)], "the seeds are neither crossed nor nested"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_seeds_that_do_not_tell_sources_apart_are_refused(case):
    seeds, why = REFUSED[case]
    with pytest.raises(InsufficientData, match=f"^cannot say .*{why}") as told:
        variance(curve(grid(seeds=seeds)))
    if case != "no repeats":
        assert "together they move a run by" in str(told.value)
        assert str(told.value).endswith("to separate them: -m draw_seed=0,1 seed=0,1")


def test_the_sum_is_known_without_telling_the_sources_apart():
    runs = grid(seeds=[(seed, seed) for seed in range(3)])
    found = [seeds_needed(one) for one in simulated_curves(np.random.default_rng(0), runs, count=50, noise=0.03)]
    binomial = (HALF * (1 - HALF) / 10_000) ** 0.5
    truth = np.hypot(0.03 * UNIT, binomial)
    assert np.mean([one.sd**2 for one in found]) ** 0.5 == pytest.approx(truth, rel=0.12)
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.86
    one = found[0]
    assert one.seeds > 3
    assert str(one).endswith(f"takes {one.seeds} seeds each, {one.seeds - 3} more than the 3 there are")
    assert str(replace(one, seeds=2)).endswith(" takes 2 seeds each; there are 3")
    with pytest.raises(ConfigError, match="delta must be a share"):
        seeds_needed(curve(runs), 2)


@pytest.mark.parametrize(("delta", "sd", "seeds"), [(1, 1, 17), (2, 1, 6), (0.5, 1, 64)])
def test_the_seeds_of_a_t_test_are_those_of_the_tables(delta, sd, seeds):
    assert seeds_for(delta, sd) == seeds  # Cohen 1988, table 2.4.1: d = 1, 2 and 0.5 at power .8, two-sided .05


def test_so_many_seeds_tell_the_difference_that_often():
    seeds, rng = seeds_for(0.01, 0.008), np.random.default_rng(0)
    one, other = (rng.normal(mean, 0.008, (4000, seeds)) for mean in (0, 0.01))
    assert (ttest_ind(one, other, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.06)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-4, 0.5), st.floats(1e-5, 0.5))
def test_more_noise_takes_more_seeds_and_a_larger_difference_fewer(delta, sd):
    most, usual, least = (seeds_for(d, s) or np.inf for d, s in [(delta, 1.5 * sd), (delta, sd), (1.5 * delta, sd)])
    assert most >= usual >= least >= 2


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(random):
    measured = curve(grid(seeds=DESIGNS["crossed"]), draw_sd=0.03)
    order = random.sample(range(len(measured.runs)), len(measured.runs))
    shuffled = variance(replace(measured, runs=measured.runs.iloc[order]))
    pd.testing.assert_series_equal(pd.Series(shuffled.numbers), pd.Series(variance(measured).numbers), rtol=1e-5)


def test_runs_that_lack_the_metric_are_named_instead_of_nan():
    study = simulated_study(np.random.default_rng(0), grid(seeds=((0, 0), (1, 1))))
    study.runs.loc[3, "top5"] = np.nan
    (lacking,) = curves_of_study(study, "top5")
    for ask in (seeds_needed, variance):
        with pytest.raises(InsufficientData, match="not every run recorded top5; ask of top1"):
            ask(lacking)
