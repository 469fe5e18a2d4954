"""Counts which classes are mistaken for which, from kept predictions.

mistakes = confusions(study.runs)
"""

import numpy as np
import pandas as pd

from datavol.runs.predictions import Predictions
from datavol.study.load.labels import labelled
from datavol.study.tables.confidence import over_runs


def confusions(runs: pd.DataFrame) -> pd.DataFrame:
    """Count what the runs of each curve's largest fraction say of each class.

    Args:
        runs: `Study.runs`.

    Returns:
        A row per curve, class and answer that occurs: `label`, `fraction`, `runs`, `class` and `predicted` (numbers),
        `images` and `share` (of the class's images), both means over runs.

    Raises:
        ConfigError: If no finished run kept its predictions.
    """
    curves = labelled(runs)
    largest = curves[curves["fraction"] == curves.groupby("label")["fraction"].transform("max")]
    counts = over_runs(largest.drop(columns="label"), count_answers)
    number = counts.groupby("label")["run"].nunique()
    keys = ["label", "fraction", "class", "predicted"]
    counts = counts.groupby(keys).agg(images=("images", "sum")).reset_index()
    counts["runs"] = counts["label"].map(number)
    counts["images"] = counts["images"] / counts["runs"]
    of_class = counts.groupby(["label", "class"])["images"].transform("sum")
    return counts.assign(share=counts["images"] / of_class)


def count_answers(predictions: Predictions) -> pd.DataFrame:
    """Count each pair of a class and an answer: `class`, `predicted`, `images`."""
    pairs, images = np.unique(np.stack([predictions.labels, predictions.classes[:, 0]]), axis=1, return_counts=True)
    return pd.DataFrame({"class": pairs[0], "predicted": pairs[1], "images": images})


def most_confused(counts: pd.DataFrame, most: int) -> pd.DataFrame:
    """Select the most frequent mistakes of `confusions` of one curve.

    By images, so that a class of three does not come first for one of them.
    """
    wrong = counts[counts["class"] != counts["predicted"]]
    return wrong.sort_values(["images", "share"], ascending=False, kind="stable").head(most)
