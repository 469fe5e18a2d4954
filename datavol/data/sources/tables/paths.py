"""Finds the files that the paths of a table mean."""

import os
import re
from collections import Counter
from functools import lru_cache

from datavol.cli.text import shown
from datavol.data.sources.files.found import plural
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, NO_ENDING, kind_of
from datavol.data.sources.files.tree import Tree
from datavol.errors import ConfigError


class Paths:
    """Resolves paths in a tree; counts those written unlike their files.

    Of a path that needs no help no file is looked at.
    """

    def __init__(self, tree: Tree, encoding: str) -> None:
        self.tree, self.encoding = tree, encoding
        self.helped: Counter[str] = Counter()

    def is_file(self, path: str) -> bool:
        """Return whether a path leads to a file, once it is helped."""
        try:
            return self.tree.holds(self.resolve(path, ""))
        except ConfigError:
            return False

    def resolve(self, path: str, where: str) -> str:
        """Find the file that a path means, from the root.

        Returns the path itself if no file is there.

        Raises:
            ConfigError: If it is an address or of a Windows drive, or several files fit; `where` it is listed.
        """
        plain = path.isascii() and "\\" not in path and path == path.strip()
        if plain and ":" not in path and path[path.rfind(".") :].lower() in IMAGE_ENDINGS:  # nearly all
            return path
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
            raise ConfigError(
                f"data.table must name files, got the address {shown(path)} {where}; fetch the files, and name these"
            )
        if plain and kind_of(os.fsencode(path.rpartition("/")[2])) != NO_ENDING:
            return path
        if self._is_there(path):
            return path
        for word, other in self._others(path):
            if self._is_there(other):
                self.helped[word] += 1
                return other
        if re.match(r"[A-Za-z]:[\\/]", path):
            raise ConfigError(
                f"data.table must name files on this machine, got {shown(path)} {where}; name them from the table's "
                "folder, or from data.root"
            )
        return self._completed(path, where)

    def one(self, path: str) -> str:
        """Write the one path that a.jpg, ./a.jpg and b/../a.jpg are."""
        whole = os.path.join(self.tree.place, path)
        return os.path.normpath(whole) if "./" in path or "//" in path else whole

    def _others(self, path: str) -> list[tuple[str, str]]:
        """List how else a path may be meant."""
        bare = path.strip()
        others = [("with spaces around", bare), ("with \\ between folders", bare.replace("\\", "/"))]
        # The names of the files may be in the table's encoding
        if not self.encoding.startswith("utf") and not path.isascii():
            others.append((f"of {self.encoding}", os.fsdecode(path.encode(self.encoding, "replace"))))
        return [(word, other) for word, other in others if other != path]

    def _is_there(self, path: str) -> bool:
        return self.tree.holds(path)

    def _completed(self, path: str, where: str) -> str:
        """Add the ending to a name without one."""
        folder, name = os.path.split(path.strip().replace("\\", "/"))
        endings = self._endings(folder).get(name, [])
        if len(endings) > 1:
            files = " and ".join(shown(name + ending) for ending in endings)
            raise ConfigError(
                f"data.table must name one file in each row, got {shown(path)} {where}, which may be {files}; "
                "write the ending"
            )
        if not endings:
            return path
        self.helped["without their ending"] += 1
        return os.path.join(folder, name + endings[0])

    @lru_cache(4096)  # noqa: B019 (one object per table)
    def _endings(self, folder: str) -> dict[str, list[str]]:
        """List the images of a folder: their endings by their names."""
        found: dict[str, list[str]] = {}
        try:
            names = self.tree.look(folder).files
        except ConfigError:  # reading an image says so, by its name
            return found
        for name in names:
            stem, ending = os.path.splitext(name)
            if kind_of(os.fsencode(name)) in IMAGE_ENDINGS:
                found.setdefault(stem, []).append(ending)
        return found

    @property
    def notes(self) -> list[str]:
        """Say how paths were helped."""
        return [
            f"{plural(number, 'path')} {word}, read as the files are called" for word, number in self.helped.items()
        ]
