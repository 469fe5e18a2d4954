"""Finds the classes to label first, and those that have enough."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.load.kept import kept_predictions
from datavol.study.questions.answers import Answer
from datavol.study.questions.chance import largest_of
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.starved_classes import StarvedClasses
from datavol.study.report.screen.contents import Classes, ClassImages
from datavol.study.report.screen.rows import result_of
from datavol.study.report.screen.sentences import chance_of_gain
from datavol.study.tables.confidence import class_accuracies, class_names

FEW = 3  # classes that are named
HELPED = 0.3  # probability that more images help, below which none are asked for
COMMON = 0.6  # share of a difference's test-set noise that runs have in common, where it was not measured


def classes(curve: CurveRuns, answered: Sequence[Answer], delta: float) -> Classes | None:
    """Choose the few classes to name; None where no predictions were kept."""
    found = result_of(answered, StarvedClasses)
    table = _accuracies(curve) if found is None else found.classes
    if table is None:
        return None
    named = _Named.of(curve)
    if found is None:
        weakest = [named(row) for _, row in table.nsmallest(FEW, "after").iterrows()]
        why = "which of them more images would help is not known: that takes a run on about half as many"
        return Classes((), (), tuple(weakest), why, len(table))
    gaining = table[table["gains"]]
    first = gaining[gaining["starved"]] if gaining["starved"].any() else gaining
    enough = table[_enough(table, delta)]
    twice = result_of(answered, Doubling)
    step = f"from {found.smaller * curve.full_size:,.0f} to {found.larger * curve.full_size:,.0f} images"
    why = f"gains are those {step}" if len(first) else f"no class gained measurably {step}"
    return Classes(
        tuple(named(row) for _, row in first.nlargest(FEW, "gain").iterrows()),
        tuple(named(row) for _, row in enough.nlargest(FEW, "after").iterrows()),
        () if len(first) else tuple(named(row) for _, row in table.nsmallest(FEW, "after").iterrows()),
        why,
        len(table),
        "If anything, label first" if twice is not None and chance_of_gain(twice, delta) < HELPED else "Label first",
    )


def _enough(table: pd.DataFrame, delta: float) -> pd.Series:
    """Flag classes whose gain is small for all that their images tell."""
    share = (table["after"] * table["count"] + 1) / (table["count"] + 2)  # a class without errors varies too
    error = np.sqrt(2 * share * (1 - share) / table["count"] * (1 - COMMON))  # standard error of a gain
    return ~table["gains"] & (table["after"] >= table["after"].median()) & (table["gain"] + 2 * error <= 2 * delta)


def _accuracies(curve: CurveRuns) -> pd.DataFrame | None:
    """Average accuracies of classes over the runs of the largest size."""
    folders = [folder for folder in largest_of(curve)["folder"] if isinstance(folder, str)]
    kept = [one for folder in folders if (one := kept_predictions(folder)) is not None]
    if not kept:
        return None
    means = pd.concat([class_accuracies(one) for one in kept]).groupby("class")["accuracy"].mean()
    return means.rename("after").reset_index().assign(gain=np.nan)


class _Named:
    """Names classes, and counts their training images."""

    def __init__(self, names: Sequence[str] | None, images: np.ndarray | None) -> None:
        self.names, self.images = names, images

    @classmethod
    def of(cls, curve: CurveRuns) -> "_Named":
        largest = largest_of(curve).iloc[0]
        try:
            images = RunFolder(Path(largest["folder"])).images_per_class
        except (ConfigError, OSError, KeyError):
            images = None  # a damaged manifest costs the numbers alone
        return cls(class_names(curve.runs), images)

    def __call__(self, row: pd.Series) -> ClassImages:
        number = int(row["class"])
        name = self.names[number] if self.names is not None and number < len(self.names) else f"class {number}"
        images = int(self.images[number]) if self.images is not None and number < len(self.images) else None
        gain = None if pd.isna(row["gain"]) else float(row["gain"])
        return ClassImages(name, images, float(row["after"]), gain)
