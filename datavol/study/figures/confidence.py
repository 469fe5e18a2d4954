"""How sure the networks are, and how rightly; the frames are those of `datavol.study.tables.confidence`, over runs.

A panel per network, a line per fraction; the images of several seeds are taken together, class accuracies averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.study.figures.style import (
    GREY,
    legend_of,
    ordered_marks,
    outer_labels,
    panels,
    sample,
    share,
    titled,
    wrapped_panels,
)

MARGIN_BINS = 20
LARGEST_MARK = 130.0
NAMED_CLASSES = 40
"""So many class names are legible below each other; of more, every second, third ... is named."""
NUMBERED = (20, 8)
"""Up to so many classes and fractions the cells of a heat map hold their numbers."""


def reliability_diagram(bins: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Accuracy against confidence, in bins: on the diagonal confidence can be taken at its word, below it is too high.

    Args:
        bins: `over_runs(runs, reliability_bins)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels,). The area of a mark is the share of the images in its bin.
    """
    labels, marks = sorted(bins["label"].unique()), ordered_marks(bins["fraction"].unique())
    grid = wrapped_panels(figure, len(labels), sharey=True, height=3.1)
    for label, axes in zip(labels, grid, strict=True):
        axes.axline((0, 0), slope=1, color=GREY, linestyle="--", linewidth=1)
        for fraction, group in sorted(bins[bins["label"] == label].groupby("fraction"), reverse=True):
            told, mark = _pooled(group), marks[fraction]
            axes.plot(told["confidence"], told["accuracy"], color=mark.colour, linewidth=1.2)
            axes.scatter(
                told["confidence"],
                told["accuracy"],
                LARGEST_MARK * told["images"] / told["images"].sum() + 6,
                color=mark.colour,
                marker=mark.marker,
            )
        axes.set(xlim=(-2, 102), ylim=(-2, 102))
        titled(axes, label)
    outer_labels(grid, "confidence (%)", "accuracy (%)")
    entries = [sample(share(f), m.line, m.marker, m.colour) for f, m in reversed(marks.items())]
    legend_of(figure, [], _title(bins, "area: share of images"), [*entries, sample("confidence = accuracy", "--")])
    return np.array(grid, dtype=object)


def margin_distributions(margins: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """How the confidence margins of the validation images are distributed (behind the means of thesis figures 20, 21).

    Args:
        margins: `over_runs(runs, margins)`.
        figure: An empty one; its size is set.

    Returns:
        Axes (labels, 2): correct predictions left, incorrect right, each adding up to 100 %.
    """
    labels, marks = sorted(margins["label"].unique()), ordered_marks(margins["fraction"].unique())
    grid = panels(figure, len(labels), 2, sharex=True, sharey=True)
    edges = np.linspace(0, 1, MARGIN_BINS + 1)
    for label, row in zip(labels, grid, strict=True):
        for correct, axes in zip((True, False), row, strict=True):
            group = margins[(margins["label"] == label) & (margins["correct"] == correct)]
            for fraction, images in sorted(group.groupby("fraction"), reverse=True):
                counts, mark = np.histogram(images["margin"], edges)[0], marks[fraction]
                middles = 50 * (edges[1:] + edges[:-1])
                line = {"color": mark.colour, "marker": mark.marker, "markevery": 3, "markersize": 4.5}
                axes.plot(middles, 100 * counts / counts.sum(), **line, label=share(fraction))
            titled(axes, f"{label}: {'correct' if correct else 'incorrect'} predictions")
    outer_labels(grid.ravel(), "confidence margin (%)", f"images (%, in steps of {100 / MARGIN_BINS:g})")
    legend_of(figure, grid.flat, _title(margins))
    return grid


def risk_coverage_curves(curves: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """The error among the surest predictions against the share of images that they are.

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
            steps, mark = group.groupby("coverage")["error"].mean(), marks[fraction]
            line = {"color": mark.colour, "marker": mark.marker, "markevery": 0.15, "markersize": 4.5}
            axes.plot(100 * steps.index, 100 * steps, **line, label=share(fraction))
        titled(axes, label)
        axes.set_xlim(0, 102)
    grid[0].set_ylim(bottom=0)
    outer_labels(grid, "surest images kept (%)", "error among them (%)")
    legend_of(figure, grid, _title(curves))
    return np.array(grid, dtype=object)


def class_heat_map(
    accuracies: pd.DataFrame, figure: Figure | SubFigure, names: Sequence[str] | None = None
) -> np.ndarray:
    """Top-1 of every class at every fraction, the classes in the order of their mean over all panels, the best on top.

    Args:
        accuracies: `over_runs(runs, class_accuracies)`.
        figure: An empty one; its size is set.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Axes (labels,), one per network. Numbers stand in the cells, and names beside them, where they fit.
    """
    labels = sorted(accuracies["label"].unique())
    order = accuracies.groupby("class")["accuracy"].mean().sort_values(ascending=False, kind="stable").index
    grid = wrapped_panels(figure, len(labels), height=float(np.clip(0.26 * len(order), 2.5, 8)))
    for label, axes in zip(labels, grid, strict=True):
        panel = accuracies[accuracies["label"] == label]
        cells = 100 * panel.pivot_table(index="class", columns="fraction", values="accuracy").reindex(order)
        _heat(cells, axes, names)
        titled(axes, label)
    few = len(order) <= NAMED_CLASSES
    outer_labels(grid, "fraction of the training set", "class" if few else f"{len(order):,} classes, best on top")
    if isinstance(figure, Figure):
        figure.set_figwidth(figure.get_figwidth() + 1)
    bar = figure.colorbar(grid[-1].collections[0], ax=grid, fraction=0.05 / min(len(grid), 3), pad=0.01)
    bar.set_label("top-1 of the class (%)" + _of_seeds(accuracies).replace(", ", "\n"))
    return np.array(grid, dtype=object)


def _heat(cells: pd.DataFrame, axes: Axes, names: Sequence[str] | None) -> None:
    numbered = len(cells) <= NUMBERED[0] and cells.shape[1] <= NUMBERED[1]
    sns.heatmap(
        cells, ax=axes, vmin=0, vmax=100, cmap="viridis", cbar=False, annot=numbered, fmt=".0f", rasterized=True
    )
    every = -(-len(cells) // NAMED_CLASSES)
    shown = list(cells.index)[::every]
    told = [str(number) if names is None else names[number] for number in shown]
    axes.set_yticks(
        np.arange(len(shown)) * every + 0.5, told, rotation=0, fontsize="small" if every == 1 else "x-small"
    )
    slanted = cells.shape[1] > 5
    axes.set_xticks(
        np.arange(cells.shape[1]) + 0.5,
        [share(f) for f in cells.columns.astype(float)],
        rotation=90 if slanted else 0,
        fontsize="small",
    )
    axes.set(xlabel="", ylabel="")


def _pooled(group: pd.DataFrame) -> pd.DataFrame:
    """The bins of several runs together, in per cent."""
    sums = group[["confidence", "accuracy"]].mul(100 * group["images"], axis=0).assign(images=group["images"])
    totals = sums.groupby(group["bin"]).sum()
    return totals.assign(**{name: totals[name] / totals["images"] for name in ("confidence", "accuracy")})


def _title(frame: pd.DataFrame, more: str = "") -> str:
    title = "fraction of the training set"
    return "\n".join(part for part in (title, more, _of_seeds(frame).strip(", ")) if part)


def _of_seeds(frame: pd.DataFrame) -> str:
    most = frame.groupby(["label", "fraction"])["run"].nunique().max()
    return f", up to {most} runs together" if most > 1 else ""
