"""Says what an audit of a data set found, the gravest first."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from datavol.cli.text import per_cent, shown
from datavol.data.duplicates.audited import Audited, Mask
from datavol.data.duplicates.pairs import KINDS
from datavol.data.duplicates.words import Severity, leak_in_words, severity_of_leak

NAMED = 3  # pairs or images that a line names


@dataclass(frozen=True)
class Said:
    """Stores a finding in a sentence."""

    severity: Severity
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}"


def findings(found: Audited) -> list[Said]:
    """List an audit's findings, the gravest first."""
    said = [*_leaks(found), *_labels(found), *_waste(found), *_damaged(found)]
    return sorted(said, key=lambda one: ("major", "minor", "note").index(one.severity))


def name_of(found: Audited, position: int) -> str:
    """Name an image as `data.exclude` takes it: its split and key."""
    train, val = found.source.train, found.source.val
    return f"train/{train.key(position)}" if position < len(train) else f"val/{val.key(position - len(train))}"


def _leaks(found: Audited) -> Iterator[Said]:
    leaked, images = found.leaked(), int((found.in_val & ~found.excluded).sum())
    if count := int(leaked.sum()):
        what = leak_in_words(count, int(found.leaked(identical=True).sum()), images)
        yield Said(severity_of_leak(count, images), f"{what}; {_pairs_in_words(found, _between(found))}")


def _labels(found: Audited) -> Iterator[Said]:
    if count := int(found.disagreeing.sum()):
        labels, table = found.labels, found.pairs.table
        differ = labels[table["first"]] != labels[table["second"]]
        what = f"{count:,} images have a copy with another label, so that one of the two is wrong"
        yield Said("minor", f"{what}; {_pairs_in_words(found, differ)}")


def _waste(found: Audited) -> Iterator[Said]:
    for val, name in ((False, "training"), (True, "validation")):
        of = (found.in_val == val) & ~found.excluded
        if count := found.repeated(val=val):
            first, second = (found.in_val[found.pairs.table[side]] == val for side in ("first", "second"))
            share = per_cent(count / of.sum(), 2)
            what = f"{count:,} of {of.sum():,} {name} images ({share}) repeat an earlier one of these"
            yield Said("minor", f"{what}; {_pairs_in_words(found, first & second)}")


def _damaged(found: Audited) -> Iterator[Said]:
    where = np.flatnonzero(found.damaged)
    if len(where):
        names = ", ".join(shown(name_of(found, i)) for i in where[:NAMED].tolist())
        yield Said("minor", f"images that do not decode, and were not compared: {len(where):,} ({names}{_more(where)})")


def _between(found: Audited) -> Mask:
    """Flag the pairs of a training and a validation image."""
    both: Mask = found.in_val[found.pairs.table["first"]] != found.in_val[found.pairs.table["second"]]
    return both


def _pairs_in_words(found: Audited, which: Mask) -> str:
    """Name the first pairs, with their labels where these differ."""
    rows = found.pairs.table[which]
    if not len(rows):
        return "through others of their group, which the pictures show"
    return ", ".join(pair_in_words(found, row) for row in rows[:NAMED]) + _more(rows)


def pair_in_words(found: Audited, row: Any) -> str:
    """Write a pair, such as `val/b.png is train/a.png mirrored`."""
    names = []
    for side in ("second", "first"):
        position, classes = int(row[side]), found.source.classes
        label = f" ({shown(classes[found.labels[position]])})" if _differ(found, row) else ""
        names.append(f"{shown(name_of(found, position))}{label}")
    return f"{names[0]} and {names[1]} are {KINDS[row['kind']]}"


def _differ(found: Audited, row: Any) -> bool:
    return bool(found.labels[row["first"]] != found.labels[row["second"]])


def _more(listed: Sized) -> str:
    return f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
