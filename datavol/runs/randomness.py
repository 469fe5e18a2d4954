"""Draws random numbers as pure functions of a key.

Every random choice about data is keyed by a text (its purpose, seed and position), never by how often a generator was
called before. The bits are NumPy's Philox4x64-10 counter generator, whose raw stream NumPy guarantees across versions
and machines.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def _digest(key: tuple[object, ...]) -> bytes:
    return hashlib.sha256("|".join(map(str, key)).encode()).digest()


def _philox(key: tuple[object, ...], block: int = 0) -> np.random.Philox:
    """Start a key's stream of 64-bit words at a block of four."""
    words = np.frombuffer(_digest(key), dtype="<u8").astype(np.uint64)  # little-endian, whatever the machine is
    return np.random.Philox(key=words[:2], counter=[block, 0, 0, 0])  # 128 bits of the hash are the key


def permutation(n: int, *key: object) -> NDArray[np.int64]:
    """Shuffle 0 .. n-1, equally for equal keys on every machine.

    >>> permutation(5, "example", 0).tolist()
    [1, 3, 4, 0, 2]
    """
    # The ranks of n random words are a uniform permutation; a stable sort leaves no choice between equal words
    return np.argsort(_philox(key).random_raw(n), kind="stable").astype(np.int64, copy=False)


def seed_for(*key: object) -> int:
    """Derive a 63-bit seed for torch's generators from a key."""
    return int.from_bytes(_digest(key)[:8], "little") >> 1


def uniforms(samples: NDArray[np.int64], count: int, *key: object) -> NDArray[np.float64]:
    """Draw numbers in [0, 1) for each of some samples, (samples, count).

    A row depends on its sample's number and the key alone, however batches are cut.
    """
    # Philox makes four words of each value of its counter, and can start at any: sample k owns the counter values
    # k * blocks .. (k + 1) * blocks - 1, whoever asks for it.
    blocks = -(-count // 4)
    # One call draws the words of all samples from the first to the last, since those of a batch are neighbours
    first, last = int(samples.min()), int(samples.max()) + 1
    words = _philox(key, first * blocks).random_raw((last - first) * blocks * 4)
    rows = words.reshape(last - first, blocks * 4)[samples - first, :count]
    return (rows >> np.uint64(11)) * 2.0**-53  # the upper 53 bits, all that a double holds, as a multiple of 2**-53
