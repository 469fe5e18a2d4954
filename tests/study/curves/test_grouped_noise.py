"""Tests the noise of test images in groups against bootstraps over groups and exact enumeration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from datavol.study.curves.grouped_noise import (
    covariance_of_means,
    effective_images,
    p_of_signs,
    standard_error,
    sums_by_group,
)


def clips(rng, count=40, spread=2.0, largest=9):
    """Whether images are right; those of a group tend to be alike. Groups stand in any order."""
    groups = np.repeat(np.arange(count), rng.integers(1, largest + 1, count))
    chance = 1 / (1 + np.exp(-(1 + spread * rng.standard_normal(count))))
    order = rng.permutation(len(groups))
    return (rng.random(len(groups)) < chance[groups])[order], groups[order]


def resampled(rng, values, groups, times=4000):
    """Means over groups that are drawn with replacement, by brute force."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    means = []
    for _ in range(times):
        drawn = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        means.append(values[..., drawn].mean(axis=-1))
    return np.array(means)


@pytest.mark.parametrize("seed", range(4))
def test_a_standard_error_is_that_of_a_bootstrap_over_groups(seed):
    rng = np.random.default_rng(seed)
    right, groups = clips(rng)
    expected = resampled(rng, right.astype(float), groups).std()
    assert standard_error(right, groups) == pytest.approx(expected, rel=0.1)


def test_the_covariance_of_two_runs_is_that_of_a_bootstrap_over_groups():
    rng = np.random.default_rng(7)
    first, groups = clips(rng, count=60)
    second = np.where(rng.random(len(first)) < 0.7, first, rng.random(len(first)) < 0.6)
    both = np.array([first, second])
    expected = np.cov(resampled(rng, both.astype(float), groups).T)
    assert covariance_of_means(both, groups) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_images_count_as_many_as_give_the_variance_of_a_bootstrap(spread):
    rng = np.random.default_rng(3)
    data = [clips(rng, count=80, spread=spread) for _ in range(6)]
    for right, groups in data[:3]:
        share = right.mean()
        expected = share * (1 - share) / resampled(rng, right.astype(float), groups, 2000).var()
        assert effective_images(right[None], groups) == pytest.approx(min(expected, len(right)), rel=0.2)


def test_images_of_a_group_that_are_all_alike_count_as_one_and_lone_images_as_themselves():
    rng = np.random.default_rng(0)
    alike = np.repeat(rng.random(200) < 0.7, 10)
    assert effective_images(alike[None], np.arange(2000) // 10) == pytest.approx(200, rel=0.02)
    assert effective_images(alike[None], np.arange(2000)) == pytest.approx(2000, rel=0.01)
    assert effective_images(np.ones((2, 2000)), np.arange(2000) // 10) == 200


def test_without_groups_covariances_are_those_of_numpy():
    right = np.random.default_rng(0).random((3, 50)) < 0.6
    assert covariance_of_means(right, None) == pytest.approx(np.cov(right) / 50)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_a_sign_test_is_that_of_all_signs(sums):
    sums = np.array(sums)
    flips = np.array(list(product([-1, 1], repeat=len(sums))))
    expected = ((flips * sums).sum(axis=1) >= sums.sum()).mean()
    assert p_of_signs(sums) == pytest.approx(expected)


def test_a_sign_test_of_single_images_is_mcnemars():
    better, worse = 17, 9
    sums = np.array([1] * better + [-1] * worse + [0] * 30)
    assert p_of_signs(sums) == pytest.approx(binom.sf(better - 1, better + worse, 0.5))


def test_of_many_groups_the_sign_test_is_near_enough_to_exact(monkeypatch):
    sums = np.random.default_rng(0).integers(-3, 4, 400) + (np.arange(400) % 9 == 0)
    exact = p_of_signs(sums)
    monkeypatch.setattr("datavol.study.curves.grouped_noise.EXACT", 10)
    assert p_of_signs(sums) == pytest.approx(exact, abs=0.01)


def test_groups_raise_no_more_false_alarms_than_they_should():
    """Two equal networks on 20 clips of ten: McNemar's test of images cries wolf, that of groups does not."""
    rng = np.random.default_rng(1)
    groups, alarms = np.arange(200) // 10, np.zeros(2)
    for _ in range(600):
        first, second = (np.repeat(rng.random(20) < 0.6, 10) for _ in range(2))
        difference = first.astype(int) - second
        alarms += [p_of_signs(sums_by_group(difference, of)) <= 0.05 for of in (groups, None)]
    by_group, by_image = alarms / 600
    assert by_group <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
    assert by_image > 0.2
