"""Pairs the images of a data set that show one picture, and groups them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datavol.data.duplicates.hashes import VIEWS, Hashes
from datavol.data.duplicates.neighbours import Positions, near

KINDS = ("the same file", "the same pixels", "alike", "mirrored", "upside down")
IDENTICAL = 2  # of these kinds
LIMITS = ((16, 30), (64, 20), (2**31, 60))
"""Bits of 256 in which two images that are alike may differ, by their shorter side in pixels (below). Little images
show less that tells one thing from another: `docs/explanation/leaks.md` has what is found so, and what mistaken."""


TEXTURED = 8  # bits of 256 that are set at least in the hash of an image that shows something
PAIR = np.dtype([("first", "<i8"), ("second", "<i8"), ("kind", "i1"), ("bits", "<i2")])
"""Two images by position, the first before the second; which of `KINDS`; bits in which their fine hashes differ."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Holds pairs of images that are copies of each other.

    Of images with one content, each is paired with the first.
    """

    table: NDArray[np.void]  # (pairs,) of `PAIR`
    images: int  # that were looked at

    def groups(self, kinds: int = len(KINDS)) -> Positions:
        """Give each image the number of its group, (images,).

        Groups are what pairs of the first `kinds` of `KINDS` connect.
        """
        of = self.table[self.table["kind"] < kinds]
        edges = np.ones(len(of), dtype=np.int8), (of["first"], of["second"])
        graph = coo_array(edges, shape=(self.images, self.images))
        numbers: Positions = connected_components(graph, directed=False)[1].astype(np.int64)
        return numbers


def find_pairs(hashes: Hashes, threads: int = 1) -> Pairs:
    """Find all pairs among images; damaged ones are left out."""
    left = np.flatnonzero(hashes["side"] > 0)
    parts: list[tuple[Positions, Positions, int]] = []  # firsts, seconds, and their kind
    for kind, column in enumerate(("file", "pixels")):
        # Only the first image of one content takes part in what follows: its copies are found through it
        of = _first_equal(hashes[column][left])
        copies = np.flatnonzero(of != np.arange(len(left)))
        parts.append((left[of[copies]], left[copies], kind))
        left = np.delete(left, copies)
    left = left[_bits(hashes["fine"][left, 0], np.uint64(0)) >= TEXTURED]  # no hash tells one blank image from another
    kept = hashes[left]
    parts += [(left[i], left[j], IDENTICAL + view) for view, (i, j) in enumerate(_alike(kept, threads))]
    first, second = (np.concatenate(sides) for sides in ([part[0] for part in parts], [part[1] for part in parts]))
    kinds = np.repeat(np.array([part[2] for part in parts], dtype=np.int8), [len(part[0]) for part in parts])
    # A pair that is alike both as it is and mirrored is the former
    _, once = np.unique(first * len(hashes) + second, return_index=True)
    table = np.zeros(len(once), dtype=PAIR)
    table["first"], table["second"], table["kind"] = first[once], second[once], kinds[once]
    view = np.maximum(table["kind"] - IDENTICAL, 0)
    table["bits"] = _bits(hashes["fine"][table["first"], 0], hashes["fine"][table["second"], view])
    table["bits"][table["kind"] < IDENTICAL] = 0
    return Pairs(np.sort(table, order=["kind", "bits", "first", "second"]), len(hashes))


def _first_equal(values: NDArray[np.void]) -> Positions:
    """Find the first position that has the same value (n,)."""
    _, first, which = np.unique(values, return_index=True, return_inverse=True)
    position: Positions = first[which.reshape(-1)]
    return position


def _alike(hashes: Hashes, threads: int) -> list[tuple[Positions, Positions]]:
    """Find the pairs that look alike, view by view."""
    limits = np.array([limit for _, limit in LIMITS])
    limit = limits[np.searchsorted([side for side, _ in LIMITS], hashes["side"], side="right")]  # (images,)
    coarse, fine = hashes["coarse"][:, 0].copy(), hashes["fine"][:, 0].copy()
    found = []
    for view in range(len(VIEWS)):
        queries = (coarse, fine) if view == 0 else (hashes["coarse"][:, view].copy(), hashes["fine"][:, view].copy())

        def confirm(i: Positions, j: Positions, seen: NDArray[np.uint64] = queries[1]) -> NDArray[np.bool_]:
            close: NDArray[np.bool_] = _bits(seen[i], fine[j]) <= np.minimum(limit[i], limit[j])
            return close

        found.append(near(coarse, queries[0], confirm, threads))
    return found


def _bits(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the bits in which hashes (n, words) differ (n,)."""
    return np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
