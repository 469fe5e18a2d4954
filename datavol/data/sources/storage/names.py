"""Holds the names of many files in little memory."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SortedNames:
    """Holds names in byte order as one blob, each ended by NUL.

    Strings of a million files would fill the memory of every worker.
    """

    blob: bytes

    @classmethod
    def of(cls, names: Iterable[bytes]) -> SortedNames:
        """Join names that are sorted."""
        return cls(b"".join(name + b"\0" for name in names))

    @cached_property
    def _ends(self) -> NDArray[np.int64]:  # where the NULs are
        return np.flatnonzero(np.frombuffer(self.blob, dtype=np.uint8) == 0)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, i: int) -> bytes:
        return self.blob[int(self._ends[i - 1]) + 1 if i else 0 : int(self._ends[i])]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.blob.split(b"\0")[:-1])

    def find(self, name: bytes) -> int:
        """Find a name's position; raises FileNotFoundError where there is none."""
        at = bisect.bisect_left(range(len(self)), name, key=self.__getitem__)
        if at == len(self) or self[at] != name:
            raise FileNotFoundError(2, "no such file", name)
        return at
