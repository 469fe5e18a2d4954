"""Plots last evaluations against data volume, lines through means over seeds."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from datavol.study.figures.guessing import drawn_nowhere, guess_lines
from datavol.study.figures.overlay import (
    THESIS_LINE,
    draw_stars,
    full_set_stars,
    full_size,
    star_entry,
    training_times,
)
from datavol.study.figures.style import (
    BAND_FROM,
    METRIC_NAMES,
    Mark,
    figure_legend,
    legend_beside,
    legend_entry,
    outer_labels,
    runs_title,
    set_title,
    unordered_marks,
    volume_axis,
    wrap,
    wrapped_panels,
)
from datavol.study.load.labels import labelled

LAST_TOP1 = "validation top-1, last evaluation (%)"
EACH_RUN = "dashes: each run"
SECONDS_PER = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


def accuracy_against_volume(
    points: pd.DataFrame,
    axes: Axes,
    thesis: pd.DataFrame | None = None,
    ylabel: str = LAST_TOP1,
    groups: str = "networks",
) -> Axes:
    """Plot last-evaluation accuracy against training images, one line per label.

    Args:
        points: `summaries.learning_curve_points(runs)`.
        axes: Where to draw.
        thesis: `thesis.thesis_accuracies()`, of which table 5 is laid over: stars at the full set.
        ylabel: What is drawn.
        groups: What the lines are of.
    """
    marks = unordered_marks(sorted(points["label"].unique()))
    drawn = points.assign(**{name: 100 * points[name] for name in ("accuracy", "low", "high")})  # the axis is in %
    for label, runs in drawn.groupby("label"):
        mark = marks[label]
        means = runs.groupby("images")["accuracy"].mean()  # over seeds
        several = len(runs) > len(means)  # runs per size: fainter marks, so that the line through the means shows
        axes.plot(means, color=mark.colour, linewidth=1.5)
        axes.errorbar(
            runs["images"],
            runs["accuracy"],
            [runs["accuracy"] - runs["low"], runs["high"] - runs["accuracy"]],  # lengths of bars, down and up
            color=mark.colour,
            marker=mark.marker,
            markersize=5 if several else 6,
            alpha=0.6 if several else 1,
            linewidth=1,
            linestyle="none",
            capsize=2 if several else 3,
            label=wrap(str(label)),
        )
    volume_axis(points["images"], points["fraction"], axes)
    extra = [] if thesis is None else [full_set_stars(thesis, points, "top1", axes, marks)]
    axes.set_ylabel(ylabel)
    extra += guess_lines(axes, points["guess"].unique())
    legend_beside(axes, runs_title(groups, _counts(points), "marks: each run", band=False), extra)
    return axes


def best_and_last(runs: pd.DataFrame, figure: Figure | SubFigure, thesis: pd.DataFrame | None = None) -> np.ndarray:
    """Plot best and last accuracies against data volume (thesis figures 18, 19).

    Args:
        runs: As `load_study` gives them.
        figure: An empty one; its size is set.
        thesis: `thesis.thesis_accuracies()`, of which table 5 is laid over.

    Returns:
        Axes (labels,), a panel per network. The best is that of the evaluation with the highest top-1.
    """
    finished, labels = _by_label(runs)
    grid = wrapped_panels(figure, len(labels), sharey=True)
    known = [metric for metric in METRIC_NAMES if finished[metric].notna().any()]  # no top-5 below five classes
    marks = unordered_marks(known)
    for label, axes in zip(labels, grid, strict=True):
        curve = finished[finished["label"] == label]
        for metric in known:
            _draw_means(curve, metric, axes, marks[metric], f"last {METRIC_NAMES[metric]}")
            _draw_means(curve, f"best_{metric}", axes, marks[metric], f"best {METRIC_NAMES[metric]}", hollow=True)
        volume_axis(curve["images"], curve["fraction"], axes)
        if thesis is not None:
            for metric in known:
                full_set_stars(thesis, curve, metric, axes, {label: marks[metric]})  # in the metric's colour
        set_title(axes, label)
    extra = [] if thesis is None else [star_entry("thesis, table 5")]
    hidden = []
    for label, axes in zip(labels, grid, strict=True):  # after all curves, as the panels share their axis
        for metric in known:
            guesses = finished.loc[finished["label"] == label, f"guess_{metric}"].unique()
            hidden += guess_lines(axes, guesses, f"guessing, {METRIC_NAMES[metric]}:")
    extra += drawn_nowhere(hidden, grid)
    outer_labels(grid, grid[0].get_xlabel(), "validation accuracy (%)")
    figure_legend(figure, grid, runs_title("accuracies", _counts(finished), EACH_RUN), extra)
    return np.array(grid, dtype=object)


def margins_against_volume(runs: pd.DataFrame, axes: Axes) -> Axes:
    """Plot validation margins of correct (solid) and incorrect predictions against data volume.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
    """
    finished, labels = _by_label(runs)
    marks = unordered_marks(labels)
    for label, mark in marks.items():
        curve = finished[finished["label"] == label]
        _draw_means(curve, "margin_correct", axes, mark, wrap(label))
        _draw_means(curve, "margin_incorrect", axes, mark, None, hollow=True)
    extra = [legend_entry("correct predictions"), legend_entry("incorrect predictions", "--")]
    return _finish(finished, axes, "confidence margin, last evaluation (%)", extra)


def calibration_against_volume(runs: pd.DataFrame, axes: Axes) -> Axes:
    """Plot validation calibration error (15 bins) against data volume.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
    """
    finished, labels = _by_label(runs)
    for label, mark in unordered_marks(labels).items():
        _draw_means(finished[finished["label"] == label], "calibration_error", axes, mark, wrap(label))
    axes.set_ylim(bottom=0)
    return _finish(finished, axes, "calibration error, last evaluation\n(percentage points)")


def training_time(runs: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """Plot training and evaluation time against data volume (compare thesis table 2).

    With the budget `iterations` it should be level: all fractions train for the same number of iterations.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
        thesis: `thesis.thesis_numbers()`, of which table 2 is laid over: stars at 5 %.
    """
    finished, labels = _by_label(runs)
    seconds = finished["seconds_train"] + finished["seconds_val"]
    thesis_times = training_times(thesis)
    longest = max([0.0, *seconds.dropna(), *thesis_times["value"]])
    # The largest unit of which the longest run takes two or more.
    unit = [name for name, size in SECONDS_PER.items() if longest >= 2 * size or name == "seconds"][-1]
    finished = finished.assign(time=seconds / SECONDS_PER[unit] / 100)  # `_draw_means` multiplies by 100
    for label, mark in unordered_marks(labels).items():
        _draw_means(finished[finished["label"] == label], "time", axes, mark, wrap(label))
    extra = []
    if thesis is not None:
        sizes = thesis_times["fraction"] * full_size(finished)
        draw_stars(sizes, thesis_times["value"] / SECONDS_PER[unit], axes, THESIS_LINE["color"])
        extra = [star_entry("thesis, table 2:\nMobileNetV2, 1,800 epochs")]
    axes.set_ylim(bottom=0)
    return _finish(finished, axes, f"training and evaluation ({unit})", extra)


def _by_label(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    finished = labelled(runs)
    return finished, sorted(finished["label"].unique())


def _counts(points: pd.DataFrame) -> Iterable[int]:
    return points.groupby(["label", "images"]).size()


def _draw_means(
    curve: pd.DataFrame, column: str, axes: Axes, mark: Mark, label: str | None, hollow: bool = False
) -> None:
    """Plot means over seeds in per cent, and the spread of runs."""
    known = curve[curve[column].notna()]  # a run that was never wrong has no margin of incorrect predictions
    by_size = (100 * known[column].astype(float)).groupby(known["images"])
    counts = by_size.size()  # runs of each size
    face, size = ("none", 9) if hollow else (mark.colour, 5.5)  # so that a filled mark shows within a hollow one
    line = {"color": mark.colour, "linestyle": "--" if hollow else "-", "linewidth": 1.5}
    axes.plot(by_size.mean(), **line, marker=mark.marker, markersize=size, markerfacecolor=face, label=label)
    if counts.max() >= BAND_FROM:
        axes.fill_between(counts.index, by_size.min(), by_size.max(), color=mark.colour, alpha=0.15, linewidth=0)
    elif counts.max() > 1:
        axes.plot(known["images"], 100 * known[column], marker="_", linestyle="none", color=mark.colour, markersize=9)


def _finish(finished: pd.DataFrame, axes: Axes, ylabel: str, extra: Iterable = ()) -> Axes:
    volume_axis(finished["images"], finished["fraction"], axes)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylabel(ylabel)
    legend_beside(axes, runs_title("networks", _counts(finished), EACH_RUN), extra)
    return axes
