"""Overlays the thesis's printed numbers (`datavol.study.tables.thesis`) on a study's figures."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from datavol.study.figures.style import GREY, Mark, legend_entry

THESIS_LINE: Any = {"color": "0.25", "linestyle": (0, (2, 1.5)), "linewidth": 1.2}
PUBLISHED_LINE: Any = {**THESIS_LINE, "linestyle": (0, (1, 2))}


def level_lines(
    thesis: pd.DataFrame, where: Sequence[str], model: str, axes: Axes, metrics: Sequence[str]
) -> list[Line2D]:
    """Draw horizontal lines at a network's accuracies; return their legend entries.

    Args:
        thesis: `thesis.thesis_accuracies()`.
        where: The tables to take them from.
        model: The network's name.
        axes: Where to draw.
        metrics: Of `top1` and `top5`.
    """
    rows = thesis[thesis["where"].isin(where) & (thesis["model"] == model)].sort_values("top1")
    # Two numbers lie close together: the lower one is written below its line, the higher one above.
    alignments = ["center"] if len(rows) == 1 else ["top", *["bottom"] * (len(rows) - 1)]
    entries = []
    for (_, row), alignment in zip(rows.iterrows(), alignments, strict=False):  # no row: one alignment too many
        published = row["subject"] == "pytorch"
        line = PUBLISHED_LINE if published else THESIS_LINE
        name = f"PyTorch: {model}" if published else f"thesis: {model}, {row['epochs']} epochs"
        entries.append(legend_entry(name, line["linestyle"], colour=line["color"], linewidth=line["linewidth"]))
        for metric in metrics:
            axes.axhline(100 * row[metric], **line)
            _write_beside(100 * row[metric], axes, alignment)
    return entries


def full_set_stars(
    thesis: pd.DataFrame, points: pd.DataFrame, metric: str, axes: Axes, marks: dict[str, Mark]
) -> Line2D:
    """Draw table 5's accuracies as stars; return their legend entry.

    Args:
        thesis: `thesis.thesis_accuracies()`.
        points: With `label`, `model`, `images` and `fraction`, from which the size of the full set follows.
        metric: `top1` or `top5`.
        axes: Where to draw.
        marks: Of the labels, whose colours the stars take.
    """
    models = points.groupby("label")["model"].first()
    for label, mark in marks.items():
        rows = thesis[(thesis["where"] == "table 5") & (thesis["model"] == models[label])]
        draw_stars([full_size(points)] * len(rows), 100 * rows[metric], axes, mark.colour)
    return star_entry("thesis, table 5")


def training_times(thesis: pd.DataFrame | None) -> pd.DataFrame:
    """Select table 2's training times in seconds from `thesis.thesis_numbers()`."""
    if thesis is None:
        return pd.DataFrame({"fraction": [], "value": []})
    return thesis[(thesis["where"] == "table 2") & (thesis["quantity"] == "training_time")]


def draw_stars(x: Any, y: Any, axes: Axes, colour: Any) -> None:
    """Draw stars above everything else."""
    axes.scatter(x, y, marker="*", s=120, facecolor=colour, edgecolor="black", linewidth=0.6, zorder=4)


def star_entry(name: str) -> Line2D:
    """Make a star's legend entry."""
    return legend_entry(name, "", "*", THESIS_LINE["color"], markersize=10)


def full_size(points: pd.DataFrame) -> float:
    """Estimate the full set's images from the subsets, whose sizes are rounded."""
    return float((points["images"] / points["fraction"]).median())


def _write_beside(value: float, axes: Axes, alignment: str) -> None:
    axes.annotate(
        f"{value:.1f}",
        (1, value),
        xycoords=("axes fraction", "data"),  # at the right edge of the axes, at the height of the value
        xytext=(3, 0),
        textcoords="offset points",
        va=alignment,
        fontsize="small",
        color=GREY,
        annotation_clip=False,
    )
