"""Draws what always guessing gives as a thin line, where that costs no room.

A line far from the curves would squeeze them: where it lies more than `NEAR` of the axis beyond its end, the legend
names it instead.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from datavol.cli.text import per_cent
from datavol.study.figures.style import GREY, legend_entry

NEAR = 0.12  # how far beyond the axis a line may be for the axis to reach it, as a share of its length
EDGE = 0.03  # what is then left beyond the line
LINE: Any = {"color": GREY, "linestyle": (0, (1, 2)), "linewidth": 1.0, "zorder": 1.6}


def guess_lines(
    axes: Axes, shares: Iterable[float], name: str = "guessing", heights: Sequence[float] | None = None
) -> list[Any]:
    """Draw a labelled line for each accuracy that guessing gives.

    To be called last, when the axes have their limits.

    Args:
        axes: Where the curves are drawn, with their limits.
        shares: What guessing gives; those that are not known are left out.
        name: What the label says before the number.
        heights: Where each share is on the axis; by default per cent.

    Returns:
        Entries for the legend of those that are not drawn.
    """
    values = [float(share) for share in shares]
    places = [100 * value for value in values] if heights is None else list(heights)
    undrawn = []
    for value, height in sorted({pair for pair in zip(values, places, strict=True) if not pd.isna(pair[0])}):
        text = f"{name} {per_cent(value)}"
        beyond = _beyond(axes, height)
        if abs(beyond) > NEAR:
            undrawn.append(legend_entry(f"{text}\n({'below' if beyond < 0 else 'above'} the axis)", "", colour=GREY))
            continue
        _extend(axes, height)
        axes.axhline(height, **LINE, label="_guessing")
        place = blended_transform_factory(axes.transAxes, axes.transData)
        axes.text(
            0.99,
            height,
            text,
            transform=place,
            ha="right",
            va="bottom" if _position(axes, height) < 0.9 else "top",
            fontsize="small",
            color=GREY,
            zorder=1.6,
        )
    return undrawn


def _beyond(axes: Axes, height: float) -> float:
    """Measure how far a height is beyond an axis, in its lengths.

    Below 0 at its lower end, 0 within it.
    """
    position = _position(axes, height)
    return min(position, 0.0) + max(position - 1, 0.0)


def _position(axes: Axes, height: float) -> float:
    """Convert a height to a share of the axis, from its foot."""
    # On the axis's own scale, such as the logarithm of the error, which grows downwards
    scale = axes.yaxis.get_transform()
    low, high, at = (float(scale.transform(value)) for value in (*axes.get_ylim(), height))
    return (at - low) / (high - low)


def _extend(axes: Axes, height: float) -> None:
    """Extend an axis so that a line at a height shows."""
    position = _position(axes, height)
    if EDGE / 3 < position < 1 - EDGE / 3:
        return
    scale = axes.yaxis.get_transform()
    low, high, at = (float(scale.transform(value)) for value in (*axes.get_ylim(), height))
    margin = EDGE * (high - low)
    ends = (at - margin, high) if position < 0.5 else (low, at + margin)
    axes.set_ylim(*(float(scale.inverted().transform(end)) for end in ends))


def drawn_nowhere(entries: Iterable[Any], panels: Iterable[Axes]) -> list[Any]:
    """Keep one legend entry per text, of lines that no panel has."""
    drawn = {text.get_text() for axes in panels for text in axes.texts}
    hidden = {entry.get_label(): entry for entry in entries}
    return [entry for label, entry in hidden.items() if label.partition("\n")[0] not in drawn]
