"""Plots planned learning rates against iterations (`datavol.planning.learning_rates`)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from datavol.study.figures.style import (
    figure_legend,
    iteration_axis,
    outer_labels,
    set_title,
    unordered_marks,
    wrapped_panels,
)


def learning_rate_curves(curves: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """Plot learning rates over a run, a line per schedule.

    Args:
        curves: Rows of `model`, `schedule` (its name), `iteration`, `budget_epoch` and `lr`.
        figure: An empty one; its size is set.

    Returns:
        Axes (networks,).
    """
    models = sorted(curves["model"].unique())
    marks = unordered_marks(curves["schedule"].unique())
    grid = wrapped_panels(figure, len(models), height=3.1)
    for model, axes in zip(models, grid, strict=True):
        own = curves[curves["model"] == model]
        for schedule, steps in own.groupby("schedule", sort=False):
            line = {"color": marks[schedule].colour, "linestyle": marks[schedule].line, "linewidth": 1.6}
            # A rate holds from its iteration to the next one listed.
            axes.plot(steps["iteration"], steps["lr"], **line, drawstyle="steps-post", label=str(schedule))
        axes.set_ylim(bottom=0)
        set_title(axes, model)
    # Iteration 0 lies in no budget epoch, whose length the axis derives as iteration / budget epoch.
    outer_labels(grid, iteration_axis(curves[curves["iteration"] > 0], grid), "learning rate")
    figure_legend(figure, grid, "learning rate\n(durations in budget epochs)")
    return np.array(grid, dtype=object)
