"""The numbers that the thesis prints, to be laid over a study's own: nothing here is read off a curve.

Of accuracies it prints those of the full training set alone (its tables 3 to 5).
"""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

ACCURACIES = ["val/top1", "val/top5"]


def thesis_numbers() -> pd.DataFrame:
    """Every number, one per row.

    Columns: `where` (table, figure or section); `model`; `subject` (`run`: what was trained, `planned`: what was not,
    or not so, `pytorch`: the published weights that it compares with, or which subset); `fraction` (share); `epochs`
    (passes over the subset, as the thesis counts them; NA where it names none); `quantity`, `value`, `unit` (`share`,
    `s`, `passes`, `images`, `classes`); `approximate` (true where the text rounds it: "approximately 52 minutes").
    """
    with files(__package__).joinpath("thesis_numbers.csv").open() as file:
        numbers = pd.read_csv(file, dtype={"epochs": "Int64"})
    return numbers.assign(approximate=numbers["approximate"] == "yes")


def thesis_accuracies() -> pd.DataFrame:
    """The accuracies, one row per network, length and subject: points to lay over a learning curve of ImageNet.

    Columns: `where`, `model`, `subject`, `fraction`, `epochs`, and as shares `top1`, `top5`.
    """
    numbers = thesis_numbers()
    numbers = numbers[numbers["quantity"].isin(ACCURACIES)]
    keys = ["where", "model", "subject", "fraction", "epochs"]
    wide = numbers.set_index([*keys, "quantity"])["value"].unstack().reset_index()
    return wide.rename(columns={name: name.removeprefix("val/") for name in ACCURACIES}).rename_axis(columns=None)
