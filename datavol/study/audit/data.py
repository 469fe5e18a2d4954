"""Audits what a study's data folders held beside its runs' images."""

import json
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from datavol.cli.text import per_cent
from datavol.data.sources.files.found import by_tools, count, few
from datavol.study.audit.findings import Finding, run_names


def audit_data(finished: pd.DataFrame) -> Iterator[Finding]:
    """Report files left out, notes and shared groups, data set by data set."""
    yield from _shared_groups(finished)
    for (data, text), runs in finished[finished["found"].notna()].groupby(["data", "found"]):
        found = json.loads(text)
        left_out = Counter({kind: number for kind, number in found["left_out"].items() if not by_tools(kind)})
        if left_out:
            what = f"of the data of {data}, these were left out: {count(left_out)}"
            yield Finding("note", "left_out", what, run_names(runs), "convert or move them if they belong to it")
        for note in [*found["notes"], *found.get("warnings", ())]:  # which older records lack
            yield Finding(
                "minor", "data", f"of the data of {data}: {note}", run_names(runs), "see whether that is meant"
            )


def _shared_groups(finished: pd.DataFrame) -> Iterator[Finding]:
    for (data, text), runs in finished[finished["groups"].notna()].groupby(["data", "groups"]):
        groups = json.loads(text)
        if groups["shared"]:
            images = groups["shared_val_images"] / int(runs["validation_images"].max())
            what = (
                f"of the data of {data}, {groups['shared']:,} groups lie in train and in val "
                f"({few(groups['shared_names'], groups['shared'])}), with {per_cent(min(images, 1))} of the validation "
                "images, and look easier than new ones"
            )
            remedy = "move each to one side, or let data.val_fraction part whole groups, and train again"
            yield Finding("major", "shared_groups", what, run_names(runs), remedy)
