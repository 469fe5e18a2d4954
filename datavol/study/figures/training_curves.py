"""Plots metrics against iterations within runs, from (parts of) `labels.training_points`.

Of several finished runs of a group, such as seeds, a line shows the mean; thin lines, or from four on a band from the
lowest to the highest, show the runs. Runs that have not finished are dotted, and in no mean. The legend says so.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.cli.text import per_cent
from datavol.errors import ConfigError
from datavol.study.figures.guessing import drawn_nowhere, guess_lines
from datavol.study.figures.overlay import level_lines
from datavol.study.figures.style import (
    BAND_FROM,
    GREY,
    METRIC_NAMES,
    Mark,
    figure_legend,
    iteration_axis,
    legend_beside,
    legend_entry,
    ordered_marks,
    outer_labels,
    panels,
    runs_title,
    set_title,
    unordered_marks,
    wrapped_panels,
)

SPLIT_NAMES = {"train": "training", "val": "validation"}
FRACTION_TITLE = "fraction of the training set"


def curves_of_runs(points: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """Plot validation accuracies run by run (thesis figures 9, 11, 12, 13).

    Shows repeats of a training, subsets of one size, or a single long training. A dash-dotted line shows where a run
    started from another's checkpoint.

    Args:
        points: `training_points(study)`, of one label and fraction.
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
    by_seed = points.groupby("seed")["name"].nunique().max() == 1  # else a seed names several runs
    lines = dict(zip(_measured(points, "val"), ("-", "--"), strict=False))  # without a top-5, one line style alone
    for name, mark in marks.items():
        run = points[points["name"] == name]
        title = (f"seed {run['seed'].iloc[0]}" if by_seed else name) + _state(run) + _mark_parent(run, axes, mark)
        for metric, line in lines.items():
            _draw_metric(run, f"val/{metric}", axes, mark, line, title if line == "-" else None)
    extra = [legend_entry(METRIC_NAMES[metric], line) for metric, line in lines.items()]
    if thesis is not None and fraction == 1:
        extra += level_lines(thesis, ["table 3", "table 4"], points["model"].iloc[0], axes, list(lines))
    axes.set(xlabel=iteration_axis(points, [axes]), ylabel="validation accuracy (%)")
    set_title(axes, f"{label}, {per_cent(fraction)}")
    legend_beside(axes, "runs", extra, 1.01 if thesis is None else 1.09)  # right of the numbers beside level lines
    return axes


def accuracy_over_iterations(
    points: pd.DataFrame, figure: Figure | SubFigure, thesis: pd.DataFrame | None = None
) -> np.ndarray:
    """Plot validation accuracies, a line per fraction (thesis figures 14, 15).

    Args:
        points: `training_points(study)`.
        figure: An empty one; its size is set.
        thesis: `thesis.thesis_accuracies()`, of which table 5 (the full set) is laid over.

    Returns:
        Axes (labels, metrics): a row per network, a column per accuracy.
    """
    metrics, labels = _measured(points, "val"), sorted(points["label"].unique())
    grid = panels(figure, len(labels), len(metrics))
    marks = ordered_marks(points["fraction"].unique())
    hidden: list[Any] = []  # guesses that lie too far below a panel
    extra: dict[str, Any] = {}  # legend entries by label, as both panels of a network have them
    for label, row in zip(labels, grid, strict=True):
        curve = points[points["label"] == label]
        for metric, axes in zip(metrics, row, strict=True):
            _draw_fractions(curve, f"val/{metric}", axes, marks)
            set_title(axes, f"{label}: {METRIC_NAMES[metric]}")
            axes.set_ylabel(f"validation {METRIC_NAMES[metric]} (%)")
            if thesis is not None:
                lines = level_lines(thesis, ["table 5"], curve["model"].iloc[0], axes, [metric])
                extra |= {str(line.get_label()): line for line in lines}
            hidden += guess_lines(axes, curve[f"guess_{metric}"].unique(), f"guessing, {METRIC_NAMES[metric]}:")
        _iterations(curve, row)
    below = drawn_nowhere(hidden, grid.flat)
    title = _legend_title(points, ["label", "fraction"], FRACTION_TITLE)
    figure_legend(figure, grid.flat, title, [*extra.values(), *below])
    return grid


def train_and_validation(points: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot training and validation accuracies per fraction (thesis figures 16, 17).

    Training accuracy is measured while the network trains, under the recipe's augmentation, so it may be lower.

    Args:
        points: `training_points(study)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (panels,) in the order of label and fraction; each label begins a row.
    """
    fractions = points.groupby("label")["fraction"].unique()
    columns = min(max(map(len, fractions), default=0), 3)
    rows = sum(-(-len(own) // columns) for own in fractions)  # rounded up label by label, as each begins a row
    grid = panels(figure, rows, columns, sharey=True)
    used, row = [], 0
    for label, own in fractions.items():
        for i, fraction in enumerate(sorted(own)):
            axes = grid[row + i // columns, i % columns]
            panel = points[(points["label"] == label) & (points["fraction"] == fraction)]
            _train_and_validation(panel, axes)
            set_title(axes, f"{label}: {per_cent(fraction)}" if len(fractions) > 1 else per_cent(fraction))
            used.append(axes)
        row += -(-len(own) // columns)
    for spare in set(grid.flat) - set(used):
        spare.remove()
    outer_labels(used, iteration_axis(points, used), "accuracy (%)")
    title = "accuracies" if len(fractions) > 1 else f"{fractions.index[0]}"
    figure_legend(figure, used, _legend_title(points, ["label", "fraction"], title))
    return np.array(used, dtype=object)


def gap_over_iterations(points: pd.DataFrame, figure: Figure | SubFigure, train: str = "train") -> np.ndarray:
    """Plot the generalisation gap: training less validation top-1.

    Args:
        points: `training_points(study)`.
        figure: An empty one; its size is set.
        train: `train`, measured while training under the recipe's augmentation; or `train/clean`, the training subset
            under the evaluation transform, which runs with `evaluate_train=true` have.

    Returns:
        Axes (labels,), a line per fraction; above 0 the network overfits.

    Raises:
        ConfigError: If the runs did not measure it.
    """
    column = f"{train}_top1" if train.endswith("clean") else f"{train}/top1"
    if column not in points:
        raise ConfigError(
            f"train must be a split that the runs measured, got {train}; those of clean images need evaluate_train=true"
        )
    labels = sorted(points["label"].unique())
    gaps = points.assign(gap=points[column] - points["val/top1"])
    grid = wrapped_panels(figure, len(labels), sharey=True)
    marks = ordered_marks(points["fraction"].unique())
    for label, axes in zip(labels, grid, strict=True):
        axes.axhline(0, color=GREY, linewidth=1)
        _draw_fractions(gaps[gaps["label"] == label], "gap", axes, marks)
        set_title(axes, label)
    outer_labels(grid, iteration_axis(points, grid), "training less validation top-1\n(percentage points)")
    figure_legend(figure, grid, _legend_title(points, ["label", "fraction"], FRACTION_TITLE))
    return np.array(grid, dtype=object)


def margins_over_iterations(points: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot margins of correct and incorrect predictions (thesis figures 20, 21).

    Args:
        points: `training_points(study)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels, 2): a row per network; training images left, validation images right.
    """
    labels, marks = sorted(points["label"].unique()), ordered_marks(points["fraction"].unique())
    grid = panels(figure, len(labels), 2, sharey=True)
    for label, row in zip(labels, grid, strict=True):
        curve = points[points["label"] == label]
        for (split, name), axes in zip(SPLIT_NAMES.items(), row, strict=True):
            _draw_fractions(curve, f"{split}/margin_correct", axes, marks)
            _draw_fractions(curve, f"{split}/margin_incorrect", axes, marks, "--")
            set_title(axes, f"{label}: {name} images")
        row[0].set_ylabel("confidence margin (%)")
        _iterations(curve, row)
    entries = [legend_entry("correct predictions"), legend_entry("incorrect predictions", "--")]
    figure_legend(figure, grid.flat, _legend_title(points, ["label", "fraction"], FRACTION_TITLE), entries)
    return grid


def _measured(points: pd.DataFrame, split: str) -> list[str]:
    """Select the measured accuracies: below five classes there is no top-5."""
    columns = {metric: f"{split}/{metric}" for metric in METRIC_NAMES}
    return [metric for metric, column in columns.items() if column in points and points[column].notna().any()]


def _draw_fractions(curve: pd.DataFrame, metric: str, axes: Axes, marks: dict[float, Mark], line: str = "-") -> None:
    for fraction in sorted(curve["fraction"].unique(), reverse=True):  # the legend is then in the lines' order
        group = curve[curve["fraction"] == fraction]
        label = per_cent(fraction) + _state(group) if line == "-" else None
        _draw_metric(group, metric, axes, marks[fraction], line, label)


def _train_and_validation(panel: pd.DataFrame, axes: Axes) -> None:
    marks = unordered_marks(METRIC_NAMES)
    for metric in _measured(panel, "val"):
        for (split, name), line in zip(SPLIT_NAMES.items(), ("--", "-"), strict=True):
            _draw_metric(panel, f"{split}/{metric}", axes, marks[metric], line, f"{name} {METRIC_NAMES[metric]}")


def _draw_metric(group: pd.DataFrame, metric: str, axes: Axes, mark: Mark, line: str, label: str | None) -> None:
    """Plot a metric of one group of runs, in per cent."""
    table = 100 * group.pivot(index="iteration", columns="name", values=metric).astype(float)  # (iterations, runs)
    states = group.groupby("name")["state"].first()
    for name in states.index[states != "finished"]:
        axes.plot(table[name].dropna(), color=mark.colour, linestyle=":", linewidth=1)
    finished = table[states.index[states == "finished"]]
    if 1 < finished.shape[1] < BAND_FROM:
        axes.plot(finished, color=mark.colour, linestyle=line, linewidth=0.7, alpha=0.6)
    if finished.shape[1] >= BAND_FROM:
        low, high = finished.min(axis=1), finished.max(axis=1)
        axes.fill_between(finished.index, low, high, color=mark.colour, alpha=0.15, lw=0)
    mean = finished.dropna().mean(axis=1)  # of the iterations at which every run has a value
    every = max(1, len(mean) // 6)  # about six markers to a line
    # The line is empty where no run has finished, for its entry in the legend.
    axes.plot(
        mean,
        color=mark.colour,
        linestyle=line,
        linewidth=1.6,
        marker=mark.marker,
        markersize=4.5,
        markerfacecolor=mark.colour if line == "-" else "white",
        markevery=(mark.index * every // 7 % every, every),  # so that those of lines close together do not coincide
        label=label,
    )


def _state(group: pd.DataFrame) -> str:
    return "" if (group["state"] == "finished").any() else " (not finished)"


def _mark_parent(run: pd.DataFrame, axes: Axes, mark: Mark) -> str:
    """Mark where a run continued another's checkpoint; return a label suffix."""
    if run["parent"].isna().all():
        return ""
    # Its first evaluation, after budget epoch e, is at iteration e * length; the epoch began at (e - 1) * length.
    first = run.nsmallest(1, "iteration").iloc[0]
    axes.axvline(first["iteration"] * (1 - 1 / first["budget_epoch"]), color=mark.colour, linestyle="-.", linewidth=1.2)
    return " (went on from another)"


def _iterations(curve: pd.DataFrame, row: np.ndarray) -> None:
    label = iteration_axis(curve, row)
    for axes in row:
        axes.set_xlabel(label)


def _legend_title(points: pd.DataFrame, groups: list[str], title: str) -> str:
    """Add to a legend's title how single and unfinished runs are drawn."""
    finished = points[points["state"] == "finished"]
    title = runs_title(title, finished.groupby(groups)["name"].nunique())
    return title + ("\n(dotted: not finished)" if (points["state"] != "finished").any() else "")
