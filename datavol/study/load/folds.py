"""Pools runs on the folds of a data set.

Every image is validated on once. A fold's validation images are its own, so that runs on different folds cannot be
compared. All folds of one configuration together are one measurement on all images: a row of a study, as if one run had
made it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datavol.runs.columns import METRICS

INCOMPLETE = "incomplete"
MEANS = [*METRICS, *(f"best_{name}" for name in METRICS), "guess_top1", "guess_top5"]  # over images
SUMS = ["validation_images", "listed_images", "seconds_train", "seconds_val"]
ROUNDED = ["images", "full_size"]  # folds differ by an image or a few
JOINED = ["hash", "fingerprint", "content", "subset_sha256"]


class Folds(str):
    """Holds the first fold's folder, which stands for all `parts`."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, folders: list[str]) -> Folds:
        """Join the folders of all folds, in their order."""
        folds = cls(folders[0])
        folds.parts = tuple(folders)
        return folds


def parts_of(folder: Path | str) -> tuple[Path, ...]:
    """List the folders that a row's `folder` stands for."""
    return tuple(map(Path, folder.parts)) if isinstance(folder, Folds) else (Path(folder),)


def pooled(runs: pd.DataFrame, epochs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace the finished runs of all folds by one row.

    Where a fold is missing or unfinished, finished ones are `incomplete`: their images are not all.
    """
    finished = runs[(runs["state"] == "finished") & runs["folds"].notna()]
    if finished.empty:
        return runs, epochs
    runs = runs.astype({"reason": object})
    rows, tables, used = [], [], []
    for _, group in finished.groupby(["study", "folds_hash"]):
        folds = group.drop_duplicates("fold").sort_values("fold")
        of = int(folds["folds"].iloc[0])
        if len(folds) < of:
            there = ", ".join(map(str, folds["fold"]))
            runs.loc[group.index, ["state", "reason"]] = [INCOMPLETE, f"of {of} folds only {there} are finished"]
            continue
        rows.append(_row(folds))
        tables.append(_epochs(folds, epochs).assign(run=-len(rows)))
        used += [*group.index]
    of_parts = runs.index[runs["state"] == INCOMPLETE]
    epochs = epochs[~epochs["run"].isin([*used, *of_parts])]
    kept = runs.drop(index=used).reset_index(names="before")
    whole = pd.DataFrame(rows).assign(before=[-number for number in range(1, len(rows) + 1)]) if rows else kept[:0]
    every = pd.concat([kept.astype(object), whole.astype(object)], ignore_index=True).astype(kept.dtypes)
    every = every.sort_values(ORDER, ignore_index=True)
    number = dict(zip(every["before"], every.index, strict=True))
    stacked = pd.concat([epochs, *tables], ignore_index=True)
    return every.drop(columns="before"), stacked.assign(run=stacked["run"].map(number)).astype({"run": int})


ORDER = ["data", "model", "recipe", "fraction", "seed", "folder"]


def _row(folds: pd.DataFrame) -> dict[str, Any]:
    """Make one row of a configuration's folds."""
    row: dict[str, Any] = {str(name): value for name, value in folds.iloc[0].items()}
    weights = folds["validation_images"].to_numpy(float)
    for name in MEANS:
        row[name] = float(np.average(folds[name].to_numpy(float), weights=weights))
    row |= {name: folds[name].sum() for name in SUMS if folds[name].notna().all()}
    row["trunk_seconds"] = folds["trunk_seconds"].sum(min_count=1)  # not every fold need have taken any over
    row |= {name: round(folds[name].astype(float).mean()) for name in ROUNDED}
    row |= {name: _joined(folds[name]) for name in JOINED if folds[name].notna().all()}
    row |= {name: folds[name].min() for name in ("budget_epoch", "iteration", "evaluations", "iterations")}
    if folds["duplicates"].notna().all():
        row["duplicates"] = json.dumps(sum(map(Counter, map(json.loads, folds["duplicates"])), Counter[str]()))
    row["run"] = f"{row['run']} and {len(folds) - 1} more folds"
    if folds["folder"].notna().all():
        row["folder"] = Folds.of([*folds["folder"]])
    return row


def _joined(values: pd.Series) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[: len(values.iloc[0])]


def _epochs(folds: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Average the folds' budget epochs."""
    own = epochs[epochs["run"].isin(folds.index)]
    means = own.drop(columns="run").groupby("budget_epoch", as_index=False).mean().astype({"budget_epoch": int})
    return means.assign(**{"val/images": means["val/images"] * len(folds)}) if "val/images" in means else means
