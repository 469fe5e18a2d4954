"""Plots class sizes and overlaps of subsets (`datavol.study.tables.overlap`)."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from datavol.cli.text import per_cent
from datavol.study.figures.overlay import THESIS_LINE
from datavol.study.figures.style import (
    GREY,
    figure_legend,
    legend_beside,
    legend_entry,
    ordered_marks,
    outer_labels,
    wrapped_panels,
)

MOST_PAIRS = 12
NUMBERED_SUBSETS = 12
NAMED_SUBSETS = 30


def class_sizes(sizes: pd.DataFrame, axes: Axes, thesis: pd.DataFrame | None = None) -> Axes:
    """Plot the training images of each class, largest first (thesis figure 8).

    Args:
        sizes: `overlap.images_per_class(runs)`; several subsets of one fraction are averaged class by class.
        axes: Where to draw.
        thesis: `thesis.thesis_numbers()`, of which the smallest class and the mean of ImageNet (section 4.2) are laid
            over; both are approximate.
    """
    fractions = sizes["fraction"].unique()
    for fraction, mark in sorted(ordered_marks(fractions).items(), reverse=True):
        counts = sizes[sizes["fraction"] == fraction].groupby("class")["images"].mean().sort_values(ascending=False)
        line = {"color": mark.colour, "marker": mark.marker, "markevery": max(1, len(counts) // 10), "markersize": 4.5}
        axes.plot(np.arange(1, len(counts) + 1), counts, **line, label=per_cent(fraction))
    extra = [] if thesis is None else _draw_section_4_2(thesis, axes)
    axes.set(xlabel="classes, the largest first", ylabel="training images of the class")
    if len(fractions) > 1:  # scaled copies of one shape are parallel on a logarithmic axis
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda images, _: f"{images:,.4g}"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_beside(axes, "fraction of the\ntraining set", extra)
    return axes


def class_overlaps(overlap: pd.DataFrame, figure: Figure | SubFigure, thesis: pd.DataFrame | None = None) -> np.ndarray:
    """Plot overlaps of pairs of subsets class by class (thesis figure 10).

    Of more than twelve pairs the twelve that share the most are drawn, and the legend notes it.

    Args:
        overlap: `overlap.overlap_per_class(runs, labels)`.
        figure: An empty one; its size is set.
        thesis: `thesis.thesis_numbers()`, of which the largest share of any class (section 5.1) is laid over.

    Returns:
        Axes (pairs,).
    """
    pairs = overlap.groupby(["first", "second"], sort=False)
    shared = pairs["share"].mean().sort_values(ascending=False, kind="stable")  # over classes; a row per pair
    kept: Any = [pair for pair in pairs.groups if pair in shared.index[:MOST_PAIRS]]  # in the frame's order
    grid = wrapped_panels(figure, len(kept), sharex=True, sharey=True)
    for (first, second), axes in zip(kept, grid, strict=True):
        pair = pairs.get_group((first, second)).sort_values("share", ascending=False)
        shares, expected, ranks = 100 * pair["share"], 100 * pair["expected_share"], np.arange(1, len(pair) + 1)
        axes.plot(ranks, shares, color=sns.color_palette("colorblind")[0], label="measured")
        axes.plot(ranks, expected, color=GREY, linestyle="--", linewidth=1, label="expected by chance")
        if thesis is not None:
            largest = thesis[(thesis["where"] == "section 5.1") & (thesis["quantity"] == "overlap")]["value"].max()
            axes.axhline(100 * largest, **THESIS_LINE, label=f"thesis: at most {100 * largest:.0f} %, two of 5 %")
        axes.set_title(f"{first}\nand {second}", loc="left", fontsize="medium")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    grid[0].set_ylim(bottom=0)
    outer_labels(grid, "classes, the most shared first", "shared of the class (%)")
    some = f"{len(kept)} of {len(shared):,} pairs,\nthose that share the most"
    figure_legend(figure, grid, some if len(shared) > len(kept) else "overlap")
    return np.array(grid, dtype=object)


def overlap_heat_map(matrix: pd.DataFrame, axes: Axes) -> Axes:
    """Draw a heat map of pairwise overlaps (compare thesis table 1).

    Args:
        matrix: From `overlap.overlap_matrix` or `overlap.expected_overlap`; shares of the smaller subset.
        axes: Where to draw.
    """
    size = len(matrix)
    sns.heatmap(
        100 * matrix,
        ax=axes,
        vmin=0,
        vmax=100,
        cmap="viridis",
        square=True,
        annot=size <= NUMBERED_SUBSETS,
        fmt=".3g",
        annot_kws={"fontsize": "small" if size <= 8 else "x-small"},
        cbar_kws={"label": "shared of the smaller subset (%)"},
        rasterized=True,
    )
    every = -(-size // NAMED_SUBSETS)  # rounded up: of many subsets every second, third ... is named
    ticks, names = np.arange(0, size, every) + 0.5, list(matrix.index)[::every]  # 0.5: the centre of a cell
    fontsize = "small" if size <= 12 else "x-small"
    axes.set_xticks(ticks, names, rotation=90, fontsize=fontsize)
    axes.set_yticks(ticks, names, rotation=0, fontsize=fontsize)
    return axes


def _draw_section_4_2(thesis: pd.DataFrame, axes: Axes) -> list:
    entries = []
    words = {"training_images_per_class": "mean", "smallest_class": "smallest"}
    for (quantity, word), line in zip(words.items(), ("--", ":"), strict=True):
        value = thesis[(thesis["where"] == "section 4.2") & (thesis["quantity"] == quantity)]["value"].iloc[0]
        axes.axhline(value, color=THESIS_LINE["color"], linestyle=line, linewidth=THESIS_LINE["linewidth"])
        entries.append(legend_entry(f"thesis, {word}: about {value:,.0f}", line, colour=THESIS_LINE["color"]))
    return entries
