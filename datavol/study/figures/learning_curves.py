"""What the last evaluation measured against data volume: a point per finished run, lines through means over seeds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from datavol.study.figures.overlay import LINE, full_set_stars, full_size, star_sample, stars, training_times
from datavol.study.figures.style import (
    BAND_FROM,
    Mark,
    legend_beside,
    legend_of,
    named,
    outer_labels,
    sample,
    titled,
    told_of_runs,
    unordered_marks,
    volume_axis,
    wrapped_panels,
)
from datavol.study.load.labels import labelled

ACCURACIES = {"top1": "top-1", "top5": "top-5"}
EACH = "dashes: each run"
TIMES = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


def accuracy_against_volume(points: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """Draw last-evaluation accuracy against the number of training images, one line per network and recipe.

    Args:
        points: As `tables.learning_curve_points` gives them: `label`, `model`, `images`, `fraction`, `accuracy`, `low`,
            `high`, in per cent.
        axes: Where to draw.
        thesis: `thesis.thesis_accuracies()`, of which table 5 is laid over: stars at the full set.
    """
    marks = unordered_marks(sorted(points["label"].unique()))
    for label, runs in points.groupby("label"):
        mark = marks[label]
        means = runs.groupby("images")["accuracy"].mean()
        several = len(runs) > len(means)
        axes.plot(means, color=mark.colour, linewidth=1.5)
        axes.errorbar(
            runs["images"],
            runs["accuracy"],
            [runs["accuracy"] - runs["low"], runs["high"] - runs["accuracy"]],
            color=mark.colour,
            marker=mark.marker,
            markersize=5 if several else 6,
            alpha=0.6 if several else 1,
            linewidth=1,
            linestyle="none",
            capsize=2 if several else 3,
            label=named(str(label)),
        )
    volume_axis(points["images"], points["fraction"], axes)
    extra = [] if thesis is None else [full_set_stars(thesis, points, "top1", axes, marks)]
    axes.set_ylabel("validation top-1, last evaluation (%)")
    counts = points.groupby(["label", "images"]).size()
    legend_beside(
        axes,
        told_of_runs("networks", counts, "marks: each run", band=False),
        [*axes.get_legend_handles_labels()[0], *extra],
    )
    return axes


def best_and_last(runs: pd.DataFrame, figure: Figure | SubFigure, thesis: pd.DataFrame | None = None) -> np.ndarray:
    """Best and last top-1 and top-5 against data volume (thesis figure 18 for MobileNetV2, 19 for ResNet50).

    Args:
        runs: As `load_study` gives them.
        figure: An empty one; its size is set.
        thesis: `thesis.thesis_accuracies()`, of which table 5 is laid over.

    Returns:
        Axes (labels,), a panel per network. The best is that of the evaluation with the highest top-1.
    """
    finished, labels = _by_label(runs)
    grid = wrapped_panels(figure, len(labels), sharey=True)
    known = [metric for metric in ACCURACIES if finished[metric].notna().any()]
    marks = unordered_marks(known)
    for label, axes in zip(labels, grid, strict=True):
        curve = finished[finished["label"] == label]
        for metric in known:
            _against_volume(curve, metric, axes, marks[metric], f"last {ACCURACIES[metric]}")
            _against_volume(curve, f"best_{metric}", axes, marks[metric], f"best {ACCURACIES[metric]}", hollow=True)
        volume_axis(curve["images"], curve["fraction"], axes)
        if thesis is not None:
            for metric in known:
                full_set_stars(thesis, curve, metric, axes, {label: marks[metric]})
        titled(axes, label)
    outer_labels(grid, grid[0].get_xlabel(), "validation accuracy (%)")
    extra = [] if thesis is None else [star_sample("thesis, table 5")]
    legend_of(figure, grid, told_of_runs("accuracies", _counts(finished), EACH), extra)
    return np.array(grid, dtype=object)


def margins_against_volume(runs: pd.DataFrame, axes: Axes) -> Axes:
    """Confidence margins on the validation images against data volume: correct solid, incorrect dashed and hollow.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
    """
    finished, labels = _by_label(runs)
    marks = unordered_marks(labels)
    for label, mark in marks.items():
        curve = finished[finished["label"] == label]
        _against_volume(curve, "margin_correct", axes, mark, named(label))
        _against_volume(curve, "margin_incorrect", axes, mark, None, hollow=True)
    extra = [sample("correct predictions"), sample("incorrect predictions", "--")]
    return _finish(finished, axes, "confidence margin, last evaluation (%)", extra)


def calibration_against_volume(runs: pd.DataFrame, axes: Axes) -> Axes:
    """The calibration error on the validation images (15 bins) against data volume, in percentage points.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
    """
    finished, labels = _by_label(runs)
    for label, mark in unordered_marks(labels).items():
        _against_volume(finished[finished["label"] == label], "calibration_error", axes, mark, named(label))
    axes.set_ylim(bottom=0)
    return _finish(finished, axes, "calibration error, last evaluation\n(percentage points)")


def training_time(runs: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """How long training and evaluation took against data volume (companion of thesis table 2).

    With the budget `iterations` it should be level: all fractions train for the same number of iterations.

    Args:
        runs: As `load_study` gives them.
        axes: Where to draw.
        thesis: `thesis.thesis_numbers()`, of which table 2 is laid over: stars at 5 %.
    """
    finished, labels = _by_label(runs)
    seconds = finished["seconds_train"] + finished["seconds_val"]
    theirs = training_times(thesis)
    longest = max([0.0, *seconds.dropna(), *theirs["value"]])
    unit = [name for name, size in TIMES.items() if longest >= 2 * size or name == "seconds"][-1]
    finished = finished.assign(time=seconds / TIMES[unit] / 100)  # `_against_volume` draws per cent
    for label, mark in unordered_marks(labels).items():
        _against_volume(finished[finished["label"] == label], "time", axes, mark, named(label))
    extra = []
    if thesis is not None:
        stars(theirs["fraction"] * full_size(finished), theirs["value"] / TIMES[unit], axes, LINE["color"])
        extra = [star_sample("thesis, table 2:\nMobileNetV2, 1,800 epochs")]
    axes.set_ylim(bottom=0)
    return _finish(finished, axes, f"training and evaluation ({unit})", extra)


def _by_label(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    finished = labelled(runs)
    return finished, sorted(finished["label"].unique())


def _counts(finished: pd.DataFrame) -> Iterable[int]:
    return finished.groupby(["label", "images"]).size()


def _against_volume(
    curve: pd.DataFrame, column: str, axes: Axes, mark: Mark, label: str | None, hollow: bool = False
) -> None:
    """Means over seeds as a line with marks, in per cent; each run as a dot, or from four on a band."""
    known = curve[curve[column].notna()]
    by_size = (100 * known[column].astype(float)).groupby(known["images"])
    counts = by_size.size()
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
    title = told_of_runs("networks", _counts(finished), EACH)
    legend_beside(axes, title, [*axes.get_legend_handles_labels()[0], *extra])
    return axes
