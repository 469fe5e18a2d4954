"""Audits what a study's data folders held beside its runs' images."""

import json
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from datavol.cli.text import per_cent
from datavol.data.duplicates.words import leak_in_words, severity_of_leak
from datavol.data.sources.files.found import TOOLS, by_tools, count, few
from datavol.study.audit.findings import Finding, run_names

CLEAN = "python -m datavol.audit with the same data shows them, and writes a list for data.exclude"


def audit_data(finished: pd.DataFrame) -> Iterator[Finding]:
    """Report files left out, notes and shared groups of each data set."""
    yield from _shared_groups(finished)
    for (data, text), runs in finished[finished["found"].notna()].groupby(["data", "found"]):
        found = json.loads(text)
        left_out = Counter({kind: number for kind, number in found["left_out"].items() if not by_tools(kind)})
        if left_out:
            what = f"of the data of {data}, these were left out: {count(left_out)}"
            yield Finding("note", "left_out", what, run_names(runs), "convert or move them if they belong to it")
        for note in [*found["notes"], *found.get("warnings", ())]:  # which older records lack
            if note.startswith(TOOLS):  # every folder may have some
                continue
            what, _, remedy = note.partition("; ")
            yield Finding(
                "minor",
                "data",
                f"of the data of {data}: {what}",
                run_names(runs),
                remedy or "see whether that is meant",
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


def audit_duplicates(finished: pd.DataFrame) -> Iterator[Finding]:
    """Report copies and disagreeing labels in the data that runs trained on.

    Findings are by data set, as it was when its runs were trained.
    """
    for data, runs in finished[finished["duplicates"].notna()].groupby("data"):
        found = pd.DataFrame([json.loads(text) for text in runs["duplicates"]], index=runs.index)
        worst = found.loc[found["leaked"].idxmax()]
        if leaked := int(worst["leaked"]):
            what = leak_in_words(leaked, int(worst["leaked_identical"]), int(worst["validation_images"]))
            if (least := int(found["leaked"].min())) < leaked:
                what += f"; in smaller subsets fewer, down to {least:,}, which makes the curve too steep"
            severity = severity_of_leak(leaked, int(worst["validation_images"]))
            yield Finding(severity, "leaks", f"of the data of {data}, {what}", run_names(runs), CLEAN)
        if number := int(found["disagreeing"].max()):
            what = f"of the data of {data}, {number:,} images have a copy with another label"
            yield Finding("minor", "labels", what, run_names(runs), CLEAN)
        shares = found["repeated"] / found["images"]
        if shares.max() > 0:
            worst = found.loc[shares.idxmax()]
            share = per_cent(shares.max(), 2)
            what = f"{worst['repeated']:,} of {worst['images']:,} training images ({share}) repeat another one"
            yield Finding("note", "repeated", f"of the data of {data}, {what}", run_names(runs), CLEAN)
