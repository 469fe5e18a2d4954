"""Tabulates every run of a study, for the page and the terminal."""

import pandas as pd
from rich.table import Table

from datavol.study.tables.summaries import guesses_of


def runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Tabulate every run, in whatever state.

    Columns: `run` (its folder's name), `network`, `recipe`, `data`, `fraction (%)`, `images`, `groups` (of data with
    groups), `seed`, `top-1 (%)` and `best top-1 (%)` as far as it got, `time (min)`, `done` (budget epochs, such as
    `3/90`), `state`, `reason`.
    """
    done = runs["budget_epoch"].astype(str) + "/" + runs["epochs"].astype(str)
    table = pd.DataFrame(
        {
            "run": runs["run"],
            "network": runs["model"],
            "recipe": runs["recipe"],
            "data": runs["data"],
            "fraction (%)": 100 * runs["fraction"],
            "images": runs["images"],
            "seed": runs["seed"],
            "top-1 (%)": 100 * runs["top1"],
            "best top-1 (%)": 100 * runs["best_top1"],
            "time (min)": (runs["seconds_train"] + runs["seconds_val"]) / 60,
            "done": done.where(runs["budget_epoch"].notna()),
            "state": runs["state"],
            "reason": runs["reason"],
        }
    )
    if runs["drawn_groups"].notna().any():
        table.insert(6, "groups", runs["drawn_groups"])
    return table


def results_table(runs: pd.DataFrame) -> Table:
    """Format a study's runs for a terminal, accuracies in per cent."""
    table = Table(title="last evaluation of every run (accuracies in %, margins and calibration error in [0, 1])")
    for name in ("network", "recipe", "fraction", "images", "seed"):
        table.add_column(name)
    for name in ("top-1", "top-5", "best top-1", "margin correct", "incorrect", "calibration", "minutes"):
        table.add_column(name, justify="right")
    table.add_column("state", no_wrap=True)
    for run in runs.itertuples():
        table.add_row(*_cells(run))
    if guesses := guesses_of(runs):
        table.add_section()
        table.caption = "guessing: always the commonest class (top-5: the five commonest) of the validation images"
    for one in guesses:
        top1, top5 = (_shown(100 * guess, 1) for guess in (one.top1, one.top5))
        table.add_row("guessing", one.data if len(guesses) > 1 else "-", *["-"] * 3, top1, top5, *["-"] * 5, "")
    return table


def _cells(run: object) -> list[str]:
    row = run._asdict()  # type: ignore[attr-defined]
    if row["state"] == "unreadable":
        return [row["run"], *["-"] * 11, row["state"]]
    shares = [_shown(100 * row[name], 1) for name in ("top1", "top5", "best_top1")]
    numbers = [_shown(row[name], 3) for name in ("margin_correct", "margin_incorrect", "calibration_error")]
    minutes = _shown((row["seconds_train"] + row["seconds_val"]) / 60, 1)
    images = f"{row['images']:,}" + ("" if pd.isna(row["drawn_groups"]) else f" of {row['drawn_groups']:,} groups")
    known = [row["model"], row["recipe"], f"{100 * row['fraction']:g} %", images, str(row["seed"])]
    partial = row["state"] in ("running", "failed")
    state = f"{row['state']} at {row['budget_epoch']}/{row['epochs']}" if partial else row["state"]
    return [*known, *shares, *numbers, minutes, state]


def _shown(value: float, digits: int) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}"
