"""What `import datavol` offers."""

import json
import subprocess
import sys

import numpy as np
import pytest
from factories.run_folders import CLASSES, LABELS, write_run
from factories.small_runs import SMALL

import datavol
from datavol.data.subsets import draw_subset
from datavol.sweep import local


@pytest.fixture
def study(tmp_path):
    for fraction in (0.05, 0.125, 0.25, 0.5):
        write_run(tmp_path / "mine", fraction=fraction)
    return datavol.load_study(tmp_path / "mine")


def test_importing_it_imports_nothing_and_the_module_run_is_the_function_run():
    code = """
import sys
import datavol
assert not {"numpy", "pandas", "hydra", "torch", "datavol.api"} & set(sys.modules)
assert set(datavol.__all__) <= set(dir(datavol))
before, sweep = datavol.run, datavol.sweep
import datavol.run, datavol.sweep.local
from datavol.run import main
assert datavol.run is before and datavol.run.main is main and datavol.sweep is sweep
import inspect
print(inspect.signature(datavol.run), inspect.signature(datavol.sweep))
for name in datavol.__all__: getattr(datavol, name)
assert "torch" not in sys.modules
try: datavol.nothing
except AttributeError as error: print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    signatures, unknown = answer.stdout.splitlines()
    arguments = "(*overrides: 'str', **keys: 'Any') -> "
    assert signatures == f"{arguments}'RunFolder' {arguments}'Study'", answer.stderr
    assert unknown == "module 'datavol' has no attribute 'nothing'"


def test_a_study_says_what_it_is_and_what_it_means(study):
    runs = "mobilenet_v2 on digits: 79 to 785 images in 4 sizes, 1 seeds, accuracy 0.453 to 0.759"
    assert repr(study) == f"Study of mine: 4 runs, 4 finished\n  {runs}"
    assert f"4 finished<br>  {runs}</p><table" in study._repr_html_()
    (verdict,) = study.verdict(delta=0.02)
    assert repr(study.verdict(delta=0.02)) == str(verdict)
    assert "within 2 points" in verdict.sentence or verdict.state == "refused"
    assert study.answers()[0] == datavol.answers(study)[0]


def test_a_plot_shows_every_run_in_axes_of_ones_own_or_new_ones(study):
    from matplotlib.figure import Figure

    own = Figure().subplots()
    assert study.plot(own) is own
    for axes in (own, study.plot()):
        assert (line := max(axes.lines, key=lambda one: len(one.get_xdata()))).get_xdata()[:2].tolist() != [100, 785]
        assert line.get_xdata().tolist() == sorted(study.runs["images"])


def test_points_of_another_trainer_are_a_study(tmp_path):
    (tmp_path / "mine.csv").write_text("n,value\n100,50\n200,60\n400,68\n800,74\n")
    study = datavol.load_points(tmp_path / "mine.csv", "accuracy", percent=True, guess=10)
    assert repr(study).splitlines()[0] == "Study of 4 points of accuracy, mine"
    assert len(study.verdict(target=0.8)) == 1


@pytest.mark.parametrize("draw", ["independent", "nested", "disjoint"])
def test_a_subset_is_drawn_from_labels_as_a_run_draws_it(draw):
    theirs = draw_subset(LABELS, CLASSES, 0.25, draw, 2)
    names = np.array([f"class {label}" for label in LABELS])
    for labels in (LABELS.tolist(), names):
        ours = datavol.draw_subset(labels, 0.25, seed=2, draw=draw)
        np.testing.assert_array_equal(ours.indices, theirs.indices)


MISTAKES = {
    "fraction must be a number above 0 and at most 1, got 2; try fraction=0.02": {"fraction": 2},
    'fraction must be a number above 0 and at most 1, got "0.25"; try fraction=0.25': {"fraction": "0.25"},
    "recipe.batch_size must be images of a global batch, at least 1, got 0; try recipe.batch_size=": {"batch_size": 0},
    "fractoin must be a key of conf/, got an unknown one; try fraction=": {"fractoin": 0.1},
    "name must be one key's name, got that of model.name, data.name, ": {"name": "resnet18"},
    "data.root must be a folder, got a, [b] é, which does not exist": {"data": "image_folder", "root": "a, [b] é"},
    "what datavol.run and datavol.sweep get must be no key of hydra, got hydra/launcher=slurm_gpu; type it": {
        "hydra/launcher": "slurm_gpu"
    },
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_an_exception_of_one_line_and_nothing_is_written(line, elsewhere):
    with pytest.raises(datavol.ConfigError) as raised:
        datavol.run(**{"logger": "csv", **MISTAKES[line]})
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
    assert list(elsewhere.iterdir()) == []


def test_a_sweep_trains_and_returns_the_study(elsewhere, capfd):
    keys = dict(one.split("=", 1) for one in SMALL)
    asked = {"model": "timm", "model.name": ["test_efficientnet"], "logger": "csv", "data": {"image_size": 16}}
    study = datavol.sweep(*[f"{key}={value}" for key, value in keys.items()], epochs=1, fraction=[0.25], **asked)
    assert study.runs["state"].tolist() == ["finished"]
    assert study.runs["fraction"].tolist() == [0.25]
    printed = capfd.readouterr()
    assert "datavol: trains a run, on this machine (" in printed.err
    assert "finished: top-1" in printed.out
    folder = datavol.run(*[f"{key}={value}" for key, value in keys.items()], "model=timm", epochs=1, fraction=0.25,
                         **asked | {"model.name": "test_efficientnet"})  # fmt: skip
    assert folder.state == "finished"
    assert json.loads((folder.path / "run.json").read_text())["sessions"].__len__() == 1


def test_a_run_that_stops_is_an_exception(elsewhere, monkeypatch):
    def fails(jobs, *_):
        jobs[0].status.fail("the loss was not finite", refused=False)

    monkeypatch.setattr(local, "_train_all", fails)
    with pytest.raises(datavol.RunError, match=r"^studies/digits/\S+: the loss was not finite; 2 of 2 runs did not"):
        datavol.sweep(fraction=[0.1, 0.25], logger="csv")
