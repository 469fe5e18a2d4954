"""What an audit finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Severity = Literal["major", "minor", "note"]
SEVERITIES: tuple[Severity, ...] = ("major", "minor", "note")
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing to know before runs are compared.

    Attributes:
        severity: `major`: the points are not comparable. `minor`: they may differ in the last digits, or something
            could not be judged. `note`: good to know.
        name: What kind of thing, in a word: `iterations`, `recipe`, `overlap` ...
        what: In a sentence.
        runs: The names of the run folders that it is about.
        remedy: What to do.
    """

    severity: Severity
    name: str
    what: str
    runs: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        more = f" and {len(self.runs) - SHOWN} more" if len(self.runs) > SHOWN else ""
        return f"{self.severity}: {self.what} ({', '.join(self.runs[:SHOWN])}{more}); {self.remedy}"


def run_names(runs: pd.DataFrame) -> tuple[str, ...]:
    """The runs' names, for a finding."""
    return tuple(runs["run"])


def list_fractions(fractions: Sequence[float]) -> str:
    """Fractions in words, such as `5, 12.5 %`."""
    return ", ".join(f"{100 * fraction:g}" for fraction in sorted(set(fractions))) + " %"
