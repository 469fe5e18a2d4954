"""Builds the commands that mend what keeps a verdict back."""

import shlex
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import pandas as pd

from datavol.cli.text import typed
from datavol.runs.folder import RunFolder


def train_command(runs: pd.DataFrame, **changed: Sequence[float | str]) -> str | None:
    """Build the command that trains a curve's runs with other values.

    What is finished it skips. None where the overrides of the runs were not kept, as on W&B.
    """
    largest = runs.sort_values("images").iloc[-1]
    overrides = RunFolder(Path(largest["folder"])).overrides if isinstance(largest["folder"], str) else None
    if overrides is None:
        return None
    grid = {name: sorted(runs[name].unique()) for name in ("fraction", "seed")} | changed
    if "folds" in runs and runs["folds"].fillna(0).gt(0).all():  # a pooled row is of all folds
        grid |= {"data.fold": range(int(runs["folds"].max()))}
    kept = [shlex.quote(text) for text in overrides if text.partition("=")[0] not in grid]
    varied = [_typed(key, values) for key, values in grid.items()]
    sweep = ["-m"] if any(len(values) > 1 for values in grid.values()) else []
    return " ".join(["python -m datavol.run", *sweep, *kept, *varied])


def longer_command(runs: pd.DataFrame) -> str | None:
    """Build the command that trains a curve's runs twice as long.

    They become a study of their own. None where epochs are unknown.
    """
    if runs["epochs"].isna().any():
        return None
    return train_command(runs, epochs=[2 * int(runs["epochs"].max())], study=[f"{runs['study'].iloc[0]}_longer"])


def report_command(runs: pd.DataFrame, delta: float) -> str | None:
    """Build the command that reports on a curve's studies for another delta.

    `delta` is a share. None where the runs have no folder.
    """
    folders = runs["folder"].dropna()
    if folders.empty:
        return None
    studies = dict.fromkeys(str(Path(folder).parent) for folder in folders)
    return " ".join(["python -m datavol.report", *map(shlex.quote, studies), f"--delta {100 * delta:g}"])


def round_up(share: float) -> float:
    """Round a share up to tenths of a point."""
    return ceil(1000 * share - 1e-6) / 1000


def _typed(key: str, values: Sequence[float | str]) -> str:
    if isinstance(values[0], str):
        return typed(key, values[0])
    return f"{key}={','.join(f'{value:.12g}' for value in values)}"
