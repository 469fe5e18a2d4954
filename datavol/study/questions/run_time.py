"""Predicts how long runs take, from the seconds that others recorded."""

import shlex
from itertools import product

import pandas as pd


def seconds_of_run(runs: pd.DataFrame, images: float) -> float | None:
    """Predict the seconds of a run on so many images.

    Training and evaluation together. None where no run recorded them.
    """
    seconds = runs["seconds_train"] + runs["seconds_val"]
    if seconds.isna().all() or not seconds.median() > 0:
        return None
    if runs["budget"].iloc[0] == "iterations":
        return float(seconds.median())  # all fractions take equally many iterations
    return float((seconds / runs["images"]).median() * images)  # equal epochs: proportional to the images


def runs_of_command(command: str, runs: pd.DataFrame) -> list[tuple[float, float]]:
    """List the runs that a command of `remedies` would train.

    Args:
        command: The command, which names fractions and seeds.
        runs: The finished runs of its curve, which it skips.

    Returns:
        Of each run the fraction, and how many times as long as those of the curve it is trained.
    """
    given = dict(word.partition("=")[::2] for word in shlex.split(command) if "=" in word)
    if not {"fraction", "seed"} <= set(given):
        return []
    fractions, seeds = ([float(value) for value in given[name].split(",")] for name in ("fraction", "seed"))
    folds = len(given["data.fold"].split(",")) if "data.fold" in given else 1
    epochs = float(given["epochs"]) if given.get("epochs", "").isdecimal() else None
    usual = float(runs["epochs"].max()) if runs["epochs"].notna().any() else None
    longer = epochs / usual if epochs and usual else 1.0
    done = set(zip(runs["fraction"].round(9), runs["seed"], strict=True)) if longer == 1 else set()
    new = [one for one in product(fractions, seeds) if (round(one[0], 9), one[1]) not in done]
    return [(fraction, longer) for fraction, _ in new for _ in range(folds)]


def hours_of_command(command: str, runs: pd.DataFrame, full_size: int) -> float | None:
    """Predict the hours that a command's runs take one after the other.

    None where no run recorded its seconds, or the command trains nothing new.
    """
    new = runs_of_command(command, runs)
    known = [one * longer for part, longer in new if (one := seconds_of_run(runs, part * full_size)) is not None]
    return sum(known) / 3600 if known else None
