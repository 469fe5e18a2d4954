"""The chart of the first screen: what it shows, and what it leaves out rather than squeeze the rest."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from datavol.study.figures.verdict_chart import verdict_chart

MEASURED = [(100.0, 0.70), (200.0, 0.76), (400.0, 0.80)]
FORECAST = [(100.0, 0.70, 0.68, 0.72), (400.0, 0.80, 0.79, 0.81), (800.0, 0.83, 0.81, 0.85)]


def drawn(**changed):
    return verdict_chart(Figure(), MEASURED, FORECAST, **{"here": 400, "target": 0.84, "guess": 0.1, **changed})


def test_points_band_and_what_is_there_are_drawn_in_per_cent():
    axes = drawn()
    points = axes.lines[0].get_xydata()
    np.testing.assert_allclose(points, [(n, 100 * value) for n, value in MEASURED])
    (band,) = axes.collections
    assert band.get_datalim(axes.transData).y1 == pytest.approx(85)
    axes.figure.draw_without_rendering()
    assert "400\nyou are here" in [label.get_text() for label in axes.get_xticklabels()]


def test_a_line_far_from_the_rest_is_left_out():
    assert [text.get_text() for text in drawn().texts] == ["target 84 %"]
    assert [text.get_text() for text in drawn(guess=0.66).texts] == ["target 84 %", "guessing 66 %"]
    low, high = drawn().get_ylim()
    assert 60 < low < high < 95


def test_without_a_forecast_there_are_the_points_alone():
    axes = verdict_chart(Figure(), MEASURED, (), here=400)
    assert len(axes.collections) == 0
    assert [text.get_text() for text in axes.get_legend().texts] == ["measured"]
