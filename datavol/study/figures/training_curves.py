"""Metrics against iterations, within runs. The frame is that of `points.training_points`, of which parts will do.

Of several finished runs of a group, such as seeds, a line shows the mean; thin lines, or from four on a band from the
lowest to the highest, show the runs. Runs that have not finished are dotted, and in no mean. The legend says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.errors import ConfigError
from datavol.study.figures.overlay import level_lines
from datavol.study.figures.style import (
    BAND_FROM,
    GREY,
    Mark,
    iteration_axis,
    legend_beside,
    legend_of,
    ordered_marks,
    outer_labels,
    panels,
    sample,
    share,
    titled,
    told_of_runs,
    unordered_marks,
    wrapped_panels,
)

SHOWN = {"top1": "top-1", "top5": "top-5"}
SPLITS = {"train": "training", "val": "validation"}
FRACTION = "fraction of the training set"


def curves_of_runs(points: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """Validation top-1 and top-5 of every run that one network made on one fraction (thesis figures 9, 11, 12, 13).

    Repeats of a training, subsets of one size, or a single long training. Where a run went on from another's checkpoint
    a dash-dotted line shows from when.

    Args:
        points: As `training_points` gives them, of one label and fraction.
        axes: Where to draw.
        thesis: `thesis.thesis_accuracies()`, of which the long trainings and the published weights (tables 3 and 4) are
            laid over a run on the full set.

    Raises:
        ConfigError: If the points are of several curves or fractions, or there is none.
    """
    groups = points[["label", "fraction"]].drop_duplicates()
    if len(groups) != 1:
        raise ConfigError(f"points must be of one label and fraction, got {len(groups)}; select by both columns")
    label, fraction = groups.iloc[0]
    marks = unordered_marks(points.sort_values(["seed", "name"])["name"].unique())
    named = points.groupby("seed")["name"].nunique().max() == 1
    for name, mark in marks.items():
        run = points[points["name"] == name]
        told = (f"seed {run['seed'].iloc[0]}" if named else name) + _state(run) + _went_on(run, axes, mark)
        for metric, line in zip(_known(points, "val"), ("-", "--"), strict=False):
            _line(run, f"val/{metric}", axes, mark, line, told if line == "-" else None)
    extra = [sample(SHOWN[metric], line) for metric, line in zip(_known(points, "val"), ("-", "--"), strict=False)]
    if thesis is not None and fraction == 1:
        extra += level_lines(thesis, ["table 3", "table 4"], points["model"].iloc[0], axes, _known(points, "val"))
    axes.set(xlabel=iteration_axis(points, [axes]), ylabel="validation accuracy (%)")
    titled(axes, f"{label}, {share(fraction)}")
    beside_numbers = 1.01 if thesis is None else 1.09
    legend_beside(axes, "runs", [*axes.get_legend_handles_labels()[0], *extra], beside_numbers)
    return axes


def accuracy_over_iterations(
    points: pd.DataFrame, figure: Figure | SubFigure, thesis: pd.DataFrame | None = None
) -> np.ndarray:
    """Validation top-1 and top-5, a line per fraction (thesis figure 14 for MobileNetV2, 15 for ResNet50).

    Args:
        points: As `training_points` gives them.
        figure: An empty one; its size is set.
        thesis: `thesis.thesis_accuracies()`, of which table 5 (the full set) is laid over.

    Returns:
        Axes (labels, metrics): a row per network, a column per accuracy.
    """
    metrics, labels = _known(points, "val"), sorted(points["label"].unique())
    grid = panels(figure, len(labels), len(metrics))
    marks = ordered_marks(points["fraction"].unique())
    extra: dict[str, Any] = {}
    for label, row in zip(labels, grid, strict=True):
        curve = points[points["label"] == label]
        for metric, axes in zip(metrics, row, strict=True):
            _by_fraction(curve, f"val/{metric}", axes, marks)
            titled(axes, f"{label}: {SHOWN[metric]}")
            axes.set_ylabel(f"validation {SHOWN[metric]} (%)")
            if thesis is not None:
                lines = level_lines(thesis, ["table 5"], curve["model"].iloc[0], axes, [metric])
                extra |= {str(line.get_label()): line for line in lines}
        _iterations(curve, row)
    legend_of(figure, grid.flat, _told(points, ["label", "fraction"], FRACTION), list(extra.values()))
    return grid


def train_and_validation(points: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Training and validation accuracies, a panel per fraction (thesis figure 16 for MobileNetV2, 17 for ResNet50).

    Training accuracy is counted under the recipe's augmentation, while the network trains, so that it may be lower.

    Args:
        points: As `training_points` gives them.
        figure: An empty one; its size is set.

    Returns:
        The axes that are used, in the order of label and fraction; each label begins a row.
    """
    fractions = points.groupby("label")["fraction"].unique()
    columns = min(max(map(len, fractions), default=0), 3)
    rows = sum(-(-len(found) // columns) for found in fractions)
    grid = panels(figure, rows, columns, sharey=True)
    used, row = [], 0
    for label, found in fractions.items():
        for place, fraction in enumerate(sorted(found)):
            axes = grid[row + place // columns, place % columns]
            panel = points[(points["label"] == label) & (points["fraction"] == fraction)]
            _train_and_validation(panel, axes)
            titled(axes, f"{label}: {share(fraction)}" if len(fractions) > 1 else share(fraction))
            used.append(axes)
        row += -(-len(found) // columns)
    for spare in set(grid.flat) - set(used):
        spare.remove()
    outer_labels(used, iteration_axis(points, used), "accuracy (%)")
    title = "accuracies" if len(fractions) > 1 else f"{fractions.index[0]}"
    legend_of(figure, used, _told(points, ["label", "fraction"], title))
    return np.array(used, dtype=object)


def gap_over_iterations(points: pd.DataFrame, figure: Figure | SubFigure, train: str = "train") -> np.ndarray:
    """Training less validation top-1, a panel per network and a line per fraction: above 0 it overfits.

    Args:
        points: As `training_points` gives them.
        figure: An empty one; its size is set.
        train: `train`, measured while training under the recipe's augmentation; or `train/clean`, the training subset
            under the evaluation transform, which runs with `evaluate_train=true` have.

    Returns:
        Axes (labels,).

    Raises:
        ConfigError: If the runs did not measure it.
    """
    measured = f"{train}_top1" if train.endswith("clean") else f"{train}/top1"
    if measured not in points:
        raise ConfigError(
            f"train must be a split that the runs measured, got {train}; those of clean images need evaluate_train=true"
        )
    labels = sorted(points["label"].unique())
    gaps = points.assign(gap=points[measured] - points["val/top1"])
    grid = wrapped_panels(figure, len(labels), sharey=True)
    marks = ordered_marks(points["fraction"].unique())
    for label, axes in zip(labels, grid, strict=True):
        axes.axhline(0, color=GREY, linewidth=1)
        _by_fraction(gaps[gaps["label"] == label], "gap", axes, marks)
        titled(axes, label)
    outer_labels(grid, iteration_axis(points, grid), "training less validation top-1\n(percentage points)")
    legend_of(figure, grid, _told(points, ["label", "fraction"], FRACTION))
    return np.array(grid, dtype=object)


def margins_over_iterations(points: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Confidence margins of correct and incorrect predictions (thesis figure 20 for MobileNetV2, 21 for ResNet50).

    Args:
        points: As `training_points` gives them.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels, 2): a row per network; training images left, validation images right.
    """
    labels, marks = sorted(points["label"].unique()), ordered_marks(points["fraction"].unique())
    grid = panels(figure, len(labels), 2, sharey=True)
    for label, row in zip(labels, grid, strict=True):
        curve = points[points["label"] == label]
        for (split, name), axes in zip(SPLITS.items(), row, strict=True):
            _by_fraction(curve, f"{split}/margin_correct", axes, marks)
            _by_fraction(curve, f"{split}/margin_incorrect", axes, marks, "--")
            titled(axes, f"{label}: {name} images")
        row[0].set_ylabel("confidence margin (%)")
        _iterations(curve, row)
    samples = [sample("correct predictions"), sample("incorrect predictions", "--")]
    legend_of(figure, grid.flat, _told(points, ["label", "fraction"], FRACTION), samples)
    return grid


def _known(points: pd.DataFrame, split: str) -> list[str]:
    """Of top-1 and top-5 those that were measured: there is no top-5 below five classes."""
    return [metric for metric in SHOWN if f"{split}/{metric}" in points and points[f"{split}/{metric}"].notna().any()]


def _by_fraction(curve: pd.DataFrame, metric: str, axes: Axes, marks: dict[float, Mark], line: str = "-") -> None:
    for fraction in sorted(curve["fraction"].unique(), reverse=True):  # the legend is then in the lines' order
        group = curve[curve["fraction"] == fraction]
        _line(group, metric, axes, marks[fraction], line, share(fraction) + _state(group) if line == "-" else None)


def _train_and_validation(panel: pd.DataFrame, axes: Axes) -> None:
    marks = unordered_marks(SHOWN)
    for metric in _known(panel, "val"):
        for (split, name), line in zip(SPLITS.items(), ("--", "-"), strict=True):
            _line(panel, f"{split}/{metric}", axes, marks[metric], line, f"{name} {SHOWN[metric]}")


def _line(group: pd.DataFrame, metric: str, axes: Axes, mark: Mark, line: str, label: str | None) -> None:
    """A metric of one group of runs, in per cent. The label is drawn even where nothing is measured yet."""
    table = 100 * group.pivot(index="iteration", columns="name", values=metric).astype(float)
    states = group.groupby("name")["state"].first()
    for name in states.index[states != "finished"]:
        axes.plot(table[name].dropna(), color=mark.colour, linestyle=":", linewidth=1)
    finished = table[states.index[states == "finished"]]
    if 1 < finished.shape[1] < BAND_FROM:
        axes.plot(finished, color=mark.colour, linestyle=line, linewidth=0.7, alpha=0.6)
    if finished.shape[1] >= BAND_FROM:
        axes.fill_between(
            finished.index, finished.min(axis=1), finished.max(axis=1), color=mark.colour, alpha=0.15, lw=0
        )
    mean = finished.dropna().mean(axis=1)
    every = max(1, len(mean) // 6)
    axes.plot(
        mean,
        color=mark.colour,
        linestyle=line,
        linewidth=1.6,
        marker=mark.marker,
        markersize=4.5,
        markerfacecolor=mark.colour if line == "-" else "white",
        markevery=(mark.place * every // 7 % every, every),  # so that those of lines close together do not coincide
        label=label,
    )


def _state(group: pd.DataFrame) -> str:
    return "" if (group["state"] == "finished").any() else " (not finished)"


def _went_on(run: pd.DataFrame, axes: Axes, mark: Mark) -> str:
    """Mark where a run's first iteration is, if it took another's checkpoint up."""
    if run["parent"].isna().all():
        return ""
    first = run.nsmallest(1, "iteration")
    before = float((first["iteration"] * (1 - 1 / first["budget_epoch"])).iloc[0])
    axes.axvline(before, color=mark.colour, linestyle="-.", linewidth=1.2)
    return " (went on from another)"


def _iterations(curve: pd.DataFrame, row: np.ndarray) -> None:
    label = iteration_axis(curve, row)
    for axes in row:
        axes.set_xlabel(label)


def _told(points: pd.DataFrame, groups: list[str], title: str) -> str:
    """A legend's title that says what lines and bands are."""
    finished = points[points["state"] == "finished"]
    title = told_of_runs(title, finished.groupby(groups)["name"].nunique())
    return title + ("\n(dotted: not finished)" if (points["state"] != "finished").any() else "")
