"""Defines what figures share: local style, marks, panels, legends and axes.

Marks stay apart for the colour-blind and in grey print.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from datavol.cli.text import per_cent
from datavol.errors import ConfigError

STYLE: Any = {
    **sns.axes_style("ticks"),
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
"""For `with matplotlib.rc_context(STYLE)`; the figures are legible without it as well."""

METRIC_NAMES = {"top1": "top-1", "top5": "top-5"}
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
GREY = "0.4"
BAND_FROM = 4  # runs of a group from which a band replaces one line per run
PANEL = (3.3, 2.7)  # inches: width and height of a panel in a grid
LINE_HEIGHT, LETTER_WIDTH = 0.23, 0.085  # inches, of text in a legend
SMALL_LETTER = 0.075  # inches, of small text beside an axis


@dataclass(frozen=True)
class Mark:
    """Stores how one group is drawn, and the group's index from 0."""

    colour: Any
    marker: str
    line: Any
    index: int


def unordered_marks(names: Iterable[Any]) -> dict[Any, Mark]:
    """Assign colours, markers and line styles to unordered groups, such as networks."""
    names = list(names)
    colours = sns.color_palette("colorblind", len(names))
    return {
        name: Mark(colour, MARKERS[i % len(MARKERS)], LINES[i % len(LINES)], i)
        for i, (name, colour) in enumerate(zip(names, colours, strict=True))
    }


def ordered_marks(values: Iterable[Any]) -> dict[Any, Mark]:
    """Assign shades to ordered groups, such as fractions: larger is darker."""
    values = sorted(values)
    # viridis is monotonic in luminance, so the order survives grey print; its bright end is invisible on white.
    shades = np.linspace(0.82, 0.0, len(values)) if len(values) != 1 else [0.25]
    colours = sns.color_palette("viridis", as_cmap=True)(shades)
    return {
        value: Mark(tuple(colour), MARKERS[i % len(MARKERS)], "-", i)
        for i, (value, colour) in enumerate(zip(values, colours, strict=True))
    }


def panels(
    figure: Figure | SubFigure, rows: int, columns: int, *, height: float = PANEL[1], **shared: Any
) -> np.ndarray:
    """Fill an empty figure with (rows, columns) axes; set its size.

    Raises:
        ConfigError: If there is nothing to draw.
    """
    if not rows * columns:
        raise ConfigError("a figure must have runs to draw, got none of those it shows; wait, or select less strictly")
    if isinstance(figure, Figure):  # a subfigure takes size and layout from its parent
        figure.set_layout_engine("constrained", w_pad=0.1)
        figure.set_size_inches(columns * PANEL[0], max(rows * height, 2.2) + 0.7)
    return figure.subplots(rows, columns, squeeze=False, **shared)


def wrapped_panels(
    figure: Figure | SubFigure, count: int, columns: int = 3, *, height: float = PANEL[1], **shared: Any
) -> list[Axes]:
    """Fill an empty figure with `count` axes, row by row."""
    columns = min(max(count, 1), columns)
    axes = list(panels(figure, -(-count // columns), columns, height=height, **shared).flat)  # -(-a // b) rounds up
    for spare in axes[count:]:
        spare.remove()
    for one in axes[max(0, count - columns) : count]:  # sharex hides tick labels above, also of a removed panel
        one.tick_params(labelbottom=True)
    return axes[:count]


def set_title(axes: Axes, title: str, **more: Any) -> None:
    """Set a wrapped title on the left."""
    axes.set_title(wrap(title), loc="left", **more)


def wrap(label: str) -> str:
    """Break a curve's name into lines of a legend's width.

    A number and its `%` stay together.
    """
    joined = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", label)  # where textwrap breaks no line
    return textwrap.fill(joined, 30, break_on_hyphens=False).replace("\N{NO-BREAK SPACE}", " ")


def longest(names: Iterable[str]) -> int:
    """Count the letters of the longest name."""
    return max(map(len, names), default=0)


def make_room(figure: Figure | SubFigure, grid: Sequence[Axes], width: float) -> None:
    """Widen a figure so that each column of its panels has `width` inches."""
    columns = 1 + max(_column(one) for one in grid)
    if isinstance(figure, Figure):  # a subfigure takes its size from its parent
        figure.set_figwidth(max(figure.get_figwidth(), columns * width))


def outer_labels(axes: Iterable[Axes], x: str, y: str) -> None:
    """Label the lowest panel of each column, the first of each row."""
    axes = list(axes)
    lowest = {_column(one): one for one in axes}  # panels come row by row: the last of a column overwrites the others
    for one in axes:
        one.set_xlabel(x if one is lowest[_column(one)] else "")
        one.set_ylabel(y if _column(one) == 0 else "")


def first_of_rows(axes: Iterable[Axes]) -> list[Axes]:
    """Select the leftmost panel of each row."""
    return [one for one in axes if _column(one) == 0]


def _column(axes: Axes) -> int:
    cell = axes.get_subplotspec()
    return cell.colspan.start if cell else 0


def legend_beside(axes: Axes, title: str, extra: Iterable[Any] = (), right: float = 1.01) -> None:
    """Put a legend, with `extra` entries, to the right of the axes."""
    axes.legend(
        handles=[*axes.get_legend_handles_labels()[0], *extra],
        loc="upper left",
        bbox_to_anchor=(right, 1),  # in shares of the axes' width and height
        borderaxespad=0,
        title=title,
        alignment="left",
        frameon=False,
    )


def figure_legend(figure: Figure | SubFigure, axes: Iterable[Axes], title: str, extra: Sequence[Any] = ()) -> None:
    """Put one legend of all panels to their right."""
    # A label that several panels use is listed once, with its last handle; no panel need have all fractions
    labelled = {name: handle for one in axes for handle, name in zip(*one.get_legend_handles_labels(), strict=True)}
    labelled = {name: labelled[name] for name in sorted(labelled, key=_largest_first)}
    handles = [*labelled.values(), *extra]
    names = [*labelled, *(handle.get_label() for handle in extra)]
    figure.legend(handles, names, loc="outside right upper", title=title, alignment="left", frameon=False)
    if isinstance(figure, Figure):  # grow by the legend's estimated size, so that panels keep theirs
        lines = "\n".join([title, *names]).split("\n")
        figure.set_figheight(max(figure.get_figheight(), LINE_HEIGHT * len(lines) + 0.3))
        figure.set_figwidth(figure.get_figwidth() + LETTER_WIDTH * max(map(len, lines)) + 0.5)


def _largest_first(label: str) -> float:
    """Return a sort key: fractions from the largest down, then the rest."""
    fraction = re.match(r"([\d.]+) %", label)
    return -float(fraction[1]) if fraction else 0.0


def legend_entry(label: str, line: Any = "-", marker: str = "", colour: Any = GREY, **more: Any) -> Line2D:
    """Make a legend entry of a line style or marker, without data."""
    return Line2D([], [], color=colour, linestyle=line, marker=marker, label=label, **more)


def runs_title(title: str, counts: Iterable[int], each: str = "thin: each run", band: bool = True) -> str:
    """Add to a legend's title how groups of several runs are drawn.

    Args:
        title: The first line.
        counts: The finished runs of every group.
        each: How single runs are drawn.
        band: Whether a band replaces single runs where there are many.
    """
    known = [count for count in counts if count]
    most = max(known, default=1)
    if most == 1:
        return title
    number = f"{most}" if min(known) == most else f"{min(known)} to {most}"
    spread = "band: lowest to highest" if band and most >= BAND_FROM else each
    return f"{title}\n(mean of {number} runs;\n{spread})"


def iteration_axis(points: pd.DataFrame, axes: Iterable[Axes]) -> str:
    """Set whole (thousand) iterations as ticks; return the axis label."""
    thousands = points["iteration"].max() >= 20_000
    unit = 1000 if thousands else 1
    for one in axes:
        one.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        one.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:,.4g}"))
        one.margins(x=0.02)
    # Curves of several batch sizes have budget epochs of several lengths: then the label names none.
    per_epoch = (points["iteration"] / points["budget_epoch"]).round().unique()
    epoch = f"\n(a budget epoch: {per_epoch[0]:,.0f})" if len(per_epoch) == 1 else ""
    return f"{'thousand iterations' if thousands else 'iterations'}{epoch}"


def volume_axis(images: pd.Series, fractions: pd.Series, axes: Axes) -> None:
    """Set a logarithmic axis of training images, ticks at the subsets."""
    sizes = {int(size): float(fraction) for size, fraction in zip(images, fractions, strict=True)}
    names = {size: f"{size:,.0f}\n{per_cent(sizes[size])}" for size in sorted(sizes)}
    axes.set_xscale("log")
    axes.set_xlabel("training images (share of the full set)")
    axes.xaxis.set_minor_locator(NullLocator())  # not at multiples of powers of ten
    if not names:
        return
    labelled = fitting_ticks(list(names), (min(names), max(names)), axes)
    axes.xaxis.set_major_locator(FixedLocator(labelled))
    axes.xaxis.set_minor_locator(FixedLocator([size for size in names if size not in labelled]))  # ticks without names
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: names.get(round(size), "")))


def fitting_ticks(sizes: Sequence[float], limits: tuple[float, float], axes: Axes) -> list[float]:
    """Select sizes whose labels fit a logarithmic axis, the largest first."""
    inches = 0.85 * axes.bbox.width / axes.figure.dpi  # the layout will narrow the axes a little
    span = np.log(limits[1] / limits[0])
    kept: list[float] = []
    for size in sorted(sizes, reverse=True):
        # Two centred labels touch when their centres are half of each one's width apart; 0.12 inches are the gap.
        letters = len(f"{kept[-1] if kept else size:,.0f}{size:,.0f}") / 2
        if not kept or np.log(kept[-1] / size) * inches >= (0.075 * letters + 0.12) * span:
            kept.append(size)
    return kept[::-1]
