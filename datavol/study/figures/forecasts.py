"""Plots fitted learning curves and backtests of their forecasts.

The vertical axis is logarithmic in the error, where power laws are straight, and its ticks name accuracies.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from datavol.study.curves.learning_curve import LearningCurve
from datavol.study.curves.power_laws import PowerLaw, fit_power_law, fit_power_law_with_floor
from datavol.study.figures.guessing import drawn_nowhere, guess_lines
from datavol.study.figures.style import (
    GREY,
    Mark,
    figure_legend,
    fitting_ticks,
    legend_entry,
    outer_labels,
    set_title,
    unordered_marks,
    wrapped_panels,
)
from datavol.study.load.measure import TOP1, Measure

TICK_ACCURACIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)
"""Candidates in per cent, of which those that fit become ticks."""


def fitted_learning_curves(
    curves: Mapping[str, LearningCurve],
    figure: Figure | SubFigure,
    accuracy: str = "top-1",
    measure: Measure = TOP1,
) -> np.ndarray:
    """Plot measured runs, the fit, its extrapolation, and two power laws.

    Extends thesis figures 18 and 19. The fit, with its interval for a new run, is solid to the largest size measured
    and dashed up to four times that, where forecasts were validated. The power laws, with their formulas above each
    panel, are least-squares fits of the same runs, without intervals.

    Args:
        curves: `fit_learning_curve` of each label.
        figure: An empty one; its size is set.
        accuracy: The name of what the axis shows.
        measure: Whether that is 1 - error, or the error.

    Returns:
        Axes (curves,), a panel per curve.
    """
    grid = wrapped_panels(figure, len(curves), sharex=True, sharey=True, height=3.3)
    for (label, mark), axes in zip(unordered_marks(curves).items(), grid, strict=True):
        set_title(axes, label, pad=30)
        formulas = _draw_fit(curves[label], axes, mark)
        axes.text(0, 1.02, formulas, transform=axes.transAxes, fontsize="small", color=GREY, va="bottom")
    _error_axis(list(curves.values()), grid, measure)
    hidden = []
    for curve, axes in zip(curves.values(), grid, strict=True):
        hidden += guess_lines(axes, [measure.value(1 - curve.chance_error)], heights=[curve.chance_error])
    _size_axis(list(curves.values()), grid)
    outer_labels(grid, "training images", f"validation {accuracy} (%)")
    level = 100 * next(iter(curves.values())).level
    entries = [
        legend_entry("measured runs", "", "o"),
        legend_entry("fit (median of a new run)"),
        legend_entry("extrapolated, to 4 times the data", "--"),
        legend_entry(f"{level:g} % interval of a new run", "-", linewidth=8, alpha=0.25),
        legend_entry("power law", (0, (1, 1.5)), colour="black"),
        legend_entry("power law with a floor", "-.", colour="black"),
        *drawn_nowhere(hidden, grid),
    ]
    figure_legend(figure, [], "learning curves", entries)
    return np.array(grid, dtype=object)


def backtests(
    curves: Mapping[str, LearningCurve],
    figure: Figure | SubFigure,
    accuracy: str = "top-1",
    measure: Measure = TOP1,
) -> np.ndarray:
    """Plot forecasts of the largest sizes from smaller ones beside measurements.

    Args:
        curves: `fit_learning_curve` of each label; a panel without four sizes says that there is no backtest.
        figure: An empty one; its size is set.
        accuracy: The name of what the axis shows.
        measure: Whether that is 1 - error, or the error.

    Returns:
        Axes (curves,), a panel per curve: a tick per forecast, named by its size and the largest it was fitted to.
    """
    grid = wrapped_panels(figure, len(curves), sharey=True)
    for (label, mark), axes in zip(unordered_marks(curves).items(), grid, strict=True):
        set_title(axes, label)
        _draw_backtest(curves[label].backtest(), axes, mark, measure)
    outer_labels(grid, "images (forecast from at most)", f"validation {accuracy} (%)")
    level = 100 * next(iter(curves.values())).level
    entries = [
        legend_entry(f"forecast, {level:g} % interval", "-", "_", markersize=12),
        legend_entry("measured, inside it", "", "o"),
        legend_entry("measured, outside it", "", "X", "black"),
    ]
    figure_legend(figure, [], "backtest", entries)
    return np.array(grid, dtype=object)


def _draw_fit(curve: LearningCurve, axes: Axes, mark: Mark) -> str:
    """Draw one curve; return the formulas of its power laws."""
    # Sizes are spaced geometrically, evenly on the logarithmic axis: the fit to the largest size, then beyond it.
    measured, ahead = np.geomspace(curve.n[0], curve.largest, 100), np.geomspace(curve.largest, curve.limit, 60)
    for part, line in ((curve.predict(measured), "-"), (curve.predict(ahead), "--")):
        axes.plot(part["n"], part["error"], color=mark.colour, linestyle=line, linewidth=1.8)
        axes.fill_between(part["n"], part["low"], part["high"], color=mark.colour, alpha=0.2, linewidth=0)
    laws: list[tuple[PowerLaw, Any]] = [(fit_power_law_with_floor(curve.n, curve.error), "-.")]
    if len(np.unique(curve.n[curve.error > 0])) > 1:  # it is a line through logarithms: two sizes with some error
        laws.insert(0, (fit_power_law(curve.n, curve.error), (0, (1, 1.5))))
    for law, line in laws:
        sizes = np.geomspace(curve.n[0], curve.limit, 160)
        axes.plot(sizes, law(sizes), color="black", linestyle=line, linewidth=1, zorder=1.5, label=str(law))
    axes.plot(curve.n, curve.error, color=mark.colour, marker=mark.marker, linestyle="none", markersize=5)
    axes.set(xscale="log", yscale="log")
    return "\n".join(str(law) for law, _ in laws)


def _error_axis(curves: list[LearningCurve], grid: list[Axes], measure: Measure) -> None:
    """Set the shared logarithmic axis: errors downwards, ticks named by accuracy."""
    fits = pd.concat([curve.predict(np.geomspace(curve.n[0], curve.limit, 30)) for curve in curves])
    shown = np.concatenate([fits["error"], fits["high"], fits["low"], *(curve.error for curve in curves)])
    # An interval may reach down to no error, which a logarithm cannot show: stop at a fifth of the least fitted error.
    least = max(shown[shown > 0].min(), 0.2 * fits["error"].min(), 1e-5)
    grid[0].set_ylim(min(1.0, 1.08 * shown.max()), least / 1.08)  # the larger limit first: accuracy grows upwards
    high, low = grid[0].get_ylim()
    ticks = [error for error in (1 - np.array(TICK_ACCURACIES) / 100) if low <= error <= high]
    if len(ticks) < 3:  # a narrow axis between two round accuracies: three ticks at equal distances
        ticks = list(np.geomspace(high, low, 5)[1:-1])
    kept: list[float] = []
    for error in ticks:  # from the largest error on, each a twelfth of the axis or more from the last
        if not kept or np.log(kept[-1] / error) > np.log(high / low) / 12:
            kept.append(error)
    for axes in grid:
        axes.yaxis.set_major_locator(FixedLocator(kept))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * measure.value(1 - error):.4g}"))


def _size_axis(curves: list[LearningCurve], grid: list[Axes]) -> None:
    """Set round numbers of images as ticks, as many as fit."""
    low, high = min(curve.n[0] for curve in curves), max(curve.limit for curve in curves)
    powers = 10.0 ** np.arange(12)
    for axes in grid:
        for every in (np.outer(powers, (1, 2, 5)).ravel(), np.outer(powers, (1, 3)).ravel(), powers):
            ticks = every[(low <= every) & (every <= high)]
            fitting = fitting_ticks(ticks, (low, high), axes) if len(ticks) else []
            if len(fitting) == len(ticks):  # else the next, sparser series; of the last, those that fit
                break
        axes.xaxis.set_major_locator(FixedLocator(fitting))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))


def _draw_backtest(backtest: pd.DataFrame, axes: Axes, mark: Mark, measure: Measure) -> None:
    if backtest.empty:
        reason = "no backtest: it needs\nfour sizes or more"
        axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", color=GREY)
        axes.set_xticks([])
        return
    forecasts = list(backtest.groupby(["n", "fitted_to"], sort=True))
    for x, (_, runs) in enumerate(forecasts):
        # The rows of a group are runs of one size with one forecast; its high error is the low accuracy.
        forecast = 100 * measure.value(1 - runs.iloc[0][["predicted", "low", "high"]].astype(float))
        centre, low, high = forecast["predicted"], *sorted(forecast[["low", "high"]])
        bars = [[centre - low], [high - centre]]
        axes.errorbar(x - 0.12, centre, bars, marker="_", markersize=12, capsize=4, color=mark.colour)
        for inside, marker, colour in ((True, mark.marker, mark.colour), (False, "X", "black")):
            measured = 100 * measure.value(1 - runs.loc[runs["inside"] == inside, "error"])
            axes.plot([x + 0.12] * len(measured), measured, marker=marker, linestyle="none", color=colour)
    axes.set_xticks(range(len(forecasts)), [f"{n:,.0f}\n({fitted_to:,.0f})" for (n, fitted_to), _ in forecasts])
    axes.set_xlim(-0.6, len(forecasts) - 0.4)
