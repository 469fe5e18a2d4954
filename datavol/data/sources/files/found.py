"""Describes what a data set was taken for, and what is left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown

LISTED = 5  # classes or folders that a line names; of others it gives the number
WIDE = 40  # letters of a name in a line that counts
LETTERS = 50  # of all names in it
BY_TOOLS = "hidden"
LEFT_BY_TOOLS = " left by tools"  # what ends the kind of `@eaDir` and its like
TOOLS = "folders and files of tools lie among the images"  # begins the line that names them
FOLDER = "the folder "
ENOUGH = 10  # images of a class, below which a line warns
UNEQUAL = 100  # times the images of the smallest class in the largest, from which on a line warns


@dataclass(frozen=True)
class Found:
    """Holds what a source took for what."""

    place: str = ""  # the folder, the table, or the name of arrays; empty for labels without images
    train: str = ""  # where the training images lie, from `place`; empty for arrays
    val: str = ""
    read: str = ""  # how a table was read
    left_out: Counter[str] = field(default_factory=Counter)  # files by ending, or others by a word for them
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # the names of the groups of data.group, in the order of their numbers


@dataclass(frozen=True)
class Sizes:
    """Counts the images of each class in train and val."""

    classes: Sequence[str]
    train: NDArray[np.int64]  # (classes,)
    val: NDArray[np.int64]

    @classmethod
    def of(cls, classes: Sequence[str], train: NDArray[np.int64], val: NDArray[np.int64]) -> "Sizes":
        """Count labels."""
        return cls(classes, *(np.bincount(labels, minlength=len(classes)) for labels in (train, val)))

    def record(self, found: Found) -> dict[str, Any]:
        """Describe data as `subset.json` does."""
        return {
            "place": found.place,
            "train": found.train,
            "val": found.val,
            **({"read": found.read} if found.read else {}),
            "classes": len(self.classes),
            "first_classes": list(self.classes[:LISTED]),
            "per_class": {"train": self._extremes(self.train), "val": self._extremes(self.val)},
            "left_out": dict(sorted(found.left_out.items())),
            "notes": list(found.notes),
            "warnings": [*found.warnings, *self.warnings],
        }

    def lines(self, found: Found) -> list[str]:
        """Describe data in lines for the terminal."""
        if not found.place:
            return []
        return [
            f"{shown(found.place)}: {len(self.classes):,} classes ({fitting(self.classes)})",
            *([f"read as {found.read}"] if found.read else []),
            f"train{_is(found.train)}: {self._counted(self.train)}",
            f"val{_is(found.val)}: {self._counted(self.val)}",
            *([f"left out: {count(found.left_out)}"] if found.left_out else []),
            *(f"note: {note}" for note in found.notes),
            *(f"warning: {warning}" for warning in (*found.warnings, *self.warnings)),
        ]

    @property
    def warnings(self) -> list[str]:
        """Name classes with too few images to learn or to judge by."""
        lines = [
            f"{self._share(len(scarce))} fewer than {ENOUGH} {kind} images: "
            + fitting([f"{cut(self.classes[c])} ({sizes[c]})" for c in scarce])
            for kind, sizes in (("training", self.train), ("validation", self.val))
            if (scarce := [c for c in np.argsort(sizes, kind="stable").tolist() if 0 < sizes[c] < ENOUGH])
        ]
        if missing := np.flatnonzero(self.val == 0).tolist():
            names = fitting([self.classes[c] for c in missing])
            lines.append(f"{self._share(len(missing))} no validation image: {names}")
        least, most = int(np.argmin(self.train)), int(np.argmax(self.train))
        if self.train[most] >= UNEQUAL * max(1, self.train[least]):
            both = " and ".join(f"{self.train[c]:,} training images of {cut(self.classes[c])}" for c in (most, least))
            lines.append(f"classes are very unequal, as there are {both}; sampling=balanced shows each equally often")
        return lines

    def _share(self, number: int) -> str:
        return f"{number:,} of {len(self.classes):,} classes {'has' if number == 1 else 'have'}"

    def _counted(self, sizes: NDArray[np.int64]) -> str:
        """Write the images of a split and of its classes."""
        ends = self._extremes(sizes)
        if ends["least"] == ends["most"]:
            return f"{plural(ends['images'], 'image')}, {ends['least']:,} of each class"
        least = f"{ends['least']:,} ({cut(ends['least_class'])})"
        return (
            f"{plural(ends['images'], 'image')}, {least} to {ends['most']:,} of a class, median {ends['median']:,.10g}"
        )

    def _extremes(self, sizes: NDArray[np.int64]) -> dict[str, Any]:
        least = int(np.argmin(sizes))
        return {
            "images": int(sizes.sum()),
            "least": int(sizes[least]),
            "least_class": self.classes[least],
            "median": float(np.median(sizes)),
            "most": int(sizes.max()),
        }


def plural(number: int, word: str) -> str:
    """Write `1 image` or `2 images`."""
    return f"{number:,} {word}{'s' * (number != 1)}"


def _is(where: str) -> str:
    return f" is {shown(where)}" if where else ""


def cut(name: str) -> str:
    """Write a name in a line of limited width."""
    name = shown(name)
    return name if len(name) <= WIDE else f"{name[: WIDE - 3]}..."


def few(names: Sequence[str], of: int | None = None) -> str:
    """List the first names, and count the others.

    There are `of` in all; by default, those of `names`.
    """
    others = (len(names) if of is None else of) - len(names[:LISTED])
    more = f" and {others:,} more" if others else ""
    return ", ".join(map(shown, names[:LISTED])) + more


def fitting(names: Sequence[str]) -> str:
    """List as many of the first names as fit into a line."""
    shorter = [cut(name) for name in names[:LISTED]]
    while len(shorter) > 1 and sum(map(len, shorter)) > LETTERS:
        shorter.pop()
    more = f" and {len(names) - len(shorter):,} more" if len(names) > len(shorter) else ""
    return ", ".join(shorter) + more


def by_tools(kind: str) -> bool:
    """Return whether files of a kind are hidden or left by tools."""
    return kind.startswith(BY_TOOLS) or kind.endswith(LEFT_BY_TOOLS)


def count(kinds: Counter[str]) -> str:
    """List kinds with their numbers, such as `3 .gif, 1 .txt`.

    A folder that was left out has no number: `the folder notes`.
    """
    together = Counter[str]()
    for kind, number in kinds.items():
        together[LEFT_BY_TOOLS.strip() if kind.endswith(LEFT_BY_TOOLS) else kind] += number
    return ", ".join(
        shown(kind) if kind.startswith(FOLDER) else f"{number:,} {shown(kind)}"
        for kind, number in sorted(together.items())
    )
