"""Learning rates against iterations, as they are planned; the frame is that of `datavol.planning.schedules`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from datavol.study.figures.style import iteration_axis, legend_of, outer_labels, titled, unordered_marks, wrapped_panels


def learning_rate_curves(curves: pd.DataFrame, figure: Figure | SubFigure) -> np.ndarray:
    """The learning rate over a run, a line per schedule.

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
        for schedule, course in own.groupby("schedule", sort=False):
            line = {"color": marks[schedule].colour, "linestyle": marks[schedule].line, "linewidth": 1.6}
            axes.plot(course["iteration"], course["lr"], **line, drawstyle="steps-post", label=str(schedule))
        axes.set_ylim(bottom=0)
        titled(axes, model)
    outer_labels(grid, iteration_axis(curves[curves["iteration"] > 0], grid), "learning rate")
    legend_of(figure, grid, "learning rate\n(durations in budget epochs)")
    return np.array(grid, dtype=object)
