"""Finds the validation images that are mistaken with most confidence."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from datavol.errors import InsufficientData
from datavol.study.load.kept import no_predictions
from datavol.study.questions.chance import largest_of
from datavol.study.questions.common_mistakes import kept_of
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.label_errors import UNLIKELY, whole
from datavol.study.tables.confidence import class_names


@dataclass(frozen=True)
class ConfidentMistakes:
    """Stores a curve's surest mistakes.

    Attributes:
        curve: The curve's name.
        folder: Of one of the runs; all of them saw the same validation images.
        fraction: Of the runs, the largest.
        runs: How many were asked.
        validated: Images that they were validated on.
        mistakes: Of these, all that the runs together get wrong.
        images: A row per image, the surest first: `image` (its position), `label` and `said` (names of classes),
            `probability` (of what was said, the mean over runs), `suspect` (whether the label gets next to none and all
            runs agree).
    """

    curve: str
    folder: str
    fraction: float
    runs: int
    validated: int
    mistakes: int
    images: pd.DataFrame


def confident_mistakes(curve: CurveRuns, most: int) -> ConfidentMistakes:
    """Select the surest mistakes of the runs of a curve's largest fraction.

    Raises:
        InsufficientData: If no predictions were kept, or runs saw different images.
    """
    runs = largest_of(curve)
    read = [(run["folder"], kept_of(run)) for _, run in runs.iterrows()]
    asked = [(folder, kept) for folder, kept in read if kept is not None]
    if not asked:
        raise InsufficientData(f"cannot say which images are mistaken: {no_predictions(runs)}")
    folder, labels = asked[0][0], asked[0][1].labels
    if any(not np.array_equal(labels, kept.labels) for _, kept in asked):
        raise InsufficientData("cannot say which images are mistaken: runs were measured on different images")
    names = class_names(runs)
    classes = max(len(names or ()), 1 + int(max(labels.max(), *(kept.classes.max() for _, kept in asked))))
    probabilities = np.mean([whole(kept, classes) for _, kept in asked], axis=0)  # (images, classes)
    said, every = probabilities.argmax(axis=1), np.arange(len(labels))
    agreed = np.all([kept.classes[:, 0] == said for _, kept in asked], axis=0)
    wrong = np.flatnonzero(said != labels)
    first = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:most]
    words = names or [str(number) for number in range(classes)]
    table = pd.DataFrame(
        {
            "image": first,
            "label": [words[number] for number in labels[first].tolist()],
            "said": [words[number] for number in said[first].tolist()],
            "probability": probabilities[first, said[first]],
            "suspect": (agreed & (probabilities[every, labels] < UNLIKELY))[first],
        }
    )
    fraction = float(runs["fraction"].iloc[0])
    return ConfidentMistakes(curve.name, folder, fraction, len(asked), len(labels), len(wrong), table)
