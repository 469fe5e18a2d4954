"""Audits what became of the pixels of a study's images."""

from collections.abc import Iterator

import pandas as pd

from datavol.runs.columns import AGAIN
from datavol.study.audit.findings import Finding, run_names


def audit_pixels(finished: pd.DataFrame) -> Iterator[Finding]:
    """Find damaged images, and files that changed while a run trained."""
    damaged = finished[finished["damaged"].notna()].sort_values("validation_images")
    if len(damaged):
        worst = damaged.iloc[0]
        counted, listed = worst["validation_images"], worst["listed_images"]
        what = f"{worst['damaged']}{' in the worst case' if damaged['damaged'].nunique() > 1 else ''}"
        what += f"; accuracies are of {counted:,} of {listed:,} validation images" if counted < listed else ""
        yield Finding("minor", "damaged", what, run_names(damaged), f"mend those that run.json lists, and {AGAIN}")
    changed = finished[finished["content"].astype(str).str.contains(" then ")]
    if len(changed):
        what = "files of the data changed under the same names while the run trained"
        yield Finding("major", "changed_files", what, run_names(changed), AGAIN)
