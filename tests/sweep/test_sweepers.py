"""Hydra's sweepers that make their jobs up get the objective of each. Optuna's is in the extra `dev`."""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from factories.small_runs import SMALL, TINY_NETWORK

from datavol import run as door
from datavol.config.run import Run
from datavol.runs.folder import RunFolder
from datavol.sweep import local

OPTUNA = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "logger=csv"]
LR, BATCH = "recipe.optimiser.lr=tag(log,interval(0.001,1))", "recipe.batch_size=choice(32,64)"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> Callable[..., list[Run]]:
    """Sweeps in this process over trainings that take no time: the best learning rate is 0.1, the best batch 64."""
    runs: list[Run] = []

    def train(jobs: Sequence[Run], _: object, *, summed_up: bool) -> None:
        runs.extend(jobs)
        for run in jobs:
            lr, batch = run.config.recipe.optimiser.lr, run.config.recipe.batch_size
            top1 = 0.9 - 0.2 * abs(math.log10(lr / 0.1)) - (0.1 if batch == 32 else 0)
            failed = {"state": "failed", "reason": "the loss was not finite"}
            row = {"val/top1": top1, "val/loss": None}
            rest = {"state": "finished", "last": row, "best": {"val/top1": top1 + 0.05}}
            RunFolder(run.folder).update(**(failed if lr > 0.9 else rest))
        if any(run.config.recipe.optimiser.lr > 0.9 for run in jobs):
            raise SystemExit(1)

    def sweep(*arguments: str) -> list[Run]:
        monkeypatch.setattr(local, "launch_here", train)
        monkeypatch.setattr(sys, "argv", ["run", *OPTUNA, *arguments])
        door.main()
        return runs

    return sweep


def test_optuna_maximises_the_last_top1_over_two_keys(trained, elsewhere, capfd):
    runs = trained(LR, BATCH, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=12")
    assert len(runs) == 12
    found = yaml.safe_load((elsewhere / "studies/optimization_results.yaml").read_text())
    best = max(runs, key=lambda run: RunFolder(run.folder).record["last"]["val/top1"])
    assert found["best_params"] == {
        "recipe.optimiser.lr": best.config.recipe.optimiser.lr,
        "recipe.batch_size": 64,
    }
    assert found["best_value"] == RunFolder(best.folder).record["last"]["val/top1"] > 0.85
    told = capfd.readouterr()
    assert f"{best.folder}: val/top1 is {found['best_value']:.6g}\n" in told.out
    assert "Best parameters: {'recipe.optimiser.lr'" in told.err


def test_the_objective_may_be_that_of_the_best_evaluation(trained, elsewhere):
    (run,) = trained(
        "recipe.optimiser.lr=choice(0.1)", "recipe.batch_size=64", "hydra.sweeper.direction=maximize",
        "hydra.sweeper.n_trials=1", "objective=best/val/top1",
    )  # fmt: skip
    assert run.config.objective == "best/val/top1"
    assert yaml.safe_load((elsewhere / "studies/optimization_results.yaml").read_text())["best_value"] == pytest.approx(
        0.95
    )


def test_a_failing_run_ends_the_sweep_in_one_line(trained, capfd):
    with pytest.raises(SystemExit) as ended:
        trained("recipe.optimiser.lr=choice(0.95,0.96)", "hydra.sweeper.direction=maximize")
    assert ended.value.code == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("datavol: studies/digits/")
    assert last.endswith("has not finished: the loss was not finite")


def test_failures_are_allowed_as_the_sweeper_says(trained, elsewhere):
    runs = trained("recipe.optimiser.lr=choice(0.95,0.1)", "hydra.sweeper.direction=maximize",
                   "hydra.sweeper.max_failure_rate=1.0", "hydra.sweeper.n_trials=6")  # fmt: skip
    states = [RunFolder(run.folder).record["state"] for run in runs]
    assert set(states) == {"failed", "finished"}
    assert (elsewhere / "studies/optimization_results.yaml").exists()


@pytest.mark.slow
def test_optuna_trains_in_processes(command, elsewhere):
    options = [*SMALL[:2], *TINY_NETWORK, "epochs=1", "fraction=0.25", "trainer.threads=1"]
    few = ["hydra.sweeper.n_trials=2", "hydra.sweeper.direction=maximize", BATCH, LR]
    answer = command("run", *OPTUNA, *options, *few)
    assert answer.returncode == 0, answer.stderr
    best = yaml.safe_load((elsewhere / "studies/optimization_results.yaml").read_text())["best_value"]
    records = [RunFolder(path).record for path in elsewhere.glob("studies/digits/*pct*")]
    assert best == max(record["last"]["val/top1"] for record in records)
