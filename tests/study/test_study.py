from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from datavol.composition import compose
from datavol.errors import ConfigError
from datavol.records import RunFolder
from datavol.study.figures import STYLE, accuracy_against_volume
from datavol.study.loading import load_runs
from datavol.study.tables import learning_curve_points, results_table

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def study(tmp_path):
    """Six finished runs of two networks, one that runs and one that failed, with made-up accuracies."""
    for model in ("resnet50", "mobilenet_v2"):
        for i, fraction in enumerate((0.05, 0.125, 0.25)):
            made_up(tmp_path, model, fraction, "finished", 0.5 + 0.1 * i)
    made_up(tmp_path, "resnet50", 0.5, "running", math.nan)
    made_up(tmp_path, "resnet50", 1.0, "failed", 0.4)
    return tmp_path


def made_up(study, model: str, fraction: float, state: str, top1: float) -> None:
    run = compose([f"model={model}", f"fraction={fraction}"])[0]
    row = {"budget_epoch": 4, "val/top1": top1, "val/top5": 0.9, "val/loss": 1.0}
    measured = {"last": row, "best": row | {"val/top1": top1 + 0.05}, "seconds": {"train": 60.0}}
    RunFolder(study / run.config.run_name).update(
        state=state,
        reason="a test" if state == "failed" else None,
        study="made_up",
        config=run.values,
        validation_images=359,
        subset={"draw": "independent", "fraction": fraction, "size": round(1438 * fraction)},
        **({} if math.isnan(top1) else measured),
    )


def test_every_run_is_a_row_whatever_its_state(study):
    runs = load_runs([study])
    assert runs["state"].value_counts().to_dict() == {"finished": 6, "running": 1, "failed": 1}
    assert runs["model"].tolist() == ["mobilenet_v2"] * 3 + ["resnet50"] * 5
    assert runs["images"].tolist() == [72, 180, 360, 72, 180, 360, 719, 1438]
    first = runs.iloc[0]
    assert (first.top1, first.top5, first.best_top1, first.minutes) == (0.5, 0.9, 0.55, 1.0)
    assert math.isnan(first.margin_correct)
    assert math.isnan(runs.iloc[6].top1)


def test_points_are_finished_runs_with_their_wilson_interval(study):
    points = learning_curve_points(load_runs([study]))
    assert points["label"].value_counts().to_dict() == {"mobilenet_v2": 3, "resnet50": 3}
    for point in points.itertuples():
        p, n, z = round(point.accuracy / 100 * 359) / 359, 359, 1.959964
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        assert (point.low, point.high) == pytest.approx((100 * (centre - half), 100 * (centre + half)), abs=1e-4)


def test_the_figure_shows_every_point_with_its_name_and_leaves_the_style_alone(study):
    before = dict(mpl.rcParams)
    points = learning_curve_points(load_runs([study]))
    with mpl.rc_context(STYLE):
        axes = accuracy_against_volume(points, Figure().subplots())
    assert dict(mpl.rcParams) == before
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mobilenet_v2", "resnet50"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3 and line.get_linestyle() == "-"]
    assert [line.get_ydata().tolist() for line in lines] == [pytest.approx([50, 60, 70])] * 2
    assert axes.get_xscale() == "log"
    labels = [axes.xaxis.get_major_formatter()(images, None) for images in (72, 180, 360)]
    assert labels == ["72\n5 %", "180\n12.5 %", "360\n25 %"]
    assert "%" in axes.get_ylabel()
    assert "training images" in axes.get_xlabel()


def test_the_table_shows_per_cent_and_the_state_of_what_is_not_finished(study):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(results_table(load_runs([study])))
    text = console.export_text()
    assert "12.5 %" in text
    assert " 60.0 " in text
    assert "running at 0/4" in text
    assert "failed at 4/4" in text


def test_an_empty_study_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"a study must be a folder with runs in it, got .*; see studies/"):
        load_runs([tmp_path])


def test_a_report_imports_no_torch(study):
    code = "from datavol.report import main; import sys; main(); assert 'torch' not in sys.modules"
    answer = subprocess.run([sys.executable, "-c", code, str(study)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "figure: " in answer.stdout
    assert (study / "figures" / "accuracy_against_volume.png").stat().st_size > 10_000


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_runs_and_is_kept_without_output(notebook, study):
    mpl.use("agg")
    names: dict[str, object] = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            exec(cell.source.replace("../studies/digits", str(study)), names)
    assert len(names["points"]) == 6
