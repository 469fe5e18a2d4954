"""Defines the findings of an audit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from datavol.runs.columns import Severity

SEVERITIES: tuple[Severity, ...] = ("major", "minor", "note")
LISTED_RUNS = 3  # of which a finding gives the names; of others the number


@dataclass(frozen=True)
class Finding:
    """Stores a reason to compare runs with care.

    Attributes:
        severity: `major`: the points are not comparable. `minor`: they may differ in the last digits, or something
            could not be judged. `note`: good to know.
        name: Its kind in a word: `iterations`, `recipe_json`, `overlap` ...
        what: The finding in a sentence.
        runs: The names of the run folders concerned.
        remedy: What to do.
    """

    severity: Severity
    name: str
    what: str
    runs: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        if not self.runs:
            return f"{self.severity}: {self.what}; {self.remedy}"
        more = f" and {len(self.runs) - LISTED_RUNS} more" if len(self.runs) > LISTED_RUNS else ""
        return f"{self.severity}: {self.what} ({', '.join(self.runs[:LISTED_RUNS])}{more}); {self.remedy}"


def run_names(runs: pd.DataFrame) -> tuple[str, ...]:
    """List runs' names for a finding."""
    return tuple(runs["run"])


def list_fractions(fractions: Sequence[float]) -> str:
    """Format fractions as text, such as `5, 12.5 %`."""
    return ", ".join(f"{100 * fraction:g}" for fraction in sorted(set(fractions))) + " %"
