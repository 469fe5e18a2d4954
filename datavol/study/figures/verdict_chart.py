"""Plots what a verdict rests on, in one small chart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from datavol.cli.text import level_text, per_cent
from datavol.study.figures.style import GREY, LINES

SIZE = (4.1, 3.0)  # inches: legible where it is shrunk to the width of a telephone
FAR = 0.5  # how far beyond the rest a line may be that is drawn, as a share of the rest's height
ROOM = 0.17  # between two numbers of images, as a share of the axis
BLUE, ORANGE = "#0b62b0", "#b35806"


def verdict_chart(
    figure: Figure,
    measured: Sequence[tuple[float, float]],
    forecast: Sequence[tuple[float, float, float, float]],
    *,
    here: float,
    target: float | None = None,
    guess: float | None = None,
    name: str = "accuracy",
    level: float = 0.95,
) -> Axes:
    """Plot runs, the forecast's band, what is there, target and guessing.

    Args:
        figure: An empty one; its size is set.
        measured: Images and value of every run, values are shares.
        forecast: Images, value, and the two ends of its interval, ascending; may be empty.
        here: Images that are there.
        target: The value that is wanted.
        guess: The value of guessing.
        name: Of what is measured.
        level: Of the interval.
    """
    figure.set_size_inches(*SIZE)
    axes = figure.subplots()
    sizes, values = np.array(measured).T
    axes.plot(sizes, 100 * values, "o", color=BLUE, markersize=6, label="measured", zorder=3)
    shown = [100 * values]
    if forecast:
        n, middle, low, high = np.array(forecast).T
        axes.plot(n, 100 * middle, color=BLUE, linewidth=1.8, label="learning curve")
        range_name = f"its {level_text(level)} range"
        axes.fill_between(n, 100 * low, 100 * high, color=BLUE, alpha=0.18, linewidth=0, label=range_name)
        shown += [100 * low, 100 * high]
    axes.set_xscale("log")
    _lines(axes, np.concatenate(shown), target, guess)
    axes.axvline(here, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
    end = [float(f"{forecast[-1][0]:.2g}")] if forecast else []
    _ticks(axes, here, sorted({*sizes.tolist(), *end} - {here}))
    axes.set(xlabel="training images", ylabel=f"{name} (%)")
    rises = values[sizes.argmax()] >= values[sizes.argmin()]
    place: Any = "lower right" if rises else "upper right"  # where no curve is
    axes.legend(loc=place, fontsize="small", frameon=True, framealpha=0.85, edgecolor="none")
    return axes


def _lines(axes: Axes, shown: np.ndarray, target: float | None, guess: float | None) -> None:
    """Draw target and guessing where that does not squeeze the rest."""
    low, high = float(shown.min()), float(shown.max())
    reach = FAR * max(high - low, 2.0)
    ends = [low, high]
    lines = (("target", target, ORANGE, "-", 0.02), ("guessing", guess, GREY, LINES[3], 0.02))
    for name, value, colour, line, at in lines:
        if value is None or not low - reach <= 100 * value <= high + reach:
            continue
        axes.axhline(100 * value, color=colour, linestyle=line, linewidth=1.4, zorder=2)
        place = axes.get_yaxis_transform()
        text = f"{name} {per_cent(value)}"
        axes.text(at, 100 * value, text, transform=place, color=colour, va="bottom", fontsize="small")
        ends.append(100 * value)
    room = 0.08 * max(max(ends) - min(ends), 0.5)
    axes.set_ylim(max(min(ends) - room, -2.0), min(max(ends) + room, 104.0))


def _ticks(axes: Axes, here: float, sizes: Sequence[float]) -> None:
    """Name the sizes that fit: what is there, the ends, the rest."""
    low, high = np.log(axes.get_xlim())
    kept = [here]
    for size in [*sizes[-1:], *sizes[:1], *reversed(sizes[1:-1])]:
        if all(abs(np.log(size / other)) > ROOM * (high - low) for other in kept):
            kept.append(size)
    axes.xaxis.set_major_locator(FixedLocator(sorted(kept)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    names = {here: f"{here:,.0f}\nyou are here"}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: names.get(size, f"{size:,.0f}")))
    axes.yaxis.set_major_locator(MaxNLocator(5))
