"""Writes files atomically and locks them: the only module that does."""

import errno
import json
import math
import os
import platform
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import yaml

from datavol.errors import ConfigError, flat

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where records are read and questions answered, and nothing is trained
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)  # mkstemp lets only the owner read
        put_in_place(Path(name), path)
    except BaseException as error:  # KeyboardInterrupt as well: a temporary file never stays
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk names no file
            error.filename = str(path)
        raise


def put_in_place(unfinished: Path, path: Path) -> None:
    """Rename a written file over another, durably."""
    # The content must be on the disk before the new name is, or a power cut could leave an empty file under that name
    with unfinished.open("r+b") as file:  # not "rb": Windows flushes only what may be written
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON, NaN and infinities as null."""
    write_whole(path, (json.dumps(_finite(values), indent=1, allow_nan=False) + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def parsed(file: Path, parse: Callable[[Path], T], remedy: str = "bring it back, or move it away") -> T:
    """Parse a file that datavol wrote.

    Raises:
        ConfigError: If it is missing, cut off, damaged or of another kind, in one line that ends in `remedy`.
    """
    try:
        return parse(file)
    # All that JSON, YAML, NumPy and zip files raise when they are cut off or damaged, and what wrong types lead to
    except (
        *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError),
        *(BadZipFile, zlib.error, yaml.YAMLError),
    ) as error:
        got = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {flat(error)}"
        raise ConfigError(f"{file} must be a whole file that datavol wrote, got {got}; {remedy}") from None


def read_json(file: Path, remedy: str = "bring it back, or move it away") -> dict[str, Any]:
    """Read a JSON object that datavol wrote.

    Raises:
        ConfigError: If it is missing, cut off, damaged or no object, in one line that ends in `remedy`.
    """

    def parse(file: Path) -> dict[str, Any]:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"no JSON object but {flat(values)[:40]}")
        return values

    return parsed(file, parse, remedy)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a file, created if missing.

    Raises:
        BlockingIOError: If another process holds it and `wait` is false.
        ConfigError: Where the system has no such locks.
    """
    check_lockable()
    path.parent.mkdir(parents=True, exist_ok=True)
    # `lockf` takes a POSIX record lock: the kernel drops it however its owner ends, so that no stale lock stays; forked
    # processes (data workers) do not inherit it; and it holds across machines on NFS 4, Lustre and GPFS, which `flock`
    # may not. It belongs to the process and not to the file handle: a process that locks a file twice does not wait for
    # itself, and closing any handle of the file ends its lock, so nothing else may open a lock file.
    with path.open("a") as file:  # "a": creates the file, and a lock for writing takes a handle that may write
        try:
            fcntl.lockf(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except PermissionError as error:  # EACCES, which POSIX allows instead of EAGAIN
            raise BlockingIOError(*error.args) from None
        yield


def check_lockable() -> None:
    """Raise a ConfigError where files cannot be locked, as on Windows."""
    if fcntl is None:
        raise ConfigError(
            "a run must be trained where its folder can be locked, as on Linux and macOS, got "
            f"{platform.system()}; try WSL, or train elsewhere and read the records here"
        )


def check_writable(folder: Path) -> None:
    """Raise a ConfigError unless a folder, existing or not, can be written."""
    place = folder
    try:
        place = nearest_folder(folder)
        if not folder.is_dir() and (above := place / folder.absolute().relative_to(place).parts[0]).exists():
            place = above
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(4096))  # a full disk may still have room for a name
    except OSError as error:
        raise ConfigError(
            f"{place} must be a folder that can be written, got {error.strerror}; type the command in another folder"
        ) from None


def nearest_folder(path: Path) -> Path:
    """Find the nearest existing folder at or above a path."""
    return next(folder for folder in [path, *path.absolute().parents] if folder.is_dir())
