"""Writes files whole and locks them: the only place that does either."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part: temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        put_in_place(Path(name), path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def put_in_place(unfinished: Path, path: Path) -> None:
    """Rename a written file, once it is on the disk, so that a power cut leaves the old one or the new one too."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive POSIX record lock on a file, which is made if missing.

    The lock dies with its owner, however that ends, is not inherited by forked processes, and holds across machines on
    file systems that support it (NFS 4, Lustre, GPFS).

    Raises:
        BlockingIOError: If another process holds it and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except PermissionError as error:  # what some systems answer for EWOULDBLOCK
            raise BlockingIOError(*error.args) from None
        yield


def nearest_folder(path: Path) -> Path:
    """Find the nearest existing folder at or above a path."""
    return next(folder for folder in [path, *path.absolute().parents] if folder.is_dir())
