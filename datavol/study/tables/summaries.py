"""Tabulates studies for people, the thesis's tables 1 to 6 among them.

Columns of numbers carry their unit. Accuracies are those of the last evaluation, in per cent; the best stands beside
them (`learning_curve_points`, which figures draw, has shares in [0, 1]). Missing values are NaN or NA.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from datavol.data.budget import ThesisUnits, thesis_units
from datavol.errors import ConfigError
from datavol.runs.guessing import GUESSING
from datavol.study.curves.grouped_noise import effective_images
from datavol.study.load.kept import kept_predictions
from datavol.study.load.labels import DRAWN, curve_labels, with_mean_images
from datavol.study.load.measure import TOP1, Measure
from datavol.study.load.study import UNUSED, finished_of
from datavol.study.tables.overlap import Of, overlap_matrix

LEVEL = 0.95
ACCURACY_COLUMNS = {"top1": "top-1 (%)", "top5": "top-5 (%)", "best_top1": "best top-1 (%)"}
CONFIDENCE_COLUMNS = {
    "margin_correct": "margin correct",
    "margin_incorrect": "margin incorrect",
    "calibration_error": "calibration error",
}


def volume_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Average finished runs over seeds, per curve and fraction.

    Columns: `network`, `recipe`, `data`, `fraction (%)`, `images`, `groups` (of data with groups; a mean, as images of
    whole groups are), `runs` (a count), `top-1 (%)` and its standard deviation over the runs `deviation (%)`,
    `top-5 (%)`, `best top-1 (%)`, and in [0, 1] `margin correct`, `margin incorrect` and `calibration error`. A row per
    network, recipe, data, budget, epochs, draw and fraction; `budget`, `epochs`, `draw` and `drawn` (whole groups, or
    images of all) are columns where a study varies them.
    """
    finished = with_mean_images(finished_of(runs))
    varied = [name for name in ("budget", "epochs", "draw", "draw_by") if finished[name].nunique() > 1]
    curve = ["model", "recipe", "data", *varied, "fraction", "images"]
    groups = finished.groupby(curve)
    scale = [100] * len(ACCURACY_COLUMNS) + [1] * len(CONFIDENCE_COLUMNS)  # accuracies to per cent
    means = groups[[*ACCURACY_COLUMNS, *CONFIDENCE_COLUMNS]].mean() * scale
    means = means.rename(columns=ACCURACY_COLUMNS | CONFIDENCE_COLUMNS)
    means.insert(0, "runs", groups.size())
    means.insert(2, "deviation (%)", 100 * groups["top1"].std())
    if finished["drawn_groups"].notna().any():
        means.insert(0, "groups", groups["drawn_groups"].mean())
    table = means.reset_index().rename(columns={"model": "network", "fraction": "fraction (%)"})
    table = table.rename(columns={"draw_by": "drawn"}).replace({"drawn": DRAWN})
    return table.assign(**{"fraction (%)": 100 * table["fraction (%)"]})


class Guess(NamedTuple):
    """Holds what always guessing the commonest class gives, shares."""

    data: str
    top1: float
    top5: float  # NaN below five classes


def guesses_of(runs: pd.DataFrame) -> list[Guess]:
    """List what guessing gives of each data set with a finished run."""
    known = finished_of(runs)[["data", "validation_images", "guess_top1", "guess_top5"]]
    # Where damaged images make runs differ, that of the most validation images counts
    known = known[known["guess_top1"].notna()].sort_values("validation_images", ascending=False, kind="stable")
    first = known.drop_duplicates("data").sort_values("data")
    return [Guess(*row) for row in first[["data", "guess_top1", "guess_top5"]].to_numpy().tolist()]


def with_guessing(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add to `volume_table(runs)` what guessing gives, a row per data set.

    Its `network` is `always guessing the commonest class`; all but the accuracies is missing.
    """
    rows = [
        {"network": GUESSING, "data": one.data, "top-1 (%)": 100 * one.top1, "top-5 (%)": 100 * one.top5}
        for one in guesses_of(runs)
    ]
    integers = {name: "Int64" for name in ("images", "runs", "epochs") if name in table}  # which may be missing
    last = pd.DataFrame(rows, index=range(len(table), len(table) + len(rows)))
    whole = table.astype(integers).reindex([*table.index, *last.index])
    for name in last:
        whole.loc[last.index, name] = last[name]
    return whole


def points_table(runs: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Average points of another trainer, per curve and size.

    Columns: `curve`, `images`, `fraction (%)`, `points` (a count), the metric in per cent, and its standard
    deviation over the points `deviation (%)`. The last row is what guessing gives.
    """
    groups = runs.assign(value=100 * measure.value(runs["top1"].astype(float))).groupby(["model", "images", "fraction"])
    title = f"{measure.title} (%)"
    table = groups["value"].agg(["size", "mean", "std"]).reset_index()
    table.columns = pd.Index(["curve", "images", "fraction (%)", "points", title, "deviation (%)"])
    table = table.assign(**{"fraction (%)": 100 * table["fraction (%)"]})
    guess = {"curve": "guessing", title: 100 * measure.value(float(runs["guess_top1"].iloc[0]))}
    whole = table.astype({"images": "Int64", "points": "Int64"}).reindex(range(len(table) + 1))
    for name, value in guess.items():
        whole.loc[len(table), name] = value
    return whole


def overlap_table(runs: pd.DataFrame, of: Of = "smaller") -> pd.DataFrame:
    """Tabulate the overlap of the subsets below the full set (table 1).

    Columns: `subset`, and for each subset `shared with <subset> (%)`, NaN with itself.

    Raises:
        ConfigError: If the runs are of several data sets, none is below the full set, or a subset cannot be read.
    """
    below = finished_of(runs).query("fraction < 1")
    if below.empty:
        raise ConfigError(
            "overlap must be asked for runs below fraction 1, got none; train some, such as fraction=0.05"
        )
    matrix = 100 * overlap_matrix(below, of)
    for subset in matrix:
        matrix.loc[subset, subset] = float("nan")  # it shares everything with itself
    return matrix.rename(columns="shared with {} (%)".format).rename_axis("subset").reset_index()


def training_time_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the time of every finished run (table 2).

    Columns: `network`, `recipe`, `fraction (%)`, `seed`, `iterations`; `training (s)`, `evaluation (s)` and
    `together (s)`; `above the shortest (%)`, against the shortest run of the same network, recipe,
    fraction and iterations.
    """
    finished = finished_of(runs)
    together = finished["seconds_train"] + finished["seconds_val"]
    equal = [finished[name] for name in ("model", "recipe", "fraction", "iterations")]
    return pd.DataFrame(
        {
            "network": finished["model"],
            "recipe": finished["recipe"],
            "fraction (%)": 100 * finished["fraction"],
            "seed": finished["seed"],
            "iterations": finished["iterations"],
            "training (s)": finished["seconds_train"],
            "evaluation (s)": finished["seconds_val"],
            "together (s)": together,
            "above the shortest (%)": 100 * (together / together.groupby(equal).transform("min") - 1),
        }
    ).reset_index(drop=True)


def full_data_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Average full-set accuracies over seeds, the reference of smaller subsets (table 5).

    Columns: `network`, `recipe`, `data`, `epochs (passes)`, `runs` (a count), and the accuracies `top-1 (%)`,
    `top-5 (%)`, `best top-1 (%)`. A row per network, recipe, data set and length.
    """
    full = finished_of(runs).query("fraction == 1")
    groups = full.groupby(["model", "recipe", "data", "epochs"])
    means = 100 * groups[list(ACCURACY_COLUMNS)].mean().rename(columns=ACCURACY_COLUMNS)
    means.insert(0, "runs", groups.size())
    return means.reset_index().rename(columns={"model": "network", "epochs": "epochs (passes)"})


def benchmark_table(runs: pd.DataFrame, model: str, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare a network's longest full-set training with published accuracies (tables 3, 4).

    Args:
        runs: `Study.runs`.
        model: The network's name.
        published: `thesis_accuracies()` (ImageNet), of which the rows of this network and subject `pytorch` are used.

    Returns:
        `full_data_table` with a first column `weights` (`trained here` or `published`).

    Raises:
        ConfigError: If no run of the network on the full set has finished.
    """
    table = full_data_table(runs)
    ours = table[table["network"] == model]
    if ours.empty:
        known = ", ".join(sorted(table["network"].unique())) or "none"
        raise ConfigError(
            f"model must be a network with a finished run of fraction 1, got '{model}'; those that have: {known}"
        )
    ours = ours[ours["epochs (passes)"] == ours["epochs (passes)"].max()]
    rows = [ours.assign(weights="trained here")]
    if published is not None:
        theirs = published[(published["model"] == model) & (published["subject"] == "pytorch")]
        shares = 100 * theirs[["top1", "top5"]].rename(columns=ACCURACY_COLUMNS)
        rows.append(shares.assign(network=model, weights="published"))
    whole = pd.concat(rows, ignore_index=True).astype({"epochs (passes)": "Int64", "runs": "Int64"})
    return whole[["weights", *table.columns]]


def schedule_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Tabulate schedules in whole passes over the subset (table 6).

    Columns: `fraction (%)`, the largest last, and for each network `<network>: runs` (finished ones: 0 where the thesis
    strikes through), `<network>: epochs (passes)`, `<network>: LR warm-up (passes)` where there is one,
    and `<network>: LR step size (passes)`. A network that was trained in several ways has those columns for each.
    """
    known = runs[~runs["state"].isin(UNUSED)]
    fractions = sorted(known["fraction"].unique())
    tables = [_schedules(curve, fractions).rename(columns=f"{label}: {{}}".format) for label, curve in _ways(known)]
    return pd.concat([pd.DataFrame({"fraction (%)": [100 * fraction for fraction in fractions]}), *tables], axis=1)


def _ways(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Split runs by network and schedule, labelled by what differs between schedules."""
    for model, own in runs.groupby("model"):
        unique = own.groupby("recipe")["recipe_hash"].nunique().max() == 1  # else recipes of one name: show their hash
        columns = ["data", "recipe", "budget", "epochs", *([] if unique else ["recipe_hash"])]
        varied = [name for name in columns if own[name].nunique() > 1]
        for keys, curve in own.groupby(varied) if varied else [((), own)]:
            yield ", ".join(map(str, (model, *keys))), curve


def _schedules(curve: pd.DataFrame, fractions: list[float]) -> pd.DataFrame:
    """Tabulate one schedule at each fraction, trained there or not."""
    first = curve.iloc[0]
    schedule = json.loads(first["recipe_json"])["schedule"]
    units = [_units(first, fraction, schedule).rounded for fraction in fractions]  # epochs, step size, warm-up
    finished = curve.loc[curve["state"] == "finished", "fraction"].value_counts()
    names = ["epochs (passes)", "LR step size (passes)", "LR warm-up (passes)"]
    table = pd.DataFrame(units, columns=names)[[names[0], names[2], names[1]]]
    table.insert(0, "runs", [int(finished.get(fraction, 0)) for fraction in fractions])
    return table if schedule["warmup_epochs"] else table.drop(columns=names[2])


def _units(run: pd.Series, fraction: float, schedule: dict[str, float]) -> ThesisUnits:
    fraction = fraction if run["budget"] == "iterations" else 1.0  # with the budget `epochs`, epochs are passes already
    return thesis_units(fraction, int(run["epochs"]), schedule["step_size"], schedule["warmup_epochs"])


def learning_curve_points(runs: pd.DataFrame, measure: Measure = TOP1) -> pd.DataFrame:
    """Compute learning-curve points with Wilson intervals from finished runs.

    Columns: `label` (network, and recipe or data where they differ within the frame), `model`, `images`, `fraction`,
    and, shares in [0, 1], `guess` (what always guessing gives) and `accuracy` (top-1 of the last evaluation)
    with `low` and `high`, its 95 % Wilson interval: the uncertainty from the size of the validation set, without that
    from subsets and seeds. Of another `measure`, `accuracy` and `guess` are its values.
    """
    finished = with_mean_images(finished_of(runs))
    points = pd.DataFrame(
        {
            "label": curve_labels(finished),
            "model": finished["model"],
            "images": finished["images"],
            "fraction": finished["fraction"],
            "accuracy": measure.value(finished["top1"].astype(float)),
            "guess": measure.value(finished["guess_top1"].astype(float)),
        }
    )
    whole = finished["validation_images"]
    shares = (points["accuracy"] * whole).round() / whole  # of whole images, whatever digits a record has kept
    counted = zip(shares, _independent_images(finished, points["label"]), strict=True)
    intervals = [(float("nan"),) * 2 if pd.isna(images) else _wilson(share, images) for share, images in counted]
    points[["low", "high"]] = pd.DataFrame(intervals, index=points.index, columns=["low", "high"])
    return points.reset_index(drop=True)


def _independent_images(finished: pd.DataFrame, labels: pd.Series) -> pd.Series:
    """Compute as how many independent images a run's validation images count.

    Images in groups count as fewer than they are.
    """
    images = finished["validation_images"].astype(float)
    for _, curve in finished[finished["groups"].notna()].groupby(labels):
        kept = [one for folder in curve["folder"] if (one := kept_predictions(folder)) and one.groups is not None]
        if kept and len({one.groups.tobytes() for one in kept if one.groups is not None}) == 1:
            right = np.array([one.classes[:, 0] == one.labels for one in kept])
            images[curve.index] = effective_images(right, np.asarray(kept[0].groups))
    return images


def _wilson(share: float, count: float) -> tuple[float, float]:
    """Compute Wilson's interval.

    The count of independent images may be a fraction.
    """
    z = float(norm.ppf((1 + LEVEL) / 2))
    centre, scale = share + z**2 / (2 * count), 1 + z**2 / count
    half = z * (share * (1 - share) / count + (z / (2 * count)) ** 2) ** 0.5
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
