"""Names what a study's accuracies are, in words and figures.

Within datavol every metric is an accuracy, a share of which more is better: one that is better when lower counts as 1
less its value, and turns back into that wherever people read it.
"""

from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from datavol.cli.text import per_cent

Number = TypeVar("Number", float, pd.Series)


@dataclass(frozen=True)
class Measure:
    """Describes a metric."""

    name: str  # in a sentence, such as `accuracy` or `mAP`
    title: str  # in figures and tables
    lower: bool = False  # whether lower values are better
    counted: bool = True  # whether it is a share of test images, whose number says how uncertain it is

    def value(self, accuracy: Number) -> Number:
        """Turn accuracies into the metric's values, or back."""
        return 1 - accuracy if self.lower else accuracy

    def written(self, accuracy: float) -> str:
        """Write an accuracy as the metric's value: `90 %`."""
        return per_cent(self.value(accuracy))

    def edges(self, low: float, high: float) -> tuple[float, float]:
        """Turn an interval of accuracies into one of values, low first."""
        return (1 - high, 1 - low) if self.lower else (low, high)

    def of(self, accuracy: float) -> str:
        """Write `an accuracy of 90 %`."""
        article = "an" if self.name in VOWELS else "a"
        return f"{article} {self.name} of {self.written(accuracy)}"

    def bought(self, points: str) -> str:
        """Write a gain in points, as in `buy 1.2 points of accuracy`."""
        return f"take {points} off the {self.name}" if self.lower else f"buy {points} of {self.name}"


VOWELS = ("accuracy", "error", "AUROC", "F1", "IoU", "mAP", "mAP50")
"""Names that are spoken with a vowel first."""

TOP1 = Measure("accuracy", "top-1")
"""What every study of datavol's own runs measures."""
