"""Tells differences on test images from chance.

All runs of a study see the same test images: what these add to two accuracies is mostly the same, so that differences
are tested image by image where predictions were kept.
"""

import numpy as np
import pandas as pd
from scipy.stats import binom, binomtest, norm

from datavol.runs.predictions import Predictions
from datavol.study.curves.grouped_noise import Groups, p_of_signs, standard_error, sums_by_group
from datavol.study.questions.common_mistakes import kept_of, right_images
from datavol.study.questions.curve_runs import RANKS, CurveRuns, Metric


def largest_of(curve: CurveRuns) -> pd.DataFrame:
    """Select the runs of the largest fraction."""
    return curve.runs[curve.runs["images"] == curve.runs["images"].max()]


def p_of_guessing(curve: CurveRuns) -> float:
    """Test whether the largest fraction's runs are better than a constant guess.

    Each run is tested by itself, and the median of the one-sided p values counts (the upper one of two): runs see the
    same images, so that their sum would count an image once for every run.

    Returns:
        How probable an accuracy as high is by chance, for a network that is no better than the guess.
    """
    tests = [_p_of_run(run, curve) for _, run in largest_of(curve).iterrows()]
    return sorted(tests)[len(tests) // 2]


def _p_of_run(run: pd.Series, curve: CurveRuns) -> float:
    if (kept := kept_of(run)) is not None:
        right, guessed = right_images(kept, RANKS[curve.metric]), guessed_right(kept, curve.metric)
        return p_of_pairs(right, guessed, kept.groups)
    accuracy, guess = 1 - run["error"], 1 - curve.chance_error
    if pd.isna(run["validation_images"]):
        return float(accuracy <= guess)  # without a number of images nothing can be tested
    images = round(min(run["validation_images"], curve.test_size or np.inf))
    return float(binomtest(round(accuracy * images), images, guess, alternative="greater").pvalue)


def p_of_pairs(right: np.ndarray, guessed: np.ndarray, groups: Groups | None = None) -> float:
    """Compute McNemar's exact one-sided p of being right more often.

    Both arrays tell image by image whether an answer is right (images,). Images in groups are not independent: then
    each group's difference has either sign with probability 1/2.
    """
    if groups is not None:
        return p_of_signs(sums_by_group(right.astype(int) - guessed, groups))
    # Images on which both are right or both wrong tell nothing. Of the others, if the two were equally good, either
    # would be right on an image with probability 1/2
    better, worse = int((right & ~guessed).sum()), int((guessed & ~right).sum())
    return float(binom.sf(better - 1, better + worse, 0.5))


def guessed_right(kept: Predictions, metric: Metric) -> np.ndarray:
    """Flag the images that guessing the commonest class gets right.

    Top-5 accuracy guesses the five commonest. Returns a flag per image (images,).
    """
    classes = 1 + int(max(kept.labels.max(), kept.classes.max()))
    counts, named = (np.bincount(of, minlength=classes) for of in (kept.labels, kept.classes[:, 0]))
    # Of equally common classes the guess takes what the network itself names most: a network that always names one
    # class is then that guess, and no better
    commonest = np.lexsort((-named, -counts))[: RANKS[metric]]
    return np.isin(kept.labels, commonest)


def shown_difference(curve: CurveRuns, level: float) -> float:
    """Compute the least difference that test images tell from chance.

    It is a difference of two fractions: from the largest two where their predictions were kept, else from the number of
    test images. `level` is 1 minus the probability of taking chance for a difference, in a two-sided test.
    """
    sizes = np.unique(curve.runs["images"].to_numpy())[-2:]
    runs = [[kept_of(run) for _, run in curve.runs[curve.runs["images"] == size].iterrows()] for size in sizes]
    every = [kept for of_size in runs for kept in of_size if kept is not None]
    alike = all(np.array_equal(kept.labels, every[0].labels) for kept in every)
    factor = float(norm.ppf((1 + level) / 2))
    # Whether runs are right, averaged over the runs of a fraction (images,), for the smaller and the larger one
    means = [
        np.mean([right_images(kept, RANKS[curve.metric]) for kept in of_size if kept is not None], axis=0)
        for of_size in runs
        if any(kept is not None for kept in of_size)
    ]
    if len(means) == 2 and alike:
        # For single runs this is McNemar's: the root of (b + c - (b - c)^2 / n) / n, where b and c of n images are
        # discordant. Where none is, the next image might be
        images, groups = len(means[0]), every[0].groups
        if groups is not None:
            return factor * max(standard_error(means[1] - means[0], groups), 1 / len(np.unique(groups)))
        return factor * max(float(np.std(means[1] - means[0])) / images**0.5, 1 / images)
    return factor * _binomial_difference(curve)


def _binomial_difference(curve: CurveRuns) -> float:
    """Compute a difference's standard error from the number of images.

    The difference is that of two runs' accuracies.

    Returns:
        0 where the number is not known.
    """
    if (images := curve.test_size) is None:
        return 0.0
    error = (largest_of(curve)["error"].mean() * images + 1) / (
        images + 2
    )  # without a single error there is chance too
    return float((2 * error * (1 - error) / images * (1 - (curve.shared_noise or 0))) ** 0.5)


def rise_at_the_end(curve: CurveRuns, epochs: pd.DataFrame) -> pd.Series:
    """Compute how much accuracy rose over the last quarter of training.

    The last evaluation less the mean of those in the quarter before it, averaged over the runs of each fraction. Under
    a schedule that anneals to zero the last rows are flat, and the mean still sees what the quarter brought.

    Args:
        curve: The curve.
        epochs: `Study.epochs`.

    Returns:
        By fraction, shares; fractions without two evaluations are left out.
    """
    if epochs.empty or (name := f"val/{curve.metric}") not in epochs:
        return pd.Series(dtype=float)
    rows = epochs[epochs["run"].isin(curve.runs.index)].sort_values("iteration").groupby("run")[name]
    rises = rows.apply(lambda values: _rise(values.dropna().to_numpy()))
    return rises.groupby(curve.runs["fraction"].reindex(rises.index).to_numpy()).mean().dropna()


def _rise(values: np.ndarray) -> float:
    """Subtract the mean of the quarter before the last from the last."""
    if len(values) < 2:
        return float("nan")
    quarter = max(1, round(len(values) / 4))
    return float(values[-1] - values[-1 - quarter : -1].mean())
