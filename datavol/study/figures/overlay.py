"""The numbers that the thesis prints (`datavol.study.tables.thesis`), laid over a study's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from datavol.study.figures.style import GREY, Mark, sample

LINE: Any = {"color": "0.25", "linestyle": (0, (2, 1.5)), "linewidth": 1.2}
PUBLISHED: Any = {**LINE, "linestyle": (0, (1, 2))}


def level_lines(
    thesis: pd.DataFrame, where: Sequence[str], model: str, axes: Axes, metrics: Sequence[str]
) -> list[Line2D]:
    """Level lines at a network's accuracies, with their numbers beside the axes; returns entries for the legend.

    Args:
        thesis: `thesis.thesis_accuracies()`.
        where: The tables to take them from.
        model: The network's name.
        axes: Where to draw.
        metrics: Of `top1` and `top5`.
    """
    rows = thesis[thesis["where"].isin(where) & (thesis["model"] == model)].sort_values("top1")
    sides = ["center"] if len(rows) == 1 else ["top", *["bottom"] * (len(rows) - 1)]  # two numbers lie close together
    entries = []
    for (_, row), side in zip(rows.iterrows(), sides, strict=False):
        published = row["subject"] == "pytorch"
        line = PUBLISHED if published else LINE
        name = f"PyTorch: {model}" if published else f"thesis: {model}, {row['epochs']} epochs"
        entries.append(sample(name, line["linestyle"], colour=line["color"], linewidth=line["linewidth"]))
        for metric in metrics:
            axes.axhline(100 * row[metric], **line)
            _beside(100 * row[metric], axes, side)
    return entries


def full_set_stars(
    thesis: pd.DataFrame, points: pd.DataFrame, metric: str, axes: Axes, marks: dict[str, Mark]
) -> Line2D:
    """The accuracy on the full set (table 5) as a star of each label's colour; returns an entry for the legend.

    Args:
        thesis: `thesis.thesis_accuracies()`.
        points: With `label`, `model`, `images` and `fraction`, which say where the full set stands.
        metric: `top1` or `top5`.
        axes: Where to draw.
        marks: Of the labels.
    """
    models = points.groupby("label")["model"].first()
    for label, mark in marks.items():
        rows = thesis[(thesis["where"] == "table 5") & (thesis["model"] == models[label])]
        stars([full_size(points)] * len(rows), 100 * rows[metric], axes, mark.colour)
    return star_sample("thesis, table 5")


def training_times(thesis: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of `thesis.thesis_numbers()` with the training times of table 2, in seconds; without it none."""
    if thesis is None:
        return pd.DataFrame({"fraction": [], "value": []})
    return thesis[(thesis["where"] == "table 2") & (thesis["quantity"] == "training_time")]


def stars(x: Any, y: Any, axes: Axes, colour: Any) -> None:
    """Stars, above everything else."""
    axes.scatter(x, y, marker="*", s=120, facecolor=colour, edgecolor="black", linewidth=0.6, zorder=4)


def star_sample(name: str) -> Line2D:
    """A star for the legend."""
    return sample(name, "", "*", LINE["color"], markersize=10)


def full_size(points: pd.DataFrame) -> float:
    """The images of the full set, as the subsets have it."""
    return float((points["images"] / points["fraction"]).median())


def _beside(value: float, axes: Axes, side: str) -> None:
    axes.annotate(
        f"{value:.1f}",
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va=side,
        fontsize="small",
        color=GREY,
        annotation_clip=False,
    )
