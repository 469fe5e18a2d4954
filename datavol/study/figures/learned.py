"""Which images only larger subsets learn; the frame is that of `datavol.study.tables.image_fates`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.study.figures.confidence import NAMED_CLASSES
from datavol.study.figures.style import legend_of, ordered_marks, outer_labels, share, titled, wrapped_panels
from datavol.study.tables.image_fates import FORGOTTEN, NEVER, fate_counts

NOT_LEARNED: dict[str, dict[str, Any]] = {
    FORGOTTEN: {"color": "0.75", "hatch": "////", "label": "forgotten"},
    NEVER: {"color": "0.92", "label": "never learned"},
}


def images_by_fate(images: pd.DataFrame, figure: Figure | SubFigure, names: Sequence[str] | None = None) -> np.ndarray:
    """From which fraction on the validation images of every class are recognised, as shares of the class.

    Args:
        images: `learned_images(runs)`.
        figure: An empty one; its size is set.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Axes (labels,), one per curve: the whole validation set on top, then a row per class, those that are learned
        from the least data first (the mean over panels).
    """
    counts = fate_counts(images)
    per_cent = (100 * counts.astype(float)).div(counts.sum(axis=1).astype(float), axis=0).fillna(0)
    order = _mean_ranks(per_cent).groupby("class").mean().sort_values(kind="stable").index
    labels = sorted(images["label"].unique())
    grid = wrapped_panels(figure, len(labels), sharey=True, height=float(np.clip(0.26 * len(order) + 0.6, 2.5, 8)))
    for label, axes in zip(labels, grid, strict=True):
        whole = counts.loc[label].sum()
        _stack(pd.DataFrame([100 * whole / whole.sum()]).astype(float).fillna(0), np.array([_top(len(order)), 0]), axes)
        _stack(per_cent.loc[label].reindex(order).fillna(0), np.arange(len(order) + 1), axes)
        axes.set(xlim=(0, 100), ylim=(len(order), _top(len(order))))
        axes.grid(visible=False)
        titled(axes, label)
    _name_rows(grid[0], list(order), names)
    few = len(order) <= NAMED_CLASSES
    outer_labels(grid, "validation images (%)", "" if few else f"{len(order):,} classes, the easiest on top")
    entries = dict(zip(*reversed(grid[0].get_legend_handles_labels()), strict=True))
    legend_of(figure, [], "recognised from this\nfraction on", list(entries.values()))
    return np.array(grid, dtype=object)


def _top(classes: int) -> float:
    """Where the row of the whole begins, above the classes' 0: as high as a class, or 4 % of the panel."""
    return -max(1.0, 0.04 * classes)


def _mean_ranks(per_cent: pd.DataFrame) -> pd.Series:
    """The mean place, among the fates in their order, of the images of every curve and class."""
    return (per_cent * np.arange(per_cent.shape[1])).sum(axis=1)


def _stack(rows: pd.DataFrame, edges: np.ndarray, axes: Axes) -> None:
    """Rows of shares that add up to 100, each row from one edge to the next."""
    marks = ordered_marks(name for name in rows if isinstance(name, float))
    looks: dict[Any, Any] = {name: {"color": mark.colour, "label": share(name)} for name, mark in marks.items()}
    looks |= NOT_LEARNED
    left, many = np.zeros(len(rows)), len(rows) > NAMED_CLASSES
    for name in rows:
        right, look = left + rows[name].to_numpy(), looks[name]
        axes.stairs(right, edges, baseline=left, orientation="horizontal", fill=True, lw=0, rasterized=many, **look)
        left = right


def _name_rows(axes: Axes, order: list[int], names: Sequence[str] | None) -> None:
    every = -(-len(order) // NAMED_CLASSES)
    shown = order[::every]
    told = [str(number) if names is None else names[number] for number in shown]
    places = [_top(len(order)) / 2, *(np.arange(len(shown)) * every + 0.5)]
    axes.set_yticks(places, ["all", *told], fontsize="small" if every == 1 else "x-small")
