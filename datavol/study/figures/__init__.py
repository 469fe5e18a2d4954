"""Plots figures: takes a frame, returns axes, changes no global style.

    with matplotlib.rc_context(STYLE):
        accuracy_over_iterations(training_points(load_study("studies/digits")), plt.figure())

Functions of one panel take axes; those of several take an empty figure, set its size and return an array of axes.
Accuracies, margins and calibration errors are shares in the frames and per cent on the axes.

| thesis | function | frame |
|---|---|---|
| figure 8 | `class_sizes` | `overlap.images_per_class` |
| figures 9, 11, 12, 13 | `curves_of_runs` | `labels.training_points`, one network and fraction |
| figure 10 | `class_overlaps` | `overlap.overlap_per_class` |
| figures 14, 15 | `accuracy_over_iterations` | `labels.training_points` |
| figures 16, 17 | `train_and_validation` | `labels.training_points` |
| figures 18, 19 | `best_and_last` | `Study.runs` |
| figures 20, 21 | `margins_over_iterations` | `labels.training_points` |
| table 1 | `overlap_heat_map` | `overlap.overlap_matrix` |
| table 2 | `training_time` | `Study.runs` |

Beyond the thesis: `accuracy_against_volume` (`summaries.learning_curve_points`), `fitted_learning_curves` and
`backtests` (`curves.fit_learning_curve` of each network), `margins_against_volume` and `calibration_against_volume`
(`Study.runs`), `gap_over_iterations` (`labels.training_points`), and from predictions (`confidence.over_runs`)
`reliability_diagram`, `margin_distributions`, `risk_coverage_curves` and `class_heat_map`; `learning_rate_curves` of
plans (`planning.learning_rates.schedule_curves`); `images_by_fate` (`image_fates.learned_images`); `confusion`
(`confusion.confusions`).

Many take `thesis`, the numbers that it prints (`datavol.study.tables.thesis`), to lay over: those of ImageNet.
"""

from datavol.study.figures.confidence import (
    class_heat_map,
    margin_distributions,
    reliability_diagram,
    risk_coverage_curves,
)
from datavol.study.figures.confusion import confusion
from datavol.study.figures.forecasts import backtests, fitted_learning_curves
from datavol.study.figures.image_fates import images_by_fate
from datavol.study.figures.learning_curves import (
    accuracy_against_volume,
    best_and_last,
    calibration_against_volume,
    margins_against_volume,
    training_time,
)
from datavol.study.figures.schedules import learning_rate_curves
from datavol.study.figures.style import STYLE
from datavol.study.figures.subsets import class_overlaps, class_sizes, overlap_heat_map
from datavol.study.figures.training_curves import (
    accuracy_over_iterations,
    curves_of_runs,
    gap_over_iterations,
    margins_over_iterations,
    train_and_validation,
)

__all__ = [
    "STYLE",
    "accuracy_against_volume",
    "accuracy_over_iterations",
    "backtests",
    "best_and_last",
    "calibration_against_volume",
    "class_heat_map",
    "class_overlaps",
    "class_sizes",
    "confusion",
    "curves_of_runs",
    "fitted_learning_curves",
    "gap_over_iterations",
    "images_by_fate",
    "learning_rate_curves",
    "margin_distributions",
    "margins_against_volume",
    "margins_over_iterations",
    "overlap_heat_map",
    "reliability_diagram",
    "risk_coverage_curves",
    "train_and_validation",
    "training_time",
]
