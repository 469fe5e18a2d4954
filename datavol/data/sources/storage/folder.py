"""Defines what a place of files does, and reads files of a folder."""

import os
from dataclasses import dataclass
from typing import Protocol


class DamagedFile(OSError):
    """Reports a file that is there, but not whole."""


class Storage(Protocol):
    """Reads files by their keys, which are paths from `place`.

    It is pickled into the workers of a loader, so what it opens it opens anew in each process.
    """

    @property
    def place(self) -> str:
        """Name the folder, archive or bucket, absolute."""

    def read(self, key: str) -> bytes:
        """Read a file; raises OSError, and DamagedFile if not whole."""

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give a file's size, then marks of change; raises OSError."""

    def locate(self, key: str) -> str:
        """Write where a file lies, for people."""


@dataclass(frozen=True)
class Folder:
    """Reads the files below a folder."""

    place: str

    def read(self, key: str) -> bytes:
        """Read a file."""
        with open(self.locate(key), "rb") as file:
            return file.read()

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give a file's size, modification time and change time in nanoseconds."""
        found = os.stat(self.locate(key))
        # The change time as well: a copy may bring its modification time along, and nobody can set the change time
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def locate(self, key: str) -> str:
        """Join the folder and the key."""
        return os.path.join(self.place, key)
