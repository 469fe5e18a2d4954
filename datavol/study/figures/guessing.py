"""Draws what always guessing gives as a thin line, where that costs no room.

A line far below the curves would squeeze them: where it lies more than `NEAR` of the axis below its end, the legend
names it instead.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from datavol.cli.text import per_cent
from datavol.study.figures.style import GREY, legend_entry

NEAR = 0.12  # how far below the axis a line may be for the axis to reach down to it, as a share of its length
BELOW = "\n(below the axis)"
LINE: Any = {"color": GREY, "linestyle": (0, (1, 2)), "linewidth": 1.0, "zorder": 1.6}


def guess_lines(
    axes: Axes, shares: Iterable[float], name: str = "guessing", heights: Sequence[float] | None = None
) -> list[Any]:
    """Draw a labelled line for each accuracy that guessing gives; call it last.

    Args:
        axes: Where the curves are drawn, with their limits.
        shares: Accuracies of guessing; those that are not known are left out.
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
        if not _reach(axes, height):
            undrawn.append(legend_entry(f"{text}{BELOW}", "", colour=GREY))
            continue
        axes.axhline(height, **LINE, label="_guessing")
        place = blended_transform_factory(axes.transAxes, axes.transData)
        axes.text(
            0.99, height, text, transform=place, ha="right", va="bottom", fontsize="small", color=GREY, zorder=1.6
        )
    return undrawn


def _reach(axes: Axes, height: float) -> bool:
    """Extend the lower end of an axis to a height that is near; say whether it shows."""
    scale = axes.yaxis.get_transform()
    # On the axis's own scale, such as the logarithm of the error, which grows downwards
    low, high, at = (float(scale.transform(value)) for value in (*axes.get_ylim(), height))
    below = (low - at) / (high - low)  # in lengths of the axis
    if below > NEAR or below < -1:
        return False
    if below > -0.01:  # a line on the very edge would not be seen
        end = at - 0.03 * (high - low)
        axes.set_ylim(float(scale.inverted().transform(end)), axes.get_ylim()[1])
    return True


def drawn_nowhere(entries: Iterable[Any], panels: Iterable[Axes]) -> list[Any]:
    """Keep one of the entries with one text, unless a panel has its line."""
    drawn = {f"{text.get_text()}{BELOW}" for axes in panels for text in axes.texts}
    return list({label: entry for entry in entries if (label := entry.get_label()) not in drawn}.values())
