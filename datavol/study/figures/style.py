"""What the figures share: a local style, marks that colour blindness and grey print leave apart, axes for people."""

from __future__ import annotations

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

from datavol.errors import ConfigError

STYLE: Any = {
    **sns.axes_style("ticks"),
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
"""For `with matplotlib.rc_context(STYLE)`; the figures are legible without it as well."""

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
GREY = "0.4"
BAND_FROM = 4
"""With so many runs a band from the lowest to the highest stands for them; fewer are drawn one by one."""
PANEL = (3.3, 2.7)
"""Inches of a panel in a grid."""
LINE, LETTER = 0.23, 0.085
"""Inches of a line and of a letter in a legend."""


@dataclass(frozen=True)
class Mark:
    """How one group is drawn.

    Attributes:
        colour: Its colour.
        marker: Its marker.
        line: Its line style.
        place: Its place among the groups, from 0.
    """

    colour: Any
    marker: str
    line: Any
    place: int


def unordered_marks(names: Iterable[Any]) -> dict[Any, Mark]:
    """Marks of things without an order, such as networks: colour, marker and line style differ."""
    names = list(names)
    colours = sns.color_palette("colorblind", len(names))
    return {
        name: Mark(colour, MARKERS[i % len(MARKERS)], LINES[i % len(LINES)], i)
        for i, (name, colour) in enumerate(zip(names, colours, strict=True))
    }


def ordered_marks(values: Iterable[Any]) -> dict[Any, Mark]:
    """Marks of things with an order, such as fractions: the more, the darker, also in grey; markers differ."""
    values = sorted(values)
    shades = np.linspace(0.82, 0.0, len(values)) if len(values) != 1 else [0.25]
    colours = sns.color_palette("viridis", as_cmap=True)(shades)
    return {
        value: Mark(tuple(colour), MARKERS[i % len(MARKERS)], "-", i)
        for i, (value, colour) in enumerate(zip(values, colours, strict=True))
    }


def share(fraction: float) -> str:
    """A fraction for people: `12.5 %`."""
    return f"{100 * fraction:.3g} %"


def panels(
    figure: Figure | SubFigure, rows: int, columns: int, *, height: float = PANEL[1], **shared: Any
) -> np.ndarray:
    """An array of axes (rows, columns) in an empty figure, whose size is set to what they take.

    Raises:
        ConfigError: If there is nothing to draw.
    """
    if not rows * columns:
        raise ConfigError("a figure must have runs to draw, got none of those it shows; wait, or select less strictly")
    if isinstance(figure, Figure):
        figure.set_layout_engine("constrained", w_pad=0.1)
        figure.set_size_inches(columns * PANEL[0], max(rows * height, 2.2) + 0.7)
    return figure.subplots(rows, columns, squeeze=False, **shared)


def wrapped_panels(
    figure: Figure | SubFigure, count: int, columns: int = 3, *, height: float = PANEL[1], **shared: Any
) -> list[Axes]:
    """So many axes, row by row; places of the last row that are not needed stay empty."""
    columns = min(max(count, 1), columns)
    axes = list(panels(figure, -(-count // columns), columns, height=height, **shared).flat)
    for spare in axes[count:]:
        spare.remove()
    for one in axes[max(0, count - columns) : count]:  # those with nothing below them show the shared axis
        one.tick_params(labelbottom=True)
    return axes[:count]


def titled(axes: Axes, title: str, **more: Any) -> None:
    """A title on the left, on as many lines as its panel's width asks for."""
    axes.set_title(named(title), loc="left", **more)


def named(label: str) -> str:
    """A curve's name, which grows with what varies in a study, on lines that a panel or a legend has room for."""
    return textwrap.fill(label, 30, break_long_words=False, break_on_hyphens=False)


def outer_labels(axes: Iterable[Axes], x: str, y: str) -> None:
    """Label the x axis of the panels with nothing below them, and the y axis of the first column, and no other."""
    axes = list(axes)
    ends = {_column(one): one for one in axes}
    for one in axes:
        one.set_xlabel(x if one is ends[_column(one)] else "")
        one.set_ylabel(y if _column(one) == 0 else "")


def _column(axes: Axes) -> int:
    place = axes.get_subplotspec()
    return place.colspan.start if place else 0


def legend_beside(axes: Axes, title: str, handles: Sequence[Any], right: float = 1.01) -> None:
    """A legend to the right of the axes, where no data are."""
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(right, 1),
        borderaxespad=0,
        title=title,
        alignment="left",
        frameon=False,
    )


def legend_of(figure: Figure | SubFigure, axes: Iterable[Axes], title: str, extra: Sequence[Any] = ()) -> None:
    """One legend for all panels, to their right: what they label, each once, then `extra`; the figure gets room."""
    labelled = {name: handle for one in axes for handle, name in zip(*one.get_legend_handles_labels(), strict=True)}
    handles = [*labelled.values(), *extra]
    names = [*labelled, *(handle.get_label() for handle in extra)]
    figure.legend(handles, names, loc="outside right upper", title=title, alignment="left", frameon=False)
    if isinstance(figure, Figure):
        lines = "\n".join([title, *names]).split("\n")
        figure.set_figheight(max(figure.get_figheight(), LINE * len(lines) + 0.3))
        figure.set_figwidth(figure.get_figwidth() + LETTER * max(map(len, lines)) + 0.5)


def sample(label: str, line: Any = "-", marker: str = "", colour: Any = GREY, **more: Any) -> Line2D:
    """An entry of a legend for a line style or marker that all groups share."""
    return Line2D([], [], color=colour, linestyle=line, marker=marker, label=label, **more)


def told_of_runs(title: str, counts: Iterable[int], each: str = "thin: each run", band: bool = True) -> str:
    """A legend's title with a second line that says what stands for several runs, where there are several.

    Args:
        title: The first line.
        counts: The finished runs of every group.
        each: How single runs are drawn.
        band: Whether a band stands for many.
    """
    known = [count for count in counts if count]
    most = max(known, default=1)
    if most == 1:
        return title
    number = f"{most}" if min(known) == most else f"{min(known)} to {most}"
    told = "band: lowest to highest" if band and most >= BAND_FROM else each
    return f"{title}\n(mean of {number} runs;\n{told})"


def iteration_axis(points: pd.DataFrame, axes: Iterable[Axes]) -> str:
    """Ticks of training curves in whole iterations, in thousands where they are many; returns the axis label."""
    thousands = points["iteration"].max() >= 20_000
    unit = 1000 if thousands else 1
    for one in axes:
        one.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        one.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:,.4g}"))
        one.margins(x=0.02)
    per_epoch = (points["iteration"] / points["budget_epoch"]).round().unique()
    told = f"\n(a budget epoch: {per_epoch[0]:,.0f})" if len(per_epoch) == 1 else ""
    return f"{'thousand iterations' if thousands else 'iterations'}{told}"


def volume_axis(images: pd.Series, fractions: pd.Series, axes: Axes) -> None:
    """A logarithmic axis of training images, with a tick at every subset; images and shares stand where they fit."""
    sizes = {int(size): float(fraction) for size, fraction in zip(images, fractions, strict=True)}
    names = {size: f"{size:,.0f}\n{share(sizes[size])}" for size in sorted(sizes)}
    axes.set_xscale("log")
    axes.set_xlabel("training images (share of the full set)")
    axes.xaxis.set_minor_locator(NullLocator())
    if not names:
        return
    named = that_fit(list(names), (min(names), max(names)), axes)
    axes.xaxis.set_major_locator(FixedLocator(named))
    axes.xaxis.set_minor_locator(FixedLocator([size for size in names if size not in named]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: names.get(round(size), "")))


def that_fit(sizes: Sequence[float], limits: tuple[float, float], axes: Axes) -> list[float]:
    """The largest size, and of the others those whose names do not run into a larger one's on a logarithmic axis."""
    inches = 0.85 * axes.bbox.width / axes.figure.dpi
    span = np.log(limits[1] / limits[0])
    kept: list[float] = []
    for size in sorted(sizes, reverse=True):
        letters = len(f"{kept[-1] if kept else size:,.0f}{size:,.0f}") / 2
        if not kept or np.log(kept[-1] / size) * inches >= (0.075 * letters + 0.12) * span:
            kept.append(size)
    return kept[::-1]
