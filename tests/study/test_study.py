import math

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from datavol.study.figures import STYLE, accuracy_against_volume
from datavol.study.load.study import load_study
from datavol.study.tables.run_tables import results_table
from datavol.study.tables.summaries import learning_curve_points


def test_points_are_finished_runs_with_their_wilson_interval(study):
    points = learning_curve_points(load_study(study).runs)
    assert points["label"].value_counts().to_dict() == {"mobilenet_v2": 3, "resnet50": 3}
    for point in points.itertuples():
        p, n, z = round(point.accuracy * 359) / 359, 359, 1.959964
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        assert (point.low, point.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_the_figure_shows_every_point_with_its_name(study):
    points = learning_curve_points(load_study(study).runs)
    with mpl.rc_context(STYLE):
        axes = accuracy_against_volume(points, Figure().subplots())
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["mobilenet_v2", "resnet50", "guessing 10.3 %\n(below the axis)"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3 and line.get_linestyle() == "-"]
    assert [line.get_ydata().tolist() for line in lines] == [pytest.approx([50, 60, 70])] * 2
    assert axes.get_xscale() == "log"
    labels = [axes.xaxis.get_major_formatter()(images, None) for images in sorted(set(points["images"]))]
    assert labels == ["79\n5 %", "196\n12.5 %", "393\n25 %"]
    assert "%" in axes.get_ylabel()
    assert "training images" in axes.get_xlabel()


def test_the_table_shows_per_cent_and_the_state_of_what_is_not_finished(study):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(results_table(load_study(study).runs))
    text = console.export_text()
    assert "12.5 %" in text
    assert " 60.0 " in text
    assert "running at 0/4" in text
    assert "failed at 2/4" in text
