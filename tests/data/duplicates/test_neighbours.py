"""No near hash is missed, and none is found twice: against a comparison of all with all."""

import numpy as np
import pytest

from datavol.data.duplicates import neighbours
from datavol.data.duplicates.neighbours import CHANGED, RADIUS, near


def every(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return np.ones(len(i), dtype=bool)


def all_pairs(codes: np.ndarray, queries: np.ndarray) -> set[tuple[int, int]]:
    """Compares bits written out, one query after the other."""
    written = [[format(int(code), "064b") for code in values] for values in (codes, queries)]
    table = [np.array([[bit == "1" for bit in code] for code in values]) for values in written]
    found = set()
    for i, query in enumerate(table[1]):
        for j in np.flatnonzero((table[0] != query).sum(1) <= RADIUS).tolist():
            if i != j:
                found.add((min(i, j), max(i, j)))
    return found


def flipped(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change 0 to 12 random bits of each code."""
    changed = codes.copy()
    for row, count in enumerate(rng.integers(0, 13, len(codes))):
        for bit in rng.choice(64, count, replace=False):
            changed[row] ^= np.uint64(1) << np.uint64(bit)
    return changed


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("chunk", [50, 2**20])
def test_near_hashes_are_all_found(threads, chunk, monkeypatch):
    monkeypatch.setattr(neighbours, "FEW", 10)  # so few would be compared with all
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    random = rng.integers(0, 2**64, 150, dtype=np.uint64)
    codes = np.concatenate([random, flipped(random, rng), random[:5]])
    expected = all_pairs(codes, codes)
    assert 100 < len(expected) < 160
    assert list(zip(*map(np.ndarray.tolist, near(codes, codes, every, threads)), strict=True)) == sorted(expected)
    queries = flipped(rng.permutation(codes), rng)
    found = near(codes, queries, every, threads)
    assert set(zip(*map(np.ndarray.tolist, found), strict=True)) == all_pairs(codes, queries)


def test_any_spread_of_the_most_bits_over_the_quarters_is_found():
    """The pigeonhole principle, for every way to spread ten changed bits over four quarters."""
    spreads = [(a, b, c, RADIUS - a - b - c) for a in range(11) for b in range(11 - a) for c in range(11 - a - b)]
    assert all(any(n <= most for n, most in zip(spread, CHANGED, strict=True)) for spread in spreads)


def test_of_few_hashes_and_of_none():
    codes = np.array([0, 2**10 - 1, 2**11 - 1], dtype=np.uint64)
    assert [found.tolist() for found in near(codes, codes, every)] == [[0, 1], [1, 2]]
    assert [found.tolist() for found in near(codes[:0], codes[:0], every)] == [[], []]
