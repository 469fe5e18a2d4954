"""Describes what a data set's folder holds, and what is left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datavol.cli.text import shown

LISTED = 5  # classes or folders that a line names; of others it gives the number
BY_TOOLS = "hidden or left by tools"
FOLDER = "the folder "


@dataclass(frozen=True)
class Found:
    """Holds what a source of files took for what."""

    place: str = ""  # the folder or table; empty for the arrays of a package, where nothing is to be found
    train: str = ""  # where the training images lie, from `place`
    val: str = ""
    left_out: Counter[str] = field(default_factory=Counter)  # files by ending, or others by a word for them
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # the names of the groups of data.group, in the order of their numbers

    @property
    def record(self) -> dict[str, Any]:
        """Describe it as `subset.json` does."""
        return {
            "train": self.train,
            "val": self.val,
            "left_out": dict(sorted(self.left_out.items())),
            "notes": list(self.notes),
        }

    def lines(self, classes: Sequence[str], train: int, val: int) -> list[str]:
        """Describe the data in lines for the terminal."""
        if not self.place:
            return []
        lines = [
            f"{shown(self.place)}: {len(classes):,} classes ({few(classes)}); train is {shown(self.train)} "
            f"({train:,} images), val is {shown(self.val)} ({val:,} images)"
        ]
        if self.left_out:
            lines.append(f"left out: {count(self.left_out)}")
        return lines + [f"note: {note}" for note in self.notes]


def few(names: Sequence[str], of: int | None = None) -> str:
    """List the first names, and the number of the others, `of` in all."""
    others = (len(names) if of is None else of) - len(names[:LISTED])
    more = f" and {others:,} more" if others else ""
    return ", ".join(map(shown, names[:LISTED])) + more


def count(kinds: Counter[str]) -> str:
    """List kinds with their numbers, such as `3 .gif, 1 .txt`.

    A folder that was left out has no number: `the folder notes`.
    """
    return ", ".join(
        shown(kind) if kind.startswith(FOLDER) else f"{number:,} {shown(kind)}"
        for kind, number in sorted(kinds.items())
    )
