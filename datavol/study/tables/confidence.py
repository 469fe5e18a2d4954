"""Tabulates confidence against correctness from saved predictions.

    bins = over_runs(study.runs, reliability_bins)

Each function takes the `Predictions` of one evaluation; `over_runs` stacks its frames of a study's runs. All values are
shares in [0, 1].
"""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from sklearn.metrics import recall_score

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions
from datavol.study.load.kept import kept_predictions, no_predictions
from datavol.study.load.labels import labelled

BINS = 15  # as for `val/calibration_error`


def over_runs(
    runs: pd.DataFrame, what: Callable[[Predictions], pd.DataFrame], evaluation: str = "last"
) -> pd.DataFrame:
    """Apply a function to every finished run's predictions and stack the results.

    Args:
        runs: `Study.runs`.
        what: A function of this module, such as `margins`.
        evaluation: `last`, or another saved one, such as `budget_epoch_0007`.

    Returns:
        Its rows, after the columns `label`, `model`, `fraction`, `seed` and `run` (the folder's name).

    Raises:
        ConfigError: If no finished run kept the predictions of that evaluation.
    """
    frames = []
    for run in labelled(runs).itertuples():
        predictions = kept_predictions(cast(str, run.folder), evaluation)
        if predictions is not None:
            keys = {"label": run.label, "model": run.model, "fraction": run.fraction, "seed": run.seed, "run": run.run}
            frame = what(predictions)
            frames.append(pd.concat([pd.DataFrame(keys, index=frame.index), frame], axis=1))
    if not frames:
        raise ConfigError(f"runs must hold one that kept its predictions ({evaluation}), {no_predictions(runs)}")
    return pd.concat(frames, ignore_index=True)


def margins(predictions: Predictions) -> pd.DataFrame:
    """Compute margins (C1 - C2) / C1 per image (thesis equation 11).

    Returns:
        A row per image: `correct` (bool), `margin`.
    """
    first, second = predictions.log_probabilities[:, :2].astype(float).T
    # 1 - C2 / C1 from logarithms: expm1 keeps small margins exact, where C1 and C2 almost cancel.
    return pd.DataFrame({"correct": _correct(predictions), "margin": -np.expm1(second - first)})


def reliability_bins(predictions: Predictions, bins: int = BINS) -> pd.DataFrame:
    """Compute accuracy and confidence in bins of equal width.

    Bin b holds confidences in (b / bins, (b + 1) / bins].

    Returns:
        A row per bin that holds an image: `bin`, `images`, and means `confidence` and `accuracy`. The calibration error
        is the mean of |accuracy - confidence|, weighted by `images`.
    """
    confidence = _confidence(predictions)
    # Rounding up makes the upper edge belong to the bin; the clip puts a confidence of exactly 0 into the first.
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    images = pd.DataFrame({"bin": numbers, "confidence": confidence, "accuracy": _correct(predictions)})
    return (
        images.groupby("bin")
        .agg(images=("confidence", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean"))
        .reset_index()
    )


def risk_coverage(predictions: Predictions, steps: int = 100) -> pd.DataFrame:
    """Compute the error of the most confident predictions by coverage.

    Images of equal confidence have no order among each other: each counts with their mean error.

    Returns:
        A row per step: `coverage` (share of the images kept, the most confident ones), `error` among them.
    """
    wrong = pd.Series(~_correct(predictions), dtype=float)
    confidence = _confidence(predictions)
    order = np.argsort(-confidence, kind="stable")
    errors = wrong.groupby(confidence).transform("mean").to_numpy()[order].cumsum()  # [k - 1]: among the first k
    kept = np.ceil(np.arange(1, steps + 1) / steps * len(wrong)).astype(int)
    return pd.DataFrame({"coverage": kept / len(wrong), "error": errors[kept - 1] / kept})


def class_accuracies(predictions: Predictions) -> pd.DataFrame:
    """Compute top-1 accuracy per class of the validation set.

    Returns:
        A row per class: `class` (number), `images`, `accuracy`.
    """
    classes, images = np.unique(predictions.labels, return_counts=True)
    # The accuracy among a class's own images is its recall.
    recall = recall_score(predictions.labels, predictions.classes[:, 0], labels=classes, average=None, zero_division=0)
    return pd.DataFrame({"class": classes, "images": images, "accuracy": recall})


def class_names(runs: pd.DataFrame) -> list[str] | None:
    """Read the classes' names by number; None for several data sets."""
    if runs["fingerprint"].nunique() > 1 or runs["folder"].isna().any():  # or from elsewhere
        return None
    names: list[str] = RunFolder(Path(runs["folder"].iloc[0])).record["classes"]
    return names


def _correct(predictions: Predictions) -> np.ndarray:
    return predictions.classes[:, 0] == predictions.labels


def _confidence(predictions: Predictions) -> np.ndarray:
    return np.exp(predictions.log_probabilities[:, 0].astype(float)).clip(max=1.0)  # rounding can pass 1
