"""Plots confidence against correctness, from the frames of `datavol.study.tables.confidence`.

A panel per network, a line per fraction; the images of several seeds are pooled, class accuracies averaged.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.cli.text import per_cent
from datavol.study.figures.style import (
    GREY,
    SMALL_LETTER,
    figure_legend,
    legend_entry,
    longest,
    make_room,
    ordered_marks,
    outer_labels,
    panels,
    set_title,
    wrapped_panels,
)

MARGIN_BINS = 20
LARGEST_MARK = 130.0  # square points, of a bin with all images
LEAST_IN_BIN = 10  # images, of which fewer say nothing of a bin's accuracy
NAMED_CLASSES = 40  # that are legible below each other; of more, every second, third ... is named
NUMBERED_CELLS = (20, 8)  # largest (classes, fractions) of a heat map with numbers in its cells


def reliability_diagram(bins: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot accuracy against confidence in bins; below the diagonal is overconfident.

    Args:
        bins: `over_runs(runs, reliability_bins)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels,). The area of a mark is the share of the images in its bin; bins of a few images are left out.
    """
    labels, marks = sorted(bins["label"].unique()), ordered_marks(bins["fraction"].unique())
    grid = wrapped_panels(figure, len(labels), sharey=True, height=3.1)
    for label, axes in zip(labels, grid, strict=True):
        axes.axline((0, 0), slope=1, color=GREY, linestyle="--", linewidth=1)
        for fraction, group in sorted(bins[bins["label"] == label].groupby("fraction"), reverse=True):
            pooled, mark = _pooled(group), marks[fraction]
            areas = LARGEST_MARK * pooled["images"] / pooled["images"].sum() + 6  # a small bin stays visible
            pooled = pooled[pooled["images"] >= min(LEAST_IN_BIN, pooled["images"].max())]
            axes.plot(pooled["confidence"], pooled["accuracy"], color=mark.colour, linewidth=1.2)
            axes.scatter(
                pooled["confidence"], pooled["accuracy"], areas[pooled.index], color=mark.colour, marker=mark.marker
            )
        axes.set(xlim=(-2, 102), ylim=(-2, 102))
        set_title(axes, label)
    outer_labels(grid, "confidence (%)", "accuracy (%)")
    entries = [legend_entry(per_cent(f), m.line, m.marker, m.colour) for f, m in reversed(marks.items())]
    entries.append(legend_entry("confidence = accuracy", "--"))
    figure_legend(figure, [], _title(bins, "area: share of images"), entries)
    return np.array(grid, dtype=object)


def margin_distributions(margins: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot distributions of validation margins (means: thesis figures 20, 21).

    Args:
        margins: `over_runs(runs, margins)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels, 2): correct predictions left, incorrect right, each adding up to 100 %.
    """
    labels, marks = sorted(margins["label"].unique()), ordered_marks(margins["fraction"].unique())
    grid = panels(figure, len(labels), 2, sharex=True, sharey=True)
    edges = np.linspace(0, 1, MARGIN_BINS + 1)
    centres = 50 * (edges[1:] + edges[:-1])  # the mean of two edges, in per cent
    for label, row in zip(labels, grid, strict=True):
        for correct, axes in zip((True, False), row, strict=True):
            group = margins[(margins["label"] == label) & (margins["correct"] == correct)]
            for fraction, images in sorted(group.groupby("fraction"), reverse=True):
                counts, mark = np.histogram(images["margin"], edges)[0], marks[fraction]
                line = {"color": mark.colour, "marker": mark.marker, "markevery": 3, "markersize": 4.5}
                axes.plot(centres, 100 * counts / counts.sum(), **line, label=per_cent(fraction))
            set_title(axes, f"{label}: {'correct' if correct else 'incorrect'} predictions")
    outer_labels(grid.ravel(), "confidence margin (%)", f"images (%, in steps of {100 / MARGIN_BINS:g})")
    figure_legend(figure, grid.flat, _title(margins))
    return grid


def risk_coverage_curves(curves: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot the error of the most confident predictions against coverage.

    Args:
        curves: `over_runs(runs, risk_coverage)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels,).
    """
    labels, marks = sorted(curves["label"].unique()), ordered_marks(curves["fraction"].unique())
    grid = wrapped_panels(figure, len(labels), sharey=True)
    for label, axes in zip(labels, grid, strict=True):
        for fraction, group in sorted(curves[curves["label"] == label].groupby("fraction"), reverse=True):
            steps, mark = group.groupby("coverage")["error"].mean(), marks[fraction]  # over seeds
            line = {"color": mark.colour, "marker": mark.marker, "markevery": 0.15, "markersize": 4.5}
            axes.plot(100 * steps.index, 100 * steps, **line, label=per_cent(fraction))
        set_title(axes, label)
        axes.set_xlim(0, 102)
    grid[0].set_ylim(bottom=0)  # of all panels: they share the axis
    outer_labels(grid, "surest images kept (%)", "error among them (%)")
    figure_legend(figure, grid, _title(curves))
    return np.array(grid, dtype=object)


def class_heat_map(
    accuracies: pd.DataFrame, figure: Figure | SubFigure, names: Sequence[str] | None = None
) -> np.ndarray:
    """Draw a heat map of class accuracies by fraction, best class first.

    Args:
        accuracies: `over_runs(runs, class_accuracies)`.
        figure: An empty one; its size is set.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Axes (labels,), one per network, all with the classes in the order of their mean over panels. Numbers stand in
        the cells, and names beside them, where they fit.
    """
    labels = sorted(accuracies["label"].unique())
    order = accuracies.groupby("class")["accuracy"].mean().sort_values(ascending=False, kind="stable").index
    grid = wrapped_panels(figure, len(labels), height=float(np.clip(0.26 * len(order), 2.5, 8)))
    make_room(figure, grid, 2.4 + SMALL_LETTER * longest(names or ()))
    for label, axes in zip(labels, grid, strict=True):
        panel = accuracies[accuracies["label"] == label]
        # Cells (classes, fractions) are means over seeds; a class that the panel lacks is an empty row.
        cells = 100 * panel.pivot_table(index="class", columns="fraction", values="accuracy").reindex(order)
        _draw_cells(cells, axes, names)
        set_title(axes, label)
    few = len(order) <= NAMED_CLASSES
    outer_labels(grid, "fraction of the training set", "class" if few else f"{len(order):,} classes, best on top")
    if isinstance(figure, Figure):
        figure.set_figwidth(figure.get_figwidth() + 1)  # inches, for the colour bar
    bar = figure.colorbar(grid[-1].collections[0], ax=grid, fraction=0.05 / min(len(grid), 3), pad=0.01)
    bar.set_label("top-1 of the class (%)" + _pooled_runs(accuracies).replace(", ", "\n"))
    return np.array(grid, dtype=object)


def _draw_cells(cells: pd.DataFrame, axes: Axes, names: Sequence[str] | None) -> None:
    (rows, columns), (most_rows, most_columns) = cells.shape, NUMBERED_CELLS
    numbered = rows <= most_rows and columns <= most_columns
    sns.heatmap(
        cells, ax=axes, vmin=0, vmax=100, cmap="viridis", cbar=False, annot=numbered, fmt=".0f", rasterized=True
    )
    every = -(-rows // NAMED_CLASSES)  # rounded up: every second row, third row ... is named
    shown = list(cells.index)[::every]
    labels = [str(number) if names is None else names[number] for number in shown]
    ticks = np.arange(len(shown)) * every + 0.5  # centres of rows: cell i reaches from i to i + 1
    axes.set_yticks(ticks, labels, rotation=0, fontsize="small" if every == 1 else "x-small")
    fractions = [per_cent(fraction) for fraction in cells.columns.astype(float)]
    axes.set_xticks(np.arange(columns) + 0.5, fractions, rotation=90 if columns > 5 else 0, fontsize="small")
    axes.set(xlabel="", ylabel="")


def _pooled(group: pd.DataFrame) -> pd.DataFrame:
    """Pool bins of several runs: image-weighted means in per cent."""
    sums = group[["confidence", "accuracy"]].mul(100 * group["images"], axis=0).assign(images=group["images"])
    totals = sums.groupby(group["bin"]).sum()
    return totals.assign(**{name: totals[name] / totals["images"] for name in ("confidence", "accuracy")})


def _title(frame: pd.DataFrame, more: str = "") -> str:
    return "\n".join(part for part in ("fraction of the training set", more, _pooled_runs(frame).strip(", ")) if part)


def _pooled_runs(frame: pd.DataFrame) -> str:
    most = frame.groupby(["label", "fraction"])["run"].nunique().max()
    return f", up to {most} runs together" if most > 1 else ""
