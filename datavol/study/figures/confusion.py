"""Plots which classes are mistaken for which (`datavol.study.tables.confusion`)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datavol.cli.text import per_cent
from datavol.study.figures.style import GREY, SMALL_LETTER, longest, make_room, outer_labels, set_title, wrapped_panels
from datavol.study.tables.confusion import most_confused

MATRIX_CLASSES = 20  # of more, the pairs that are mistaken most
NUMBERED_CLASSES = 12  # that leave room for a number in each cell
PAIRS = 20
SHORT = 16  # letters of a name below the matrix
CELL, ROW = 0.3, 0.26  # inches: a cell of the matrix, a bar
ARROW = " \N{RIGHTWARDS ARROW} "


def confusion(counts: pd.DataFrame, figure: Figure | SubFigure, names: Sequence[str] | None = None) -> np.ndarray:
    """Plot a confusion matrix per curve, or of many classes the worst pairs.

    Args:
        counts: `confusions(runs)`.
        figure: An empty one; its size is set.
        names: Of the classes, by number; by default the numbers.

    Returns:
        Axes (labels,), one per curve.
    """
    classes = np.unique(counts[["class", "predicted"]])
    written = {number: str(number) if names is None else names[number] for number in classes.tolist()}
    draw = _matrices if len(classes) <= MATRIX_CLASSES else _pairs
    return np.array(draw(counts, figure, written), dtype=object)


def _titled(counts: pd.DataFrame, label: str) -> str:
    """Add to a curve's name which runs are counted."""
    curve = counts[counts["label"] == label].iloc[0]
    runs = f", mean of {curve['runs']} runs" if curve["runs"] > 1 else ""
    return f"{label}: {per_cent(curve['fraction'])}{runs}"


def _matrices(counts: pd.DataFrame, figure: Figure | SubFigure, names: dict[int, str]) -> list[Axes]:
    labels, numbers = sorted(counts["label"].unique()), list(names)
    below = [name if len(name) <= SHORT else f"{name[: SHORT - 1]}…" for name in names.values()]
    cells_size = CELL * len(numbers)  # inches, either way
    grid = wrapped_panels(figure, len(labels), 2, height=cells_size + SMALL_LETTER * longest(below) + 0.3)
    make_room(figure, grid, cells_size + SMALL_LETTER * longest(names.values()) + 1.0 / min(len(labels), 2))
    # Cells (classes, answers) in per cent of the class's images; right answers are no mistakes, and have no colour
    cells = {
        label: 100 * counts[counts["label"] == label].pivot_table(index="class", columns="predicted", values="share")
        for label in labels
    }
    cells = {label: one.reindex(index=numbers, columns=numbers).fillna(0) for label, one in cells.items()}
    wrong = {label: one.where(~np.eye(len(numbers), dtype=bool)) for label, one in cells.items()}
    most = max(1.0, *(float(np.nanmax(one.to_numpy())) for one in wrong.values()))
    for label, axes in zip(labels, grid, strict=True):
        image = axes.imshow(wrong[label], cmap="Oranges", vmin=0, vmax=most, aspect="equal")
        axes.set_facecolor("0.85")  # of the diagonal
        _number(cells[label].to_numpy(), axes, most)
        axes.set_xticks(range(len(numbers)), below, rotation=90, fontsize="small")
        axes.set_yticks(range(len(numbers)), list(names.values()), fontsize="small")
        axes.grid(visible=False)
        set_title(axes, _titled(counts, label))
    outer_labels(grid, "the network says", "it is")
    bar = figure.colorbar(image, ax=grid, fraction=0.05 / min(len(grid), 2), pad=0.01)
    bar.set_label("mistaken (% of the class's images)")
    return grid


def _number(cells: np.ndarray, axes: Axes, most: float) -> None:
    """Write the per cent of each cell into it, but for those that round to 0."""
    if len(cells) > NUMBERED_CLASSES:
        return
    for row, column in zip(*np.nonzero(cells.round()), strict=True):
        value = cells[row, column]
        colour = "white" if row != column and value > 0.6 * most else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize="x-small", color=colour)


def _pairs(counts: pd.DataFrame, figure: Figure | SubFigure, names: dict[int, str]) -> list[Axes]:
    labels = sorted(counts["label"].unique())
    worst = {label: most_confused(counts[counts["label"] == label], PAIRS) for label in labels}
    texts = {
        label: [f"{names[true]}{ARROW}{names[said]}" for true, said in one[["class", "predicted"]].to_numpy().tolist()]
        for label, one in worst.items()
    }
    grid = wrapped_panels(figure, len(labels), 1, height=ROW * max(map(len, worst.values())) + 0.5)
    make_room(figure, grid, 3.0 + SMALL_LETTER * max((longest(one) for one in texts.values() if one), default=0))
    for label, axes in zip(labels, grid, strict=True):
        rows = worst[label]
        axes.barh(range(len(rows)), rows["images"], color=GREY, height=0.7)
        for place, (images, share) in enumerate(rows[["images", "share"]].to_numpy().tolist()):
            axes.text(images, place, f" {per_cent(share, 2)}", va="center", fontsize="small")
        axes.set_yticks(range(len(rows)), texts[label], fontsize="small")
        axes.set(ylim=(max(len(rows), 1) - 0.5, -0.5), xlim=(0, 1.15 * rows["images"].max() if len(rows) else 1))
        set_title(axes, _titled(counts, label))
    outer_labels(grid, "validation images\n(beside a bar: of the class's)", "")
    return grid
