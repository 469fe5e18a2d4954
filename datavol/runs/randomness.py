"""Randomness that is a pure function of what it is for.

Every random choice about data is keyed by a text (its purpose, seed and position), never by how often a generator was
called before. The bits are NumPy's Philox4x64-10 counter generator, whose raw stream NumPy guarantees across versions
and machines; sorting them gives a permutation.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def _digest(key: tuple[object, ...]) -> bytes:
    return hashlib.sha256("|".join(map(str, key)).encode()).digest()


def permutation(n: int, *key: object) -> NDArray[np.int64]:
    """A random order of 0 .. n-1, the same for equal keys on every machine.

    >>> permutation(5, "example", 0).tolist()
    [1, 3, 4, 0, 2]
    """
    words = np.frombuffer(_digest(key), dtype="<u8")
    bits = np.random.Philox(key=words[:2].astype(np.uint64)).random_raw(n)
    return np.argsort(bits, kind="stable").astype(np.int64, copy=False)


def seed_for(*key: object) -> int:
    """A seed of 63 bits for torch's generators, the same for equal keys on every machine."""
    return int.from_bytes(_digest(key)[:8], "little") >> 1


def uniforms(places: NDArray[np.int64], count: int, *key: object) -> NDArray[np.float64]:
    """Numbers in [0, 1) for each of some places, (places, count): a row depends on its place and the key alone.

    Place k has its own blocks of the key's stream, so that a batch is drawn at once and however batches are cut.
    """
    blocks = -(-count // 4)  # Philox gives four words for each value of its counter
    first, last = int(places.min()), int(places.max()) + 1
    words = np.frombuffer(_digest(key), dtype="<u8").astype(np.uint64)
    stream = np.random.Philox(key=words[:2], counter=[first * blocks, 0, 0, 0]).random_raw((last - first) * blocks * 4)
    rows = stream.reshape(last - first, blocks * 4)[places - first, :count]
    return (rows >> np.uint64(11)) * 2.0**-53
