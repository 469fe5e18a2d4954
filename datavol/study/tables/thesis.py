"""Reads the thesis's printed numbers; none is read off a curve.

It prints accuracies of the full training set alone (tables 3 to 5).
"""

from importlib.resources import files

import pandas as pd

ACCURACY_QUANTITIES = {"val/top1": "top1", "val/top5": "top5"}


def thesis_numbers() -> pd.DataFrame:
    """Read every number, one per row.

    Columns: `where` (table, figure or section); `model`; `subject` (`run`: what was trained, `planned`: what was not,
    or not so, `pytorch`: the published weights that it compares with, or which subset); `fraction` (share); `epochs`
    (passes over the subset, as the thesis counts them; NA where it names none); `quantity`, `value`, `unit` (`share`,
    `s`, `passes`, `images`, `classes`); `approximate` (true where the text rounds it: "approximately 52 minutes").
    """
    with files(__package__).joinpath("thesis_numbers.csv").open(encoding="utf-8") as file:
        numbers = pd.read_csv(file, dtype={"epochs": "Int64"})
    return numbers.assign(approximate=numbers["approximate"] == "yes")


def thesis_accuracies() -> pd.DataFrame:
    """Pivot the accuracies: one row per network, length and subject.

    Columns: `where`, `model`, `subject`, `fraction`, `epochs`, and as shares `top1`, `top5`.
    """
    numbers = thesis_numbers()
    numbers = numbers[numbers["quantity"].isin(ACCURACY_QUANTITIES)]
    keys = ["where", "model", "subject", "fraction", "epochs"]
    wide = numbers.set_index([*keys, "quantity"])["value"].unstack().reset_index()
    return wide.rename(columns=ACCURACY_QUANTITIES).rename_axis(columns=None)
