"""Finds the fraction from which on each validation image is recognised.

    images = learned_images(study.runs)
    images.query("fate == 'learned' and fraction == 1")     # those that only the full set taught

An image is *recognised* at a fraction where more than half of its runs rank the image's class first: of two runs both,
of three two. It is *learned* from the smallest fraction at which, and at all larger ones, it is recognised; *forgotten*
if it is recognised at some fraction but not at the largest; and *never* learned if at none. Each image has one fate.

One run more or less can change an image's fate. The number of forgotten images, which change against the direction of
learning, measures that noise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datavol.cli.text import per_cent
from datavol.errors import ConfigError
from datavol.runs.predictions import Predictions
from datavol.study.load.folds import parts_of
from datavol.study.load.kept import kept_predictions, no_predictions
from datavol.study.load.labels import comparable_labels
from datavol.study.load.run_data import source_of
from datavol.study.load.study import finished_of

MAJORITY = 0.5
RIGHT = "right_"  # prefix of the columns with shares of right runs, such as `right_0.05`
FATE_COLUMNS = ["label", "image", "class", "fate", "fraction"]
LEARNED, FORGOTTEN, NEVER = "learned", "forgotten", "never"


def learned_images(runs: pd.DataFrame, agreement: float = MAJORITY) -> pd.DataFrame:
    """Determine the fate of every validation image along every curve.

    Args:
        runs: `Study.runs`; those without saved predictions are skipped.
        agreement: An image is recognised where more than this share of a fraction's runs are right; 0.99 asks all.

    Returns:
        A row per curve and image: `label` (of the curve), `image` (position in the validation set), `class` (number),
        `fate` (`learned`, `forgotten` or `never`), `fraction` (from which it is learned, else NaN), and for every
        fraction the share of its runs that are right, such as `right_0.05` (NaN where a curve has none). Curves of
        fewer than two fractions have no rows.

    Raises:
        ConfigError: If `agreement` is no share below 1, no curve has two fractions with predictions, or the runs of a
            curve were evaluated on different images.
    """
    if not 0 <= agreement < 1:
        raise ConfigError(f"agreement must be a share of at least 0 and below 1, got {agreement:g}; try 0.5")
    finished = finished_of(runs)
    curves = finished.groupby(comparable_labels(finished))
    frames = [_fates(str(label), curve, agreement) for label, curve in curves]
    known = [frame for frame in frames if frame is not None]
    if not known:
        raise ConfigError(
            "images that larger subsets learn must be asked of finished runs at two fractions or more that kept their "
            f"predictions, {no_predictions(finished)}"
        )
    images = pd.concat(known, ignore_index=True)
    return images[[*FATE_COLUMNS, *(f"{RIGHT}{fraction}" for fraction in fractions_in(images))]]


def _fates(label: str, curve: pd.DataFrame, agreement: float) -> pd.DataFrame | None:
    fractions, shares, labels = _shares_right(label, curve)
    if len(fractions) < 2:
        return None
    recognised = shares > agreement  # (fractions, images)
    start = learned_from(recognised)  # (images,), an index into the fractions, or one past the last
    fate = np.select([start < len(fractions), recognised.any(axis=0)], [LEARNED, FORGOTTEN], NEVER)
    return pd.DataFrame(
        {
            "label": label,
            "image": np.arange(len(labels)),
            "class": labels,
            "fate": fate,
            "fraction": np.append(fractions, np.nan)[start],
            **{f"{RIGHT}{fraction}": share for fraction, share in zip(fractions, shares, strict=True)},
        }
    )


def _shares_right(label: str, curve: pd.DataFrame) -> tuple[list[float], NDArray[np.float64], NDArray[np.int64]]:
    """Return fractions, shares of right runs (fractions, images), and true classes (images,)."""
    kept: dict[float, list[Predictions]] = {}
    for fraction, folder in zip(curve["fraction"], curve["folder"], strict=True):
        if (predictions := kept_predictions(folder)) is not None:
            kept.setdefault(float(fraction), []).append(predictions)
    of_all = [predictions.labels for one in kept.values() for predictions in one]
    if any(not np.array_equal(labels, of_all[0]) for labels in of_all):  # images have no names here: compare classes
        raise ConfigError(
            f"the runs of a curve must be evaluated on the same images, got others among those of {label}; "
            "select by runs['fingerprint']"
        )
    fractions = sorted(kept)
    right = [np.mean([one.classes[:, 0] == one.labels for one in kept[fraction]], axis=0) for fraction in fractions]
    return fractions, np.array(right), of_all[0] if of_all else np.empty(0, dtype=np.int64)


def learned_from(recognised: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the first fraction from which on each image is always recognised.

    Args:
        recognised: Shape (fractions, images), the smallest fraction first.

    Returns:
        Indices of fractions, shape (images,); their number where the largest does not recognise the image.
    """
    # From the largest fraction down, count the unbroken series of recognised ones.
    lasting = np.logical_and.accumulate(recognised[::-1], axis=0).sum(axis=0)
    first: NDArray[np.int64] = len(recognised) - lasting
    return first


def fractions_in(images: pd.DataFrame) -> list[float]:
    """List the measured fractions of `learned_images`, the smallest first."""
    shares = images.drop(columns=FATE_COLUMNS).dropna(axis=1, how="all")
    return sorted(float(name.removeprefix(RIGHT)) for name in shares)


def fate_counts(images: pd.DataFrame) -> pd.DataFrame:
    """Count images by class and fate.

    Args:
        images: `learned_images(runs)`.

    Returns:
        A row per curve and class (index `label`, `class`); a column per fraction from which images are learned, the
        smallest first (NA where a curve was not measured), then `forgotten` and `never`.
    """
    counts = pd.concat([_counts(curve) for _, curve in images.groupby("label")])
    return counts[[*fractions_in(images), FORGOTTEN, NEVER]].astype("Int64")


def _counts(curve: pd.DataFrame) -> pd.DataFrame:
    fates: dict[float | str, pd.Series] = {value: curve["fraction"] == value for value in fractions_in(curve)}
    fates |= {fate: curve["fate"] == fate for fate in (FORGOTTEN, NEVER)}
    # Booleans (images, fates), one true per image, summed over the images of each class.
    return pd.concat(fates, axis=1).groupby([curve["label"], curve["class"]]).sum()


def learned_table(images: pd.DataFrame, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Format `fate_counts` for people, with totals above the classes.

    Args:
        images: `learned_images(runs)`.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Columns: `network` (or the curve's name), `class` (`all` first), `images`, and of them those `from 5 %` and so
        on, `forgotten` and `never`.
    """
    counts = fate_counts(images)
    whole = counts.groupby("label").sum(min_count=1)  # NA, not 0, where a curve was not measured
    whole.index = pd.MultiIndex.from_product([whole.index, ["all"]], names=["label", "class"])
    labels = images["label"].unique()
    table = pd.concat([part for label in labels for part in (whole.loc[[label]], counts.loc[[label]])])
    table.insert(0, "images", table.sum(axis=1))
    headings = {name: f"from {per_cent(name, 6)}" for name in table if isinstance(name, float)}
    table = table.rename(columns=headings).rename_axis(["network", "class"]).reset_index()
    classes = [name if name == "all" or names is None else names[name] for name in table["class"]]
    return table.assign(**{"class": [str(name) for name in classes]})


def validation_keys(folder: Path | str) -> list[str]:
    """List the keys of a run's validation images by position.

    A key is a relative path (files) or an index (arrays).

    Raises:
        ConfigError: If the run's data have been moved or changed.
    """
    splits = [source_of(part).val for part in parts_of(folder)]
    return [split.key(position) for split in splits for position in range(len(split.labels))]
