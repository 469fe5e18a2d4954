"""Takes the points and lines of the first screen's chart from a learning curve."""

import numpy as np

from datavol.errors import ConfigError, InsufficientData
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.report.screen.contents import Chart, Wanted

SIZES = 49  # of the band, evenly on a logarithmic axis


def chart_points(curve: CurveRuns, wanted: Wanted | None, level: float, *, forecast: bool) -> Chart:
    """Collect a curve's runs, and where it may be forecast the band of its average run.

    Values are those of the metric.
    """
    measure = curve.measure
    measured = tuple(zip(curve.runs["images"].astype(float), measure.value(1 - curve.runs["error"]), strict=True))
    try:
        guess = measure.value(1 - curve.chance_error)
    except InsufficientData:
        guess = None
    band = _band(curve, wanted, level) if forecast else ()
    target = None if wanted is None else wanted.value
    return Chart(measured, band, curve.full_size, target, guess)


def _band(curve: CurveRuns, wanted: Wanted | None, level: float) -> tuple[tuple[float, float, float, float], ...]:
    try:
        fitted = curve.fit(level)
    except (InsufficientData, ConfigError):  # the chart then shows what was measured
        return ()
    # As far as twice the images, or as the target is likely; forecasts were validated up to the limit
    end = max(2.0 * curve.full_size, wanted.likely if wanted is not None and wanted.likely else 0.0)
    sizes = np.geomspace(fitted.n[0], min(end, fitted.limit), SIZES)
    errors = np.quantile(fitted.average_errors(sizes), [0.5, (1 - level) / 2, (1 + level) / 2], axis=0)
    middle, better, worse = curve.measure.value(1 - errors)
    low, high = np.minimum(better, worse), np.maximum(better, worse)
    return tuple(zip(sizes.tolist(), middle.tolist(), low.tolist(), high.tolist(), strict=True))
