"""Audits what a study's data folders held beside its runs' images."""

import json
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from datavol.data.sources.files.found import BY_TOOLS, count
from datavol.study.audit.findings import Finding, run_names


def audit_data(finished: pd.DataFrame) -> Iterator[Finding]:
    """Report files left out and notes, data set by data set."""
    for (data, text), runs in finished[finished["found"].notna()].groupby(["data", "found"]):
        found = json.loads(text)
        left_out = Counter({kind: number for kind, number in found["left_out"].items() if kind != BY_TOOLS})
        if left_out:
            what = f"of the data of {data}, these were left out: {count(left_out)}"
            yield Finding("note", "left_out", what, run_names(runs), "convert or move them if they belong to it")
        for note in found["notes"]:
            yield Finding(
                "minor", "data", f"of the data of {data}: {note}", run_names(runs), "see whether that is meant"
            )
