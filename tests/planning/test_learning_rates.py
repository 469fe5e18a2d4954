"""Learning rates without torch against torch's schedulers, and the schedules of the thesis's two slips."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from factories.schedules import scheduled_lrs
from matplotlib.figure import Figure

from datavol.config.compose import compose
from datavol.plan import main
from datavol.planning.learning_rates import learning_rates, schedule_curves
from datavol.planning.plan import plan_runs
from datavol.study.figures import learning_rate_curves
from datavol.study.report.renderer import draw_into
from datavol.training.optimisation.schedules import build_schedule

PER_EPOCH = 13
SCHEDULES = {
    "step": "name=step step_size=3 gamma=0.5 warmup_epochs=0",
    "step after a warm-up": "name=step step_size=2 gamma=0.9 warmup_epochs=2",
    "a step inside budget epochs": "name=step step_size=0.75 gamma=0.98 warmup_epochs=0",
    "a step below an iteration": "name=step step_size=0.01 gamma=0.98 warmup_epochs=0",
    "cosine": "name=cosine min_lr=0 warmup_epochs=0",
    "cosine after a warm-up": "name=cosine min_lr=0.001 warmup_epochs=3 warmup_start=0.25",
    "a warm-up inside a budget epoch": "name=cosine min_lr=0 warmup_epochs=0.625",
    "a warm-up that rounds to half": "name=cosine min_lr=0 warmup_epochs=0.5 warmup_start=1",
    "constant": "name=constant warmup_epochs=0",
    "constant after a warm-up": "name=constant warmup_epochs=1",
    "cooled down": "name=wsd warmup_epochs=0.5",
    "cooled down over half": "name=wsd warmup_epochs=1.25 cooldown=0.5 min_lr=0.001",
}
INSIDE = [name for name, text in SCHEDULES.items() if "epochs=0." in text or "size=0." in text]
INSIDE += ["cooled down over half"]
"""They take interval=iteration."""
BY_EPOCH = [(name, "epoch") for name in SCHEDULES if name not in INSIDE]


@pytest.mark.parametrize(("name", "interval"), [*BY_EPOCH, *((name, "iteration") for name in SCHEDULES)])
def test_learning_rates_are_those_of_torch_at_every_iteration(name, interval):
    overrides = [f"recipe.schedule.{part}" for part in f"interval={interval} {SCHEDULES[name]}".split()]
    config = compose(["recipe=plain", "epochs=8", *overrides])[0].config
    schedule, lr = config.recipe.schedule, config.recipe.optimiser.lr
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    reference = build_schedule(optimiser, schedule, config.epochs, PER_EPOCH)
    every = 1 if interval == "iteration" else PER_EPOCH
    expected = scheduled_lrs(optimiser, reference, config.epochs * PER_EPOCH, every)
    found = learning_rates(lr, schedule, config.epochs, PER_EPOCH, np.arange(len(expected)))
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def slip(name):
    return schedule_curves(plan_runs(compose([f"experiment=thesis/{name}", "plan.images=1281167"], multirun=True)))


def test_the_slip_of_resnet50_is_a_warm_up_of_5_passes_instead_of_40():
    curves = slip("resnet50_as_run")
    words = [words.splitlines()[1] for words in curves["schedule"].unique()]
    assert words == [f"12.5 %, in passes: warm-up {rise}, cosine {480 - rise}" for rise in (5, 40)]
    for (_, course), epochs in zip(curves.groupby("schedule", sort=False), (0.625, 5), strict=True):
        assert course["lr"].max() == pytest.approx(0.5, rel=1e-5)
        assert course.loc[course["lr"].idxmax(), "budget_epoch"] == pytest.approx(epochs, abs=0.05)
        assert course["iteration"].tolist()[-1] == 60 * 2503 - 1


def test_the_slip_of_mobilenet_v2_ends_at_0_55_of_the_learning_rate():
    curves = slip("mobilenet_v2_as_run")
    words = [words.splitlines()[1] for words in curves["schedule"].unique()]
    assert words == [f"75 %, in passes: every {step}" for step in ("1", "1.333")]
    as_run, meant = (course["lr"].iloc[-1] for _, course in curves.groupby("schedule", sort=False))
    assert as_run / meant == pytest.approx(0.98**30)


def test_a_schedule_that_fractions_share_is_one_line():
    grid = ["fraction=0.05,0.25", "model=resnet50,mobilenet_v2"]
    curves = schedule_curves(plan_runs(compose(grid, multirun=True)))
    assert curves.groupby("model")["schedule"].nunique().to_dict() == {"mobilenet_v2": 1, "resnet50": 1}
    assert curves["schedule"].iloc[0].splitlines()[1] == "5, 25 %"
    passes = schedule_curves(plan_runs(compose([*grid, "budget=epochs"], multirun=True)))
    assert passes.groupby("model")["schedule"].nunique().to_dict() == {"mobilenet_v2": 2, "resnet50": 2}
    assert len(learning_rate_curves(passes, Figure())) == 2


def test_the_lines_are_the_frame_s():
    curves = slip("resnet50_as_run")
    (axes,) = learning_rate_curves(curves, Figure())
    assert [line.get_label() for line in axes.lines] == curves["schedule"].unique().tolist()
    assert axes.lines[0].get_ydata().tolist() == curves["lr"].tolist()[: len(axes.lines[0].get_ydata())]
    assert axes.get_xlabel() == "thousand iterations\n(a budget epoch: 2,503)"


def test_a_plan_draws_its_learning_rates_without_torch(tmp_path):
    file = tmp_path / "place" / "lr.svg"
    code = "from datavol.plan import main; import sys; main(); assert 'torch' not in sys.modules"
    options = ["-m", "experiment=thesis/resnet50_as_run", "plan.images=1281167", f"plan.schedules={file}"]
    answer = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.splitlines()[-1] == f"learning rates: {file}"
    assert "<svg" in file.read_text()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("lr.jpg", "a figure's file must end in .svg, .pdf, .png, got lr.jpg; try lr.png"),
        ("taken/lr.png", "a figure's file must be one to write, got taken/lr.png: File exists; try another place"),
    ],
)
def test_a_place_that_cannot_be_drawn_into_is_one_line(file, told, tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["plan", "plan.timing=false", f"plan.schedules={file}"])
    with pytest.raises(SystemExit):
        main()
    *found, line = capsys.readouterr().err.splitlines()
    assert line == f"datavol: {told}"
    assert len(found) == 4  # what was found in the data, and what is trained


def test_the_same_figure_twice_is_the_same_file(tmp_path):
    curves = slip("resnet50_as_run")
    for name in ("a.png", "b.png", "a.svg", "b.svg", "a.pdf", "b.pdf"):
        draw_into(tmp_path / name, lambda figure: learning_rate_curves(curves, figure))
    for ending in ("png", "svg", "pdf"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
