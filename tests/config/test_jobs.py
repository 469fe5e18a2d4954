"""The jobs of a sweep are composed once, and as Hydra would compose each."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from datavol.config.command_line.jobs import distinct_runs
from datavol.config.compose import compose
from datavol.errors import ConfigError

SWEEPS = {
    "values": ["fraction=0.1,0.25", "seed=range(0,3)", "data.mean=[0.5,0.5,0.5]"],
    "groups": ["model=resnet50,mobilenet_v2", "fraction=0.1,0.25", "recipe.optimiser.lr=0.1,0.2"],
    "dictionaries": ["recipe.augment={flip:0.1},{crop_scale:1}", "fraction=0.5,1"],
    "interpolations": ["study=s${seed}", "seed=1,2", "epochs=${recipe.epochs},3"],
    "folders": ["hydra.sweep.subdir=${hydra.job.override_dirname}", "fraction=0.1,0.2"],
}
FILES = {"values": 1, "groups": 2, "dictionaries": 2, "interpolations": 1, "folders": 1}
"""Times that files are composed, for all jobs together."""


@pytest.mark.parametrize("sweep", SWEEPS)
def test_jobs_are_what_hydra_composes_one_by_one(sweep, monkeypatch):
    real, calls = ConfigLoaderImpl.load_sweep_config, Counter()

    def counted(self, master, overrides):
        calls["composed"] += 1
        return real(self, master, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    runs = compose([*SWEEPS[sweep], "logger=csv"], multirun=True)
    assert calls["composed"] == FILES[sweep]
    assert len(runs) == len({run.folder for run in runs}) > 1
    for run in runs:
        (alone,) = compose(run.overrides, multirun=True)
        assert run == alone


def test_a_run_that_is_asked_for_twice_is_one_run_and_said_so(capsys):
    runs = compose(["fraction=0.1,0.10,0.2,1e-1", "logger=csv"], multirun=True)
    assert [run.config.fraction for run in distinct_runs(runs)] == [0.1, 0.2]
    assert capsys.readouterr().err == (
        "datavol: note: 4 jobs ask for 2 different runs, and each is trained once; asked for again: "
        f"{runs[0].config.run_name}\n"
    )
    assert distinct_runs(runs[::2]) == runs[::2]
    assert capsys.readouterr().err == ""


def test_two_runs_do_not_share_a_folder():
    first, second = compose(["fraction=0.1,0.2", "logger=csv"], multirun=True)
    with pytest.raises(ConfigError, match=r"hydra\.sweep\.subdir must be a folder of its own for every run, got x "):
        distinct_runs([replace(run, folder=Path("x")) for run in (first, second)])
