from itertools import product

import pytest

from datavol.config.compose import compose
from datavol.study.load.study import load_study
from datavol.study.report.commands import commands, commands_of

GRID = [(f"model={model}", f"fraction={f}") for model, f in product(["resnet50", "mobilenet_v2"], ["0.25", "0.05"])]
CASES = {
    "no run": ([], []),
    "one run": ([("fraction=0.05",)], ["python -m datavol.run fraction=0.05"]),
    "nothing overridden": ([()], ["python -m datavol.run"]),
    "a grid": (GRID, ["python -m datavol.run -m model=mobilenet_v2,resnet50 fraction=0.05,0.25"]),
    "trained twice": (GRID + GRID, ["python -m datavol.run -m model=mobilenet_v2,resnet50 fraction=0.05,0.25"]),
    "numbers by size": ([("seed=10",), ("seed=9",)], ["python -m datavol.run -m seed=9,10"]),
    "other keys": ([("seed=0",), ("epochs=3",)], ["python -m datavol.run epochs=3", "python -m datavol.run seed=0"]),
    "quoted": ([("logger.tags=[a, b]",)], ["python -m datavol.run 'logger.tags=[a, b]'"]),
    "not kept": ([None], []),
}


@pytest.mark.parametrize(("overrides", "lines"), CASES.values(), ids=CASES)
def test_commands(overrides, lines):
    assert commands(overrides) == lines


def test_what_is_no_grid_is_split_and_every_line_gives_its_runs_back():
    asked = {*GRID, ("model=resnet50", "fraction=1")}
    lines = [line.replace(" -m ", " ", 1) for line in commands(asked)]
    assert len(lines) == 2
    runs = [run for line in lines for run in compose(line.split()[3:], multirun=True)]
    made = {(str(run.config.model.name), run.config.fraction) for run in runs}
    assert made == {(model[6:], float(fraction[9:])) for model, fraction in asked}


def test_runs_without_overrides_are_left_out(study):
    runs = load_study(study).runs
    assert commands_of(runs) == ["python -m datavol.run"]
    assert commands_of(runs.assign(folder=None)) == []
