"""Plots which images only larger subsets learn (`datavol.study.tables.image_fates`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.cli.text import per_cent
from datavol.study.figures.confidence import NAMED_CLASSES
from datavol.study.figures.style import (
    PANEL,
    SMALL_LETTER,
    figure_legend,
    first_of_rows,
    longest,
    make_room,
    ordered_marks,
    outer_labels,
    set_title,
    wrapped_panels,
)
from datavol.study.tables.image_fates import FORGOTTEN, NEVER, fate_counts

NOT_LEARNED: dict[str, dict[str, Any]] = {
    FORGOTTEN: {"color": "0.75", "hatch": "////", "label": "forgotten"},
    NEVER: {"color": "0.92", "label": "never learned"},
}


def images_by_fate(images: pd.DataFrame, figure: Figure | SubFigure, names: Sequence[str] | None = None) -> np.ndarray:
    """Plot per class the shares of images recognised from each fraction on.

    Args:
        images: `learned_images(runs)`.
        figure: An empty one; its size is set.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Axes (labels,), one per curve: the whole validation set on top, then a row per class, those that are learned
        from the least data first (the mean over panels).
    """
    counts = fate_counts(images)
    # Shares (curves and classes, fates) in per cent; fates that a curve did not measure, and classes it lacks, are 0.
    shares = (100 * counts.astype(float)).div(counts.sum(axis=1).astype(float), axis=0).fillna(0)
    # A class's rank is the mean index of its images' fates, whose columns go from the smallest fraction to `never`.
    ranks = (shares * np.arange(shares.shape[1])).sum(axis=1)
    order = ranks.groupby("class").mean().sort_values(kind="stable").index
    labels, top = sorted(images["label"].unique()), _top(len(order))
    grid = wrapped_panels(figure, len(labels), sharey=True, height=float(np.clip(0.26 * len(order) + 0.6, 2.5, 8)))
    beside = SMALL_LETTER * longest(names or ()) / min(3, len(labels))  # inches, of names in the first column alone
    make_room(figure, grid, PANEL[0] + max(0.0, beside - 0.4))
    for label, axes in zip(labels, grid, strict=True):
        whole = counts.loc[label].sum()
        _draw_stack(pd.DataFrame([100 * whole / whole.sum()]).astype(float).fillna(0), np.array([top, 0]), axes)
        _draw_stack(shares.loc[label].reindex(order).fillna(0), np.arange(len(order) + 1), axes)
        axes.set(xlim=(0, 100), ylim=(len(order), top))  # downwards
        axes.grid(visible=False)
        set_title(axes, label)
    for axes in first_of_rows(grid):  # which all share the axis, and have labels of their own
        _name_rows(axes, list(order), names)
    few = len(order) <= NAMED_CLASSES
    outer_labels(grid, "validation images (%)", "" if few else f"{len(order):,} classes, the easiest on top")
    entries = dict(zip(*reversed(grid[0].get_legend_handles_labels()), strict=True))  # by label: two stacks
    figure_legend(figure, [], "recognised from this\nfraction on", list(entries.values()))
    return np.array(grid, dtype=object)


def _top(classes: int) -> float:
    """Compute the upper edge of the row of all classes.

    The classes' rows begin at 0 and go down; this one is as high as one of them, or 4 % of the panel.
    """
    return -max(1.0, 0.04 * classes)


def _draw_stack(rows: pd.DataFrame, edges: np.ndarray, axes: Axes) -> None:
    """Draw stacked bars, row i from `edges[i]` to `edges[i + 1]`."""
    marks = ordered_marks(name for name in rows if isinstance(name, float))
    looks: dict[Any, Any] = {name: {"color": mark.colour, "label": per_cent(name)} for name, mark in marks.items()}
    looks |= NOT_LEARNED
    left, many = np.zeros(len(rows)), len(rows) > NAMED_CLASSES  # many bars are drawn as pixels, to keep files small
    for name in rows:
        right, look = left + rows[name].to_numpy(), looks[name]
        # One artist per fate instead of one bar per class: a thousand classes stay fast.
        axes.stairs(right, edges, baseline=left, orientation="horizontal", fill=True, lw=0, rasterized=many, **look)
        left = right


def _name_rows(axes: Axes, order: list[int], names: Sequence[str] | None) -> None:
    every = -(-len(order) // NAMED_CLASSES)
    shown = order[::every]
    labels = [str(number) if names is None else names[number] for number in shown]
    ticks = [_top(len(order)) / 2, *(np.arange(len(shown)) * every + 0.5)]  # centres of the rows
    axes.set_yticks(ticks, ["all", *labels], fontsize="small" if every == 1 else "x-small")
