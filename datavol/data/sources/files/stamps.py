"""Stamps files by size and times."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.storage.settled import settled

TASK = 4096  # files that a thread looks at
MISSING = -1


def file_stamps(split: FileSplit, positions: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[np.int64]:
    """Hash each file's size and times to 64 bits.

    A file that has changed just now has a negative one, so that it is read once more as soon as it has not. A missing
    file has `MISSING`.
    """
    now = time.time_ns()

    def stamp(position: int) -> int:
        if (facts := split.stamp(position)) is None:
            return MISSING  # reading it says so
        text = " ".join(map(str, facts)).encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1  # never negative
        return number if settled(facts[1:], now) else ~number

    chunks = np.array_split(positions, 1 + len(positions) // TASK)  # in parallel: a network drive takes its time
    stamps = pool.map(lambda chunk: [stamp(position) for position in chunk.tolist()], chunks)
    return np.array([one for part in stamps for one in part], dtype=np.int64)
