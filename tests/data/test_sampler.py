from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.budget import Budget
from datavol.data.sampler import BudgetSampler, UnpaddedSampler, balanced_order, sample_order
from datavol.runs.randomness import permutation

SIZES = st.integers(1, 40)


def epoch_of(subset, budget, epoch, rank=0, world_size=1, seed=0):
    sampler = BudgetSampler(subset, budget, seed, rank, world_size)
    sampler.set_epoch(epoch)
    samples = list(sampler)
    assert len(samples) == len(sampler)
    return samples


@given(SIZES, st.integers(1, 16), st.integers(1, 8), st.integers(1, 4), st.integers(0, 9))
def test_sample_k_is_element_k_mod_n_of_permutation_k_div_n(n, batch, iterations, epochs, seed):
    subset = np.sort(np.random.default_rng(seed).choice(1000, n, replace=False))
    budget = Budget(epochs, iterations, batch, n)
    samples = [sample for epoch in range(epochs) for sample in epoch_of(subset, budget, epoch, seed=seed)]

    for k, (sample, position) in enumerate(samples):  # brute force, straight from the definition
        assert sample == k
        assert position == subset[permutation(n, "order", seed, k // n)[k % n]]
    counts = Counter(position for _, position in samples)
    seen = epochs * iterations * batch
    assert {counts[i] for i in subset.tolist()} <= {seen // n, -(-seen // n)}
    for first in range(0, seen - n + 1, n):
        assert len({position for _, position in samples[first : first + n]}) == n


@given(SIZES, st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_ranks_together_see_exactly_the_one_process_batches(n, share, iterations, world_size, epoch):
    subset = np.arange(n) * 3
    batch = share * world_size
    budget = Budget(4, iterations, batch, n)
    alone = epoch_of(subset, budget, epoch)
    ranks = [epoch_of(subset, budget, epoch, rank, world_size) for rank in range(world_size)]
    for i in range(iterations):
        together = [sample for rank in ranks for sample in rank[i * share : (i + 1) * share]]
        assert together == alone[i * batch : (i + 1) * batch]


@given(n=SIZES, start=st.integers(0, 200), length=st.integers(0, 100))
def test_any_stretch_of_the_order_is_the_same_stretch(n, start, length):
    subset = np.arange(n)
    whole = sample_order(subset, 5, 0, start + length)
    assert sample_order(subset, 5, start, start + length).tolist() == whole[start:].tolist()


def test_passes_and_seeds_have_their_own_orders():
    subset = np.arange(50)
    first, second = sample_order(subset, 0, 0, 50).tolist(), sample_order(subset, 0, 50, 100).tolist()
    assert len({tuple(first), tuple(second), tuple(sample_order(subset, 1, 0, 50).tolist())}) == 3


@given(n=st.integers(0, 40), world_size=st.integers(1, 5))
def test_evaluation_sees_every_image_once_unpadded(n, world_size):
    positions = np.arange(n) * 2
    samplers = [UnpaddedSampler(positions, rank, world_size) for rank in range(world_size)]
    seen = [position for sampler in samplers for _, position in sampler]
    assert sorted(seen) == positions.tolist()
    assert [len(sampler) for sampler in samplers] == [len(list(sampler)) for sampler in samplers]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 60), st.integers(1, 60), st.integers(0, 9))
def test_balanced_sample_k_is_found_by_counting_turns(counts, start, length, seed):
    labels = np.repeat(np.arange(len(counts)), counts) * 3  # any class numbers
    subset = 100 + np.arange(len(labels))
    expected = []
    for k in range(start + length):
        r, turn = divmod(k, len(counts))
        number = permutation(len(counts), "turns", seed, r)[turn]
        images = subset[labels == 3 * number]
        shown = permutation(len(images), "order", seed, 3 * number, r // len(images))[r % len(images)]
        expected.append(images[shown])
    np.testing.assert_array_equal(balanced_order(subset, labels, seed, start, start + length), expected[start:])


def test_balanced_ranks_share_the_batches_of_one_and_every_class_comes_equally_often():
    labels = np.repeat([0, 1, 2], [20, 4, 1])
    subset, budget = np.arange(25), Budget(2, 5, 6, 25)
    samplers = [BudgetSampler(subset, budget, 0, rank, world, labels) for world, rank in ((1, 0), (2, 0), (2, 1))]
    alone, first, second = (list(sampler) for sampler in samplers)
    together = [sample for batch in range(5) for part in (first, second) for sample in part[3 * batch : 3 * batch + 3]]
    assert together == alone
    assert Counter(labels[position] for _, position in alone) == {0: 10, 1: 10, 2: 10}
