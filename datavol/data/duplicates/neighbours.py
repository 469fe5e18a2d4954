"""Finds hashes that differ in few bits, without comparing all with all.

Two hashes of 64 bits that differ in at most `RADIUS` = 10 of them differ in at most 1 bit of their first quarter or in
at most 2 of another one: else they would differ in 2 + 3 + 3 + 3 = 11 (the pigeonhole principle). So each quarter is
looked up with its bits changed by ones and twos, and only what is found there is compared whole. Of 1.28 million hashes
that are some 10,000 million comparisons instead of 820,000 million.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]  # (n,)
Positions = NDArray[np.int64]
Lookup = Callable[[], Iterator[tuple[Positions, Positions]]]
Confirm = Callable[[Positions, Positions], NDArray[np.bool_]]

RADIUS = 10  # bits of 64 in which near hashes may differ
CHANGED = (1, 2, 2, 2)  # bits of each quarter that are changed to look it up
BITS = 16  # of a quarter
FEW = 2048  # up to so many hashes, all are compared with all
CHUNK = 2**20  # comparisons at a time


def near(codes: Codes, queries: Codes, confirm: Confirm, threads: int = 1) -> tuple[Positions, Positions]:
    """Find the confirmed pairs whose codes differ in at most `RADIUS` bits.

    A pair is the query of one image and the code of another.

    Args:
        codes: A hash of each image.
        queries: Another, or the same, of each image.
        confirm: Takes positions in `queries` and in `codes`, (pairs,) each, and returns which pairs count.
        threads: Lookups at a time.

    Returns:
        Positions i < j of images, each pair once, in ascending order.
    """

    def compare(lookup: Lookup) -> Positions:
        found = [np.empty(0, dtype=np.int64)]
        for i, j in lookup():
            close = np.flatnonzero((np.bitwise_count(queries[i] ^ codes[j]) <= RADIUS) & (i != j))
            close = close[confirm(i[close], j[close])]
            i, j = i[close], j[close]
            found.append(np.minimum(i, j) * len(codes) + np.maximum(i, j))  # a pair is one number
        return np.unique(np.concatenate(found))

    lookups: list[Lookup] = [partial(_all, len(codes))] if len(codes) <= FEW else _by_quarters(codes, queries)
    with ThreadPoolExecutor(threads) as pool:
        both = np.unique(np.concatenate([*pool.map(compare, lookups)]))
    return both // max(1, len(codes)), both % max(1, len(codes))


def _all(count: int) -> Iterator[tuple[Positions, Positions]]:
    every = np.arange(count)
    for rows in np.array_split(every, 1 + count**2 // CHUNK):
        yield np.repeat(rows, count), np.tile(every, len(rows))


def _by_quarters(codes: Codes, queries: Codes) -> list[Lookup]:
    """List the lookups: of every quarter, with every change of its bits."""
    lookups: list[Lookup] = []
    for quarter, changed in enumerate(CHANGED):
        of_codes, of_queries = (_quarter(values, quarter) for values in (codes, queries))
        order = np.argsort(of_codes, kind="stable")
        # The codes whose quarter is q lie at order[starts[q]:starts[q + 1]]
        starts = np.concatenate([[0], np.cumsum(np.bincount(of_codes, minlength=2**BITS))])
        asking = np.argsort(of_queries, kind="stable")  # what is asked for one after the other lies near in memory
        asked = of_queries[asking]
        for mask in _masks(changed):
            wanted, who = asked ^ mask, asking
            if queries is codes and mask:  # each pair of buckets once
                once = asked < wanted
                wanted, who = wanted[once], asking[once]
            lookups.append(partial(_lookup, wanted, who, order, starts))
    return lookups


def _masks(changed: int) -> list[int]:
    """List the changes of at most so many bits of a quarter."""
    return [sum(1 << bit for bit in bits) for few in range(changed + 1) for bits in combinations(range(BITS), few)]


def _quarter(values: Codes, quarter: int) -> Positions:
    return (values >> np.uint64(BITS * quarter) & np.uint64(2**BITS - 1)).astype(np.int64)


def _lookup(
    wanted: Positions, asking: Positions, order: Positions, starts: Positions
) -> Iterator[tuple[Positions, Positions]]:
    """Pair each query with the codes that have its wanted quarter.

    Queries are `asking`, and `wanted` has the quarter of each. Yields about `CHUNK` pairs at a time.
    """
    first, counts = starts[wanted], starts[wanted + 1] - starts[wanted]
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(CHUNK, int(ends[-1]) if len(ends) else 0, CHUNK))
    for part in np.split(np.arange(len(wanted)), cuts):
        number = counts[part]
        within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)  # 0, 1, .. of each query
        yield np.repeat(asking[part], number), order[np.repeat(first[part], number) + within]
