"""Tables of a study: frames that figures draw and terminals print."""

from __future__ import annotations

import pandas as pd
from rich.table import Table
from scipy.stats import binomtest

from datavol.study.loading import finished_of

LEVEL = 0.95


def learning_curve_points(runs: pd.DataFrame) -> pd.DataFrame:
    """Finished runs as points of a learning curve.

    Columns: `label` (network, and recipe or data where they differ within the frame), `images`, `fraction`, and in per
    cent `accuracy` (top-1 of the last evaluation) with `low` and `high`, its 95 % Wilson interval: what a validation
    set of this size leaves open. It does not hold what another subset or seed would change.
    """
    finished = finished_of(runs)
    varied = ["model"] + [name for name in ("data", "recipe", "budget", "draw") if finished[name].nunique() > 1]
    points = pd.DataFrame(
        {
            "label": finished[varied].agg(", ".join, axis=1) if len(finished) else [],
            "images": finished["images"],
            "fraction": finished["fraction"],
            "accuracy": 100 * finished["top1"],
        }
    )
    intervals = [_wilson(top1, n) for top1, n in zip(finished["top1"], finished["validation_images"], strict=True)]
    points[["low", "high"]] = pd.DataFrame(intervals, index=points.index, columns=["low", "high"])
    return points.reset_index(drop=True)


def _wilson(share: float, count: int) -> tuple[float, float]:
    interval = binomtest(round(share * count), count).proportion_ci(LEVEL, method="wilson")
    return 100 * interval.low, 100 * interval.high


def results_table(runs: pd.DataFrame) -> Table:
    """The runs of a study for a terminal, accuracies in per cent."""
    table = Table(title="last evaluation of every run (accuracies in %, margins and calibration error in [0, 1])")
    for name in ("network", "recipe", "fraction", "images", "seed"):
        table.add_column(name)
    for name in ("top-1", "top-5", "best top-1", "margin correct", "incorrect", "calibration", "minutes"):
        table.add_column(name, justify="right")
    table.add_column("state", no_wrap=True)
    for run in runs.itertuples():
        table.add_row(*_cells(run))
    return table


def _cells(run: object) -> list[str]:
    row = run._asdict()  # type: ignore[attr-defined]
    if row["state"] == "unreadable":
        return [row["run"], *["-"] * 11, row["state"]]
    shares = [_shown(100 * row[name], 1) for name in ("top1", "top5", "best_top1")]
    numbers = [_shown(row[name], 3) for name in ("margin_correct", "margin_incorrect", "calibration_error")]
    minutes = _shown((row["seconds_train"] + row["seconds_val"]) / 60, 1)
    known = [row["model"], row["recipe"], f"{100 * row['fraction']:g} %", f"{row['images']:,}", str(row["seed"])]
    partly = row["state"] in ("running", "failed")
    state = f"{row['state']} at {row['budget_epoch']}/{row['epochs']}" if partly else row["state"]
    return [*known, *shares, *numbers, minutes, state]


def _shown(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
