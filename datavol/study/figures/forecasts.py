"""Fitted learning curves and how their forecasts did: accuracy against data volume, both on logarithmic axes.

The vertical axis is logarithmic in the error, where power laws are straight, and shows the accuracy that goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from datavol.study.curves.learning_curve import LearningCurve
from datavol.study.curves.power_laws import PowerLaw, fit_power_law, fit_power_law_with_floor
from datavol.study.figures.style import (
    GREY,
    Mark,
    legend_of,
    outer_labels,
    sample,
    that_fit,
    titled,
    unordered_marks,
    wrapped_panels,
)

ACCURACIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)
"""Per cent, of the ticks; those that fit are labelled."""
FORECAST_PANEL = 3.3


def fitted_learning_curves(
    curves: Mapping[str, LearningCurve], figure: Figure | SubFigure, accuracy: str = "top-1"
) -> np.ndarray:
    """CurveRuns runs, the fit with its interval for a new run, its extrapolation to 4 N, and two power laws.

    The companion of thesis figures 18 and 19 that looks ahead. The fit is solid to the largest size measured and dashed
    up to four times that, where forecasts were validated. The power laws, whose formulas stand above each panel, have
    no intervals and are least squares of the same runs.

    Args:
        curves: `fit_learning_curve` of each label.
        figure: An empty one; its size is set.
        accuracy: What 1 - error is.

    Returns:
        Axes (curves,), a panel per curve.
    """
    grid = wrapped_panels(figure, len(curves), sharex=True, sharey=True, height=FORECAST_PANEL)
    for (label, mark), axes in zip(unordered_marks(curves).items(), grid, strict=True):
        titled(axes, label, pad=30)
        laws = _draw_fit(curves[label], axes, mark)
        axes.text(0, 1.02, laws, transform=axes.transAxes, fontsize="small", color=GREY, va="bottom")
    _error_axis(list(curves.values()), grid)
    _size_axis(list(curves.values()), grid)
    outer_labels(grid, "training images", f"validation {accuracy} (%)")
    level = 100 * next(iter(curves.values())).level
    entries = [
        sample("measured runs", "", "o"),
        sample("fit (median of a new run)"),
        sample("extrapolated, to 4 times the data", "--"),
        sample(f"{level:g} % interval of a new run", "-", linewidth=8, alpha=0.25),
        sample("power law", (0, (1, 1.5)), colour="black"),
        sample("power law with a floor", "-.", colour="black"),
    ]
    legend_of(figure, [], "learning curves", entries)
    return np.array(grid, dtype=object)


def backtests(curves: Mapping[str, LearningCurve], figure: Figure | SubFigure, accuracy: str = "top-1") -> np.ndarray:
    """Forecasts of the largest sizes from the smaller ones, beside what was measured there.

    Args:
        curves: `fit_learning_curve` of each label; a panel without four sizes says that there is no backtest.
        figure: An empty one; its size is set.
        accuracy: What 1 - error is.

    Returns:
        Axes (curves,), a panel per curve: a place per forecast, named by its size and the largest that it knew.
    """
    grid = wrapped_panels(figure, len(curves), sharey=True)
    for (label, mark), axes in zip(unordered_marks(curves).items(), grid, strict=True):
        titled(axes, label)
        _draw_backtest(curves[label].backtest(), axes, mark)
    outer_labels(grid, "images (forecast from at most)", f"validation {accuracy} (%)")
    level = 100 * next(iter(curves.values())).level
    entries = [
        sample(f"forecast, {level:g} % interval", "-", "_", markersize=12),
        sample("measured, inside it", "", "o"),
        sample("measured, outside it", "", "X", "black"),
    ]
    legend_of(figure, [], "backtest", entries)
    return np.array(grid, dtype=object)


def _draw_fit(curve: LearningCurve, axes: Axes, mark: Mark) -> str:
    """Draw one curve; returns the formulas of its power laws."""
    known = np.geomspace(curve.n[0], curve.largest, 100)
    told, ahead = curve.predict(known), curve.predict(np.geomspace(curve.largest, curve.limit, 60))
    for part, line in ((told, "-"), (ahead, "--")):
        axes.plot(part["n"], part["error"], color=mark.colour, linestyle=line, linewidth=1.8)
        axes.fill_between(part["n"], part["low"], part["high"], color=mark.colour, alpha=0.2, linewidth=0)
    laws: list[tuple[PowerLaw, Any]] = [(fit_power_law_with_floor(curve.n, curve.error), "-.")]
    if len(np.unique(curve.n[curve.error > 0])) > 1:
        laws.insert(0, (fit_power_law(curve.n, curve.error), (0, (1, 1.5))))
    for law, line in laws:
        sizes = np.geomspace(curve.n[0], curve.limit, 160)
        axes.plot(sizes, law(sizes), color="black", linestyle=line, linewidth=1, zorder=1.5, label=str(law))
    axes.plot(curve.n, curve.error, color=mark.colour, marker=mark.marker, linestyle="none", markersize=5)
    axes.set(xscale="log", yscale="log")
    return "\n".join(str(law) for law, _ in laws)


def _error_axis(curves: list[LearningCurve], grid: list[Axes]) -> None:
    """Errors downwards on a logarithmic axis, ticks named by accuracy; shared by all panels."""
    told = pd.concat([curve.predict(np.geomspace(curve.n[0], curve.limit, 30)) for curve in curves])
    shown = np.concatenate([told["error"], told["high"], told["low"], *(curve.error for curve in curves)])
    least = max(shown[shown > 0].min(), 0.2 * told["error"].min(), 1e-5)  # an interval may reach down to no error
    grid[0].set_ylim(min(1.0, 1.08 * shown.max()), least / 1.08)
    high, low = grid[0].get_ylim()
    ticks = [error for error in (1 - np.array(ACCURACIES) / 100) if low <= error <= high]
    if len(ticks) < 3:
        ticks = list(np.geomspace(high, low, 5)[1:-1])
    apart = np.log(high / low) / 12
    kept: list[float] = []
    for error in ticks:
        if not kept or np.log(kept[-1] / error) > apart:
            kept.append(error)
    for axes in grid:
        axes.yaxis.set_major_locator(FixedLocator(kept))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g}"))


def _size_axis(curves: list[LearningCurve], grid: list[Axes]) -> None:
    """Round numbers of images, as many as fit: powers of ten, or 1, 2 and 5 times those."""
    low, high = min(curve.n[0] for curve in curves), max(curve.limit for curve in curves)
    powers = 10.0 ** np.arange(12)
    for axes in grid:
        for every in (np.outer(powers, (1, 2, 5)).ravel(), np.outer(powers, (1, 3)).ravel(), powers):
            ticks = every[(low <= every) & (every <= high)]
            fitting = that_fit(ticks, (low, high), axes) if len(ticks) else []
            if len(fitting) == len(ticks):
                break
        axes.xaxis.set_major_locator(FixedLocator(fitting))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))


def _draw_backtest(backtest: pd.DataFrame, axes: Axes, mark: Mark) -> None:
    if backtest.empty:
        axes.text(
            0.5, 0.5, "no backtest: it needs\nfour sizes or more", transform=axes.transAxes, ha="center", color=GREY
        )
        axes.set_xticks([])
        return
    forecasts = list(backtest.groupby(["n", "fitted_to"], sort=True))
    for place, (_, runs) in enumerate(forecasts):
        told = 100 * (1 - runs.iloc[0][["predicted", "low", "high"]].astype(float))
        bars = [[told["predicted"] - told["high"]], [told["low"] - told["predicted"]]]
        axes.errorbar(place - 0.12, told["predicted"], bars, marker="_", markersize=12, capsize=4, color=mark.colour)
        for inside, marker, colour in ((True, mark.marker, mark.colour), (False, "X", "black")):
            measured = 100 * (1 - runs.loc[runs["inside"] == inside, "error"])
            axes.plot([place + 0.12] * len(measured), measured, marker=marker, linestyle="none", color=colour)
    axes.set_xticks(range(len(forecasts)), [f"{n:,.0f}\n({known:,.0f})" for (n, known), _ in forecasts])
    axes.set_xlim(-0.6, len(forecasts) - 0.4)
