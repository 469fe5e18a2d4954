"""Which images only larger subsets learn: of every validation image, the fraction from which on it is recognised.

    images = learned_images(study.runs)
    images.query("fate == 'learned' and fraction == 1")     # those that took everything

An image is *recognised* at a fraction where more than half of the runs there rank its class first: of two runs both, of
three two. It is *learned* from the smallest fraction at which, and at all larger ones, it is recognised; *forgotten* if
it is recognised at some fraction but not at the largest; and *never* learned if at none. Each image has one fate.

One run more or less can change the fate of an image, so fates are as good as the runs are many. The forgotten are a
measure of it: they change as chance or harm would have it, against the direction of learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datavol.cli.text import per_cent
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions
from datavol.study.load.labels import comparable_labels
from datavol.study.load.run_data import source_of
from datavol.study.load.study import finished_of

MAJORITY = 0.5
RIGHT = "right_"
COLUMNS = ["label", "image", "class", "fate", "fraction"]
LEARNED, FORGOTTEN, NEVER = "learned", "forgotten", "never"


def learned_images(runs: pd.DataFrame, agreement: float = MAJORITY) -> pd.DataFrame:
    """The fate of every validation image along every curve; runs that kept no predictions are passed over.

    Args:
        runs: As `load_study` gives them.
        agreement: An image is recognised where more than this share of the runs at a fraction say so; 0.99 asks all.

    Returns:
        A row per curve and image: `label` (of the curve), `image` (place in the validation set, from 0), `class`
        (number), `fate` (`learned`, `forgotten` or `never`), `fraction` (from which it is learned, else NaN), and for
        every fraction the share of its runs that are right, such as `right_0.05` (NaN where a curve has none). Curves
        of fewer than two fractions have no rows.

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
            "predictions, got none; train with predictions=last"
        )
    images = pd.concat(known, ignore_index=True)
    return images[[*COLUMNS, *(f"{RIGHT}{fraction}" for fraction in fractions_in(images))]]


def _fates(label: str, curve: pd.DataFrame, agreement: float) -> pd.DataFrame | None:
    fractions, shares, labels = _shares_right(label, curve)
    if len(fractions) < 2:
        return None
    recognised = shares > agreement
    place = learned_from(recognised)
    learned = place < len(fractions)
    fate = np.select([learned, recognised.any(axis=0)], [LEARNED, FORGOTTEN], NEVER)
    return pd.DataFrame(
        {
            "label": label,
            "image": np.arange(len(labels)),
            "class": labels,
            "fate": fate,
            "fraction": np.append(fractions, np.nan)[place],
            **{f"{RIGHT}{fraction}": share for fraction, share in zip(fractions, shares, strict=True)},
        }
    )


def _shares_right(label: str, curve: pd.DataFrame) -> tuple[list[float], NDArray[np.float64], NDArray[np.int64]]:
    """The fractions, the share of their runs that are right (fractions, images), and the classes of the images."""
    kept: dict[float, list[Predictions]] = {}
    for fraction, folder in zip(curve["fraction"], curve["folder"], strict=True):
        if (predictions := RunFolder(Path(folder)).predictions()) is not None:
            kept.setdefault(float(fraction), []).append(predictions)
    of_all = [predictions.labels for one in kept.values() for predictions in one]
    if any(not np.array_equal(labels, of_all[0]) for labels in of_all):
        raise ConfigError(
            f"the runs of a curve must be evaluated on the same images, got others among those of {label}; "
            "select by runs['fingerprint']"
        )
    fractions = sorted(kept)
    right = [np.mean([one.classes[:, 0] == one.labels for one in kept[fraction]], axis=0) for fraction in fractions]
    return fractions, np.array(right), of_all[0] if of_all else np.empty(0, dtype=np.int64)


def learned_from(recognised: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place of the fraction from which on every image is recognised.

    Args:
        recognised: Whether it is, shape (fractions, images), the smallest fraction first.

    Returns:
        Places from 0, shape (images,); the number of fractions where the largest does not recognise the image.
    """
    lasting = np.logical_and.accumulate(recognised[::-1], axis=0).sum(axis=0)
    places: NDArray[np.int64] = len(recognised) - lasting
    return places


def fractions_in(images: pd.DataFrame) -> list[float]:
    """The fractions that curves were measured at, the smallest first; `images` as `learned_images` gives them."""
    shares = images.drop(columns=COLUMNS).dropna(axis=1, how="all")
    return sorted(float(name.removeprefix(RIGHT)) for name in shares)


def fate_counts(images: pd.DataFrame) -> pd.DataFrame:
    """How many images of each class have which fate.

    Args:
        images: As `learned_images` gives them.

    Returns:
        A row per curve and class (index `label`, `class`); a column per fraction from which images are learned, the
        smallest first (NA where a curve was not measured), then `forgotten` and `never`.
    """
    counts = pd.concat([_counts(curve) for _, curve in images.groupby("label")])
    return counts[[*fractions_in(images), FORGOTTEN, NEVER]].astype("Int64")


def _counts(curve: pd.DataFrame) -> pd.DataFrame:
    keys = [curve["label"], curve["class"]]
    fates = [curve["fraction"] == fraction for fraction in fractions_in(curve)]
    fates += [curve["fate"] == fate for fate in (FORGOTTEN, NEVER)]
    names = [*fractions_in(curve), FORGOTTEN, NEVER]
    return pd.concat(fates, axis=1, keys=names).groupby(keys).sum()


def learned_table(images: pd.DataFrame, names: Sequence[str] | None = None) -> pd.DataFrame:
    """`fate_counts` for people, and the whole above the classes.

    Args:
        images: As `learned_images` gives them.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Columns: `network` (or the curve's name), `class` (`all` first), `images`, and of them those `from 5 %` and so
        on, `forgotten` and `never`.
    """
    counts = fate_counts(images)
    whole = counts.groupby("label").sum(min_count=1)
    whole.index = pd.MultiIndex.from_product([whole.index, ["all"]], names=["label", "class"])
    labels = images["label"].unique()
    table = pd.concat([part for label in labels for part in (whole.loc[[label]], counts.loc[[label]])])
    table.insert(0, "images", table.sum(axis=1))
    told = {name: f"from {per_cent(name, 6)}" for name in table if isinstance(name, float)}
    table = table.rename(columns=told).rename_axis(["network", "class"]).reset_index()
    classes = [name if name == "all" or names is None else names[name] for name in table["class"]]
    return table.assign(**{"class": [str(name) for name in classes]})


def validation_keys(folder: Path | str) -> list[str]:
    """The name of every validation image of a run, by its place: a relative path (files) or an index (arrays).

    Raises:
        ConfigError: If the data are not where the run found them, or have changed since.
    """
    split = source_of(folder).val
    return [split.key(place) for place in range(len(split.labels))]
