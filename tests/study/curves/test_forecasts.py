"""Numbers of images for an error, against brute force on given curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError
from datavol.study.curves.forecasts import ImagesNeeded, settled

SIZES = np.array([1000.0, 2000, 4000, 8000, 16_000])
DRAWN = np.sort([*np.linspace(1000, 1000, 5), *np.geomspace(1200, 14_000, 85), *[np.inf] * 10])
NEEDED = ImagesNeeded(0.1, DRAWN, 1000.0, 16_000.0)


def test_a_curve_is_settled_where_it_falls_below_for_good():
    excess = np.array(
        [
            [0.3, 0.2, 0.1, -0.1, -0.2],  # crosses half way, in log n, between 4,000 and 8,000
            [0.3, -0.1, 0.3, -0.1, -0.1],  # rises again: three quarters of the way from 4,000
            [-0.1, -0.2, -0.2, -0.3, -0.3],
            [0.1, 0.1, 0.1, 0.1, 0.1],
            [-0.1, -0.1, -0.1, -0.1, 0.1],
            [0.3, 0.2, 0.1, 0.0, 0.0],  # at the wanted error counts as reached
        ]
    )
    found = settled(SIZES, excess)
    assert found == pytest.approx([4000 * 2**0.5, 4000 * 2**0.75, 1000, np.inf, np.inf, 8000])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-5, 5), min_size=5, max_size=5), min_size=1, max_size=8))
def test_settled_is_what_a_walk_along_every_curve_finds(rows):
    fine = np.geomspace(SIZES[0], SIZES[-1], 4001)
    for row, found in zip(rows, settled(SIZES, np.array(rows) / 10), strict=True):
        above = np.interp(np.log(fine), np.log(SIZES), row) > 1e-9
        after = 0 if not above.any() else int(np.flatnonzero(above)[-1]) + 1
        if after == len(fine):
            assert found == np.inf or found >= fine[-2]
        else:
            assert found == pytest.approx(fine[after], rel=2e-3)


def test_probabilities_and_numbers_of_images_are_counts_of_curves():
    asked = np.linspace(1000, 16_000, 301)
    told = [NEEDED.probability(n) for n in asked]
    assert told == [np.mean([size <= n for size in DRAWN]) for n in asked]
    assert told == sorted(told)
    for share in (0.01, 0.05, 0.5, 0.75, 0.9):
        least = min(n for n in DRAWN if np.mean(n >= DRAWN) >= share)
        assert NEEDED.images(share) == least
    assert NEEDED.images(0.91) is None
    assert NEEDED.within_limit == 0.9
    for outside in (999, 16_001, np.nan):
        with pytest.raises(ConfigError, match="n must be 1,000 to 16,000 images, got"):
            NEEDED.probability(outside)


@pytest.mark.parametrize("miss", [0, 1, 3000, 20_000, 1e9])
def test_the_cheapest_number_of_images_is_that_of_a_walk_along_all_numbers(miss):
    numbers = np.unique([*np.linspace(1000, 16_000, 30_001), *DRAWN[np.isfinite(DRAWN)]])
    costs = [n + miss * (1 - np.mean(n >= DRAWN)) for n in numbers]
    n = NEEDED.cheapest(miss)
    assert n + miss * (1 - NEEDED.probability(n)) == pytest.approx(min(costs))
    if miss in (0, 1e9):
        assert n == {0: 1000, 1e9: DRAWN[-11]}[miss]


@pytest.mark.parametrize("miss", [-1, np.nan, np.inf])
def test_a_price_is_a_number_of_images(miss):
    with pytest.raises(ConfigError, match="miss must be a number of images, got"):
        NEEDED.cheapest(miss)


def test_sentences():
    def told(sizes):
        return str(ImagesNeeded(0.1, np.array(sizes, float), 1000.0, 16_000.0))

    assert told(np.linspace(2010, 3990, 100)) == (
        "an error of 10 % is reached with 3,000 images with probability 50 %, with 3,500 with 75 %, with 3,800 "
        "with 90 %"
    )
    beyond = "four times the largest subset (16,000 images)"
    assert told([2000] * 60 + [np.inf] * 40) == (
        f"an error of 10 % is reached with 2,000 images with probability 50 %, within {beyond} with 60 %"
    )
    assert told([np.inf] * 100) == f"an error of 10 % is reached within {beyond} only with probability below 1 %"
    assert told([1000] * 100) == "an error of 10 % is reached with 1,000 images or fewer with probability above 99 %"
    assert told([1000] * 60 + [2000] * 40) == (
        "an error of 10 % is reached with 1,000 images or fewer with probability 60 %, with 2,000 with 90 %"
    )
