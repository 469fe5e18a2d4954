"""Guards the folders of the image cache, which other users may reach.

Names in shared memory can be foretold, and a cache on disk may lie in a shared folder: whoever makes them first could
point them at other files, or fill them with other pixels.
"""

import os
import re
import stat

from datavol.errors import ConfigError

SHARED_MEMORY = "/dev/shm"
PIXELS = re.compile(r"pixels-[0-9a-f]{16}\.u8")
_OWN = re.compile(rf"{PIXELS.pattern}|index\.npz|\.index\.npz\..+|lock|room")


def own_files(folder: str) -> list[str]:
    """List the files of a store by the names that datavol gives."""
    return [name for name in os.listdir(folder) if _OWN.fullmatch(name)]


def make_store(folder: str) -> None:
    """Make a store's folder, in shared memory closed to other users.

    Raises:
        ConfigError: If it or a file in it is a link, or somebody else's.
    """
    check_store(folder)
    if not _in_shared_memory(folder):
        os.makedirs(folder, exist_ok=True)
        return
    for level in _levels(folder):
        try:
            os.mkdir(level, 0o700)
        except FileExistsError:  # another run's, or of a version that left it open
            check_store(folder)
            os.chmod(level, 0o700)


def check_store(folder: str) -> None:
    """Raise a ConfigError unless a store and its parent folders are safe.

    Those that are not there yet are safe. In shared memory all must belong to this user. On disk others may have built
    a store, but not where everybody can.
    """
    for level in _levels(folder):
        if not os.path.lexists(level):
            return
        _check(folder, level)
    if os.path.isdir(folder):
        for name in own_files(folder):
            _check(folder, os.path.join(folder, name))


def _in_shared_memory(folder: str) -> bool:
    return folder.startswith(SHARED_MEMORY + os.sep)


def _levels(folder: str) -> list[str]:
    """List the folders of the cache from its outermost to the store."""
    return [os.path.dirname(os.path.dirname(folder)), os.path.dirname(folder), folder]


def _check(folder: str, path: str) -> None:
    """Raise a ConfigError if a store's path may not be trusted.

    That is a link, another user's, or a file of a special kind.
    """
    try:
        found, above = os.lstat(path), os.lstat(os.path.dirname(path))
    except FileNotFoundError:  # removed by the builder that tidies
        return
    shared = _in_shared_memory(folder)
    fault = None
    # On disk the user may have put the cache elsewhere by a link of his own, but no link lies within a store
    if stat.S_ISLNK(found.st_mode) and (shared or path.startswith(folder)):
        fault = "a link"
    elif found.st_uid not in (os.getuid(), 0) and (shared or above.st_mode & stat.S_IWOTH):
        fault = f"of user {found.st_uid}"
    elif path not in _levels(folder) and not stat.S_ISREG(found.st_mode):
        fault = "no plain file"
    if fault is not None:
        key, remedy = ("ram", "data.cache=disk") if shared else ("disk", "data.cache_dir=/path/to/a/folder/of/yours")
        raise ConfigError(
            f"data.cache={key} must lie in folders and files of your own, got {path}, which is {fault}; "
            f"remove it or try {remedy}"
        )
