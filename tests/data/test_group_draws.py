"""Tests draws of whole groups, and of images within all groups."""

import re
import tracemalloc
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.group_draws import commonest_classes, spread_over_groups
from datavol.data.subsets import Subset, draw_subset
from datavol.errors import ConfigError

NAMES = ["ant", "bee", "cat"]
FRACTIONS = st.decimals("0.25", "1", places=2).map(float)
DRAWS = ["independent", "nested", "disjoint"]


@st.composite
def clips(draw):
    """Labels and groups of three classes, images in any order, with 4 to 9 groups of 1 to 7 images each."""
    labels, groups = [], []
    for label in range(3):
        for size in draw(st.lists(st.integers(1, 7), min_size=4, max_size=9)):
            labels += [label] * size
            groups += [max(groups, default=0) + draw(st.integers(1, 3))] * size
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


def drawn_groups(subset: Subset, groups) -> set[int]:
    return set(groups[subset.indices].tolist())


def images_of(groups, chosen: set[int]) -> list[int]:
    return np.flatnonzero(np.isin(groups, list(chosen))).tolist()


@pytest.mark.parametrize("draw", ["independent", "nested"])
@given(data=clips(), fraction=FRACTIONS, seed=st.integers(0, 99))
def test_whole_groups_of_each_class_are_drawn(draw, data, fraction, seed):
    labels, groups = data
    subset = draw_subset(labels, NAMES, fraction, draw, seed, groups=groups, by="groups")
    chosen = drawn_groups(subset, groups)
    assert subset.indices.tolist() == images_of(groups, chosen)
    for label in range(3):
        own = set(groups[labels == label].tolist())
        assert len(own & chosen) == round(len(own) * Fraction(repr(fraction)))
    assert subset.images_per_class == tuple(np.bincount(labels[subset.indices], minlength=3).tolist())
    assert (subset.groups, subset.draw_by, subset.fraction) == (len(chosen), "groups", fraction)


@pytest.mark.parametrize("by", ["items", "groups"])
@given(data=clips(), fractions=st.tuples(FRACTIONS, FRACTIONS), seed=st.integers(0, 99))
def test_nested_draws_nest(by, data, fractions, seed):
    labels, groups = data
    inner, outer = (
        draw_subset(labels, NAMES, fraction, "nested", seed, groups=groups, by=by) for fraction in sorted(fractions)
    )
    assert set(inner.indices) <= set(outer.indices)
    assert drawn_groups(inner, groups) <= drawn_groups(outer, groups)


@pytest.mark.parametrize("by", ["items", "groups"])
@given(data=clips(), fraction=st.sampled_from([0.25, 0.4, 0.5]), partition_seed=st.integers(0, 9))
def test_disjoint_blocks_do_not_meet(by, data, fraction, partition_seed):
    labels, groups = data
    blocks = []
    for seed in range(10):
        try:
            blocks.append(draw_subset(labels, NAMES, fraction, "disjoint", seed, partition_seed, None, groups, by))
        except ConfigError:  # as many blocks as the smallest class has
            break
    assert len(blocks) >= 1
    seen = [set(block.indices) if by == "items" else drawn_groups(block, groups) for block in blocks]
    assert sum(map(len, seen)) == len(set().union(*seen))


@pytest.mark.parametrize("draw", DRAWS)
@given(data=clips(), fraction=FRACTIONS, seed=st.integers(0, 9))
def test_the_order_of_images_changes_no_group_that_is_drawn(draw, data, fraction, seed):
    labels, groups = data
    order = np.random.default_rng(seed).permutation(len(labels))
    first = draw_subset(labels, NAMES, fraction, draw, 0, groups=groups, by="groups")
    again = draw_subset(labels[order], NAMES, fraction, draw, 0, groups=groups[order], by="groups")
    assert drawn_groups(first, groups) == drawn_groups(again, groups[order])


@pytest.mark.parametrize("draw", DRAWS)
@given(data=clips(), fraction=FRACTIONS)
def test_items_are_as_many_as_without_groups(draw, data, fraction):
    labels, groups = data
    within = draw_subset(labels, NAMES, fraction, draw, 0, groups=groups)
    without = draw_subset(labels, NAMES, fraction, draw, 0)
    assert within.images_per_class == without.images_per_class
    assert (within.groups, without.groups) == (len(drawn_groups(within, groups)), None)


@pytest.mark.parametrize("draw", DRAWS)
@given(data=clips(), fraction=FRACTIONS)
def test_items_are_spread_evenly_over_the_groups_of_their_class(draw, data, fraction):
    labels, groups = data
    subset = draw_subset(labels, NAMES, fraction, draw, 0, groups=groups)
    for label in range(3):
        members = groups[labels == label]
        share = subset.images_per_class[label] / len(members)
        taken = groups[subset.indices][labels[subset.indices] == label]
        for group in set(members.tolist()):
            size = int((members == group).sum())
            assert abs(int((taken == group).sum()) - share * size) < 2


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 9))
def test_every_image_stands_once_in_a_spread_order_and_any_seed_gives_another(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    order = spread_over_groups(groups, "test", seed)
    assert sorted(order.tolist()) == list(range(len(groups)))
    assert order.tolist() == spread_over_groups(groups, "test", seed).tolist()


def test_every_image_of_a_group_is_as_likely_to_be_drawn():
    groups = np.repeat(np.arange(3), [2, 5, 13])
    first = np.zeros(20)
    for seed in range(4000):
        first[spread_over_groups(groups, "test", seed)[:5]] += 1 / 4000
    assert np.abs(first - 0.25).max() < 5 * (0.25 * 0.75 / 4000) ** 0.5


def test_a_group_of_several_classes_is_drawn_as_one_of_its_commonest_class():
    labels = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 1])
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3])
    assert commonest_classes(labels, groups).tolist() == [0, 1, 0, 1]
    subset = draw_subset(labels, ["a", "b"], 0.5, "nested", 0, groups=groups, by="groups")
    assert subset.groups == 2
    assert subset.indices.tolist() == images_of(groups, drawn_groups(subset, groups))


def test_draws_are_the_same_on_every_machine():
    """Pin two draws: a subset that moves would orphan every study by groups."""
    labels, groups = np.repeat([0, 1], 40), np.arange(80) // 5
    by_groups = draw_subset(labels, ["a", "b"], 0.375, "nested", 1, groups=groups, by="groups")
    by_items = draw_subset(labels, ["a", "b"], 0.125, "nested", 1, groups=groups)
    assert sorted(drawn_groups(by_groups, groups)) == [0, 2, 4, 9, 13, 14]
    assert by_items.indices.tolist() == [0, 10, 20, 27, 30, 54, 55, 61, 69, 78]


def test_a_manifest_counts_groups_and_gives_the_subset_back():
    labels, groups = np.repeat([0, 1], 40), np.arange(80) // 5
    for by in ("items", "groups"):
        subset = draw_subset(labels, ["a", "b"], 0.25, "independent", 3, groups=groups, by=by)
        manifest = subset.manifest("folder", "f")
        assert (manifest["draw_by"], manifest["groups"]) == (by, {"drawn": subset.groups})
        again = Subset.from_manifest(manifest, subset.indices)
        assert (again.draw_by, again.groups, again.sha256) == (by, subset.groups, subset.sha256)
    plain = draw_subset(labels, ["a", "b"], 0.25, "independent", 3)
    assert not {"draw_by", "groups"} & set(plain.manifest("folder", "f"))


def remedy_works(error: str, labels, groups, **kwargs) -> bool:
    fraction = float(re.search(r"try fraction=([\d.]+)$", error)[1])
    return bool(draw_subset(labels, NAMES, fraction, "nested", 0, groups=groups, by="groups", **kwargs).groups)


def test_a_class_without_groups_is_refused_with_the_smallest_fraction_that_works():
    labels, groups = np.repeat([0, 1, 2], [40, 40, 8]), np.concatenate([np.arange(80) // 4, np.arange(8) // 2 + 20])
    with pytest.raises(ConfigError) as refused:
        draw_subset(labels, NAMES, 0.1, "nested", 0, groups=groups, by="groups")
    assert str(refused.value) == (
        "fraction must leave every class at least one group, got 0.1, which leaves none of the 4 groups of class cat; "
        "try fraction=0.126"
    )
    assert remedy_works(str(refused.value), labels, groups)
    with pytest.raises(ConfigError):
        draw_subset(labels, NAMES, 0.125, "nested", 0, groups=groups, by="groups")


def test_a_class_that_is_the_commonest_of_no_group_is_refused_with_a_fraction_that_works():
    labels, groups = np.repeat([0, 1], 50), np.arange(100) // 5
    labels[[7, 61]] = 2  # one image each in two of twenty groups
    draw = partial(draw_subset, labels, NAMES, draw="nested", groups=groups, by="groups")
    refusals = []
    for seed in range(20):
        try:
            assert min(draw(fraction=0.2, draw_seed=seed).images_per_class) > 0
        except ConfigError as error:
            refusals.append((seed, str(error)))
    assert 5 < len(refusals) < 20
    for seed, said in refusals[:5]:
        assert "got 0.2, whose groups hold none of class cat; try fraction=0." in said
        fraction = float(said.rpartition("=")[2])
        assert draw(fraction=fraction, draw_seed=seed).groups
        with pytest.raises(ConfigError):
            draw(fraction=round(fraction - 0.01, 2), draw_seed=seed)


def test_a_block_that_is_not_there_is_refused():
    labels, groups = np.repeat([0, 1], 40), np.arange(80) // 5
    with pytest.raises(ConfigError, match=r"^draw_seed must be at most 3 with draw=disjoint and fraction=0\.25, got 4"):
        draw_subset(labels, ["a", "b"], 0.25, "disjoint", 4, groups=groups, by="groups")


def test_groups_of_ten_million_bytes_take_no_more_than_some_copies_of_them():
    """Of 1.28 million images it takes a second and 300 MB: `python -m benchmarks.group_draws`."""
    labels, groups = np.arange(100_000) % 100, np.random.default_rng(0).permutation(100_000) // 10
    labels = (groups % 100).astype(np.int64)
    for by in ("items", "groups"):
        tracemalloc.start()
        draw_subset(labels, [str(c) for c in range(100)], 0.25, "independent", 0, groups=groups, by=by)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * labels.nbytes
