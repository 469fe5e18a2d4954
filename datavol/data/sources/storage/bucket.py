"""Reads files of buckets and servers through fsspec: `s3://`, `gs://`, `hf://` and others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.data.sources.storage.names import SortedNames
from datavol.errors import ConfigError, flat

MARKS = ("ETag", "etag", "md5Hash", "checksum", "LastModified", "last_modified", "mtime", "created")


@dataclass(frozen=True, eq=False)
class Bucket:
    """Reads the files below an address that was listed."""

    place: str  # such as s3://bucket/folder
    names: SortedNames
    sizes: NDArray[np.int64]
    marks: NDArray[np.int64]  # hashes of what the server gives as a file's version: an ETag or a time

    def __reduce__(self) -> tuple[type[Bucket], tuple[object, ...]]:
        return Bucket, (self.place, self.names, self.sizes, self.marks)  # without the connections of this process

    def read(self, key: str) -> bytes:
        """Fetch a file."""
        with _as_os_error():
            system, root = self._connection(os.getpid())
            content: bytes = system.cat_file(f"{root}/{key}")
        return content

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give a file's size and version at the time of listing."""
        at = self.names.find(os.fsencode(key))
        return int(self.sizes[at]), int(self.marks[at])

    def locate(self, key: str) -> str:
        """Join the address and the key."""
        return f"{self.place}/{key}"

    @cached_property
    def _connections(self) -> dict[int, tuple[Any, str]]:
        return {}

    def _connection(self, process: int) -> tuple[Any, str]:
        """Connect, once in each process: a fork can't share sockets and threads."""
        if process not in self._connections:
            self._connections[process] = connect(self.place)
        return self._connections[process]


def is_address(place: str) -> bool:
    """Return whether a place is an address rather than a path."""
    return "://" in place


def connect(address: str) -> tuple[Any, str]:
    """Open a file system and the path in it.

    Raises:
        ConfigError: If there is none for this kind of address, or its library is missing.
    """
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(address, skip_instance_cache=True, use_listings_cache=False)
    except (ImportError, ValueError, OSError) as error:
        remedy = "`pip install 'datavol[s3]'`" if address.startswith("s3") else "an address such as s3://bucket/folder"
        raise ConfigError(
            f"data.root must be an address that fsspec opens, got {address} ({flat(error)}); try {remedy}"
        ) from None
    return system, root.rstrip("/")


def open_bucket(address: str) -> Bucket:
    """List the files below an address.

    Raises:
        ConfigError: If it can't be listed, or holds nothing.
    """
    address = address.rstrip("/")
    system, root = connect(address)
    try:
        with _as_os_error():
            found: dict[str, dict[str, Any]] = system.find(root, detail=True)
    except OSError as error:
        raise ConfigError(
            f"data.root must be an address that can be listed, got {address} ({flat(error)}); check it"
        ) from None
    files = sorted((os.fsencode(path[len(root) :].lstrip("/")), facts) for path, facts in found.items())
    if not files:
        raise ConfigError(f"data.root must hold files, got none below {address}; check data.root")
    sizes = np.array([facts.get("size") or 0 for _, facts in files], dtype=np.int64)
    marks = np.array([_mark(facts) for _, facts in files], dtype=np.int64)
    return Bucket(address, SortedNames.of(name for name, _ in files), sizes, marks)


def _mark(facts: dict[str, Any]) -> int:
    known = next((str(facts[name]) for name in MARKS if facts.get(name) is not None), "")
    return int.from_bytes(hashlib.blake2b(known.encode(), digest_size=8).digest(), "little") >> 1


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn what a file system's library raises into an OSError."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each library has errors of its own
        raise OSError(f"{type(error).__name__}: {flat(error)}") from error
