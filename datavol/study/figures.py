"""Figures: a frame in, axes out. Nothing is fitted or computed anew here, and no global style is changed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

STYLE: Any = {**sns.axes_style("ticks"), "axes.grid": True, "grid.color": "0.9", "axes.axisbelow": True}
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def accuracy_against_volume(points: pd.DataFrame, axes: Axes) -> Axes:
    """Draw last-evaluation accuracy against the number of training images, one line per network and recipe.

    Args:
        points: As `tables.learning_curve_points` gives them: `label`, `images`, `fraction`, `accuracy`, `low`, `high`,
            in per cent.
        axes: Where to draw.
    """
    groups = list(points.groupby("label", sort=True))
    for (label, runs), colour, marker in zip(
        groups, sns.color_palette("colorblind", len(groups)), MARKERS * 9, strict=False
    ):
        means = runs.groupby("images", as_index=False)["accuracy"].mean()
        axes.plot(means["images"], means["accuracy"], color=colour, linewidth=1.5)
        bars = [runs["accuracy"] - runs["low"], runs["high"] - runs["accuracy"]]
        axes.errorbar(
            runs["images"],
            runs["accuracy"],
            bars,
            color=colour,
            marker=marker,
            linestyle="none",
            capsize=3,
            label=label,
        )
    _volume_axis(points, axes)
    axes.set_ylabel("validation top-1, last evaluation (%)")
    axes.legend(frameon=False, loc="best")
    return axes


def _volume_axis(points: pd.DataFrame, axes: Axes) -> None:
    """A logarithmic axis with a tick at every subset: its images, and its share of the full set."""
    ticks = points.groupby("images")["fraction"].first()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks.index.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    names = {images: f"{images:,}\n{100 * fraction:g} %" for images, fraction in ticks.items()}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda images, _: names.get(round(images), "")))
    axes.set_xlabel("training images (share of the full set)")
