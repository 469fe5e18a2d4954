"""Real sweeps that are killed, started twice, and packed."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from factories.small_runs import HANG, TWO_RANKS, finish, jobs, start_sweep, timeless, until
from factories.wandb_file import read_wandb_file

from datavol.errors import HELD
from datavol.runs.folder import Row, RunFolder, runs_of

BOTH, ONE = "fraction=0.1,0.25", "fraction=0.1"  # of the two runs, the one that a single kill alone can spare
OFFLINE = ["logger=wandb", "logger.mode=offline"]


def trained(study: str, place: Path, *overrides: str) -> list[RunFolder]:
    finish(start_sweep(place, f"study={study}", *overrides))
    return runs_of(place / "studies" / study)


def metrics(runs: list[RunFolder]) -> dict[str, list[Row]]:
    return {run.path.name: known(run.rows) for run in runs}


def known(rows: list[Row]) -> list[Row]:
    """Rows without times and NaN, which does not equal itself."""
    return [{name: value for name, value in row.items() if value == value} for row in timeless(rows)]


def on_wandb(run: RunFolder) -> list[Row]:
    """The curves of the W&B run that `wandb sync` would make of what all sessions left: a step counts once."""
    files = [read_wandb_file(path) for path in sorted(run.path.glob("wandb/offline-run-*/run-*.wandb"))]
    assert {file.run.run_id for file in files if file.run} == {run.record["wandb_id"]}
    rows = {row["_step"]: row for file in files for row in file.rows if "budget_epoch" in row}
    return known([{name: rows[step][name] for name in run.rows[0]} for step in sorted(rows)])


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(elsewhere, request):
    """SIGKILL to the sweep, a job or a rank, then the same command: the same metrics to the last bit, also on W&B.

    Once a study is finished, the kills that are left fall on another one.
    """
    kills = request.config.getoption("--kills")
    fraction = ONE if kills == 1 else BOTH
    began = time.monotonic()
    undisturbed = metrics(trained("undisturbed", elsewhere, fraction))
    whole = time.monotonic() - began
    rng = random.Random(request.config.getoption("--kill-seed"))
    killed = [elsewhere / "studies/killed0"]
    for _ in range(kills):
        if [run.state for run in runs_of(killed[-1])] == ["finished"] * 2:
            killed.append(elsewhere / f"studies/killed{len(killed)}")
        kill_once(killed[-1].name, elsewhere, rng, rng.uniform(0.5, whole), fraction)

    for study in killed:
        runs = trained(study.name, elsewhere, *OFFLINE, fraction)
        assert metrics(runs) == undisturbed
        for run in runs:
            assert run.state == "finished"
            assert on_wandb(run) == known(run.rows)


def kill_once(study: str, place: Path, rng: random.Random, seconds: float, fraction: str) -> None:
    """Start the sweep, and kill one of its processes after some seconds; half the time the sweep as well."""
    process = start_sweep(place, f"study={study}", *OFFLINE, fraction)
    deadline = time.monotonic() + seconds
    until(lambda: time.monotonic() > deadline or process.poll() is not None)
    with suppress(FileNotFoundError, ProcessLookupError):  # one has just ended by itself
        ours = [pid for pid in jobs(place) if "datavol" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(rng.choice([process.pid, *ours]), signal.SIGKILL)
    if process.poll() is None and rng.random() < 0.5:
        process.kill()
    process.communicate(timeout=HANG)
    until(lambda: not jobs(place))


@pytest.mark.slow
def test_each_run_of_a_sweep_on_two_ranks_is_trained_once(elsewhere):
    runs = trained("ranks", elsewhere, *TWO_RANKS, "seed=0,1,2", "fraction=0.25")
    facts = [(run.state, run.record["world_size"], len(run.record["sessions"]), len(run.rows)) for run in runs]
    assert facts == [("finished", 2, 1, 3)] * 3
    assert [path.name for path in elsewhere.iterdir()] == ["studies"]
    assert {path.name for path in (elsewhere / "studies/ranks").glob("*pct*")} == {run.path.name for run in runs}
    assert not jobs(elsewhere)


@pytest.mark.slow
def test_two_sweeps_on_one_study_train_no_run_twice(elsewhere):
    sweeps = [start_sweep(elsewhere, "study=shared", BOTH) for _ in range(2)]
    out = [process.communicate(timeout=HANG)[0] for process in sweeps]
    assert {process.returncode for process in sweeps} <= {0, HELD}  # 75 for a run that the other had not finished yet
    runs = runs_of(elsewhere / "studies/shared")
    assert [(run.state, len(run.record["sessions"])) for run in runs] == [("finished", 1)] * 2
    assert any("trained by another process" in text or "finished already" in text for text in out)


@pytest.mark.slow
def test_packed_runs_are_the_same_runs(elsewhere):
    alone = metrics(trained("alone", elsewhere, BOTH))
    assert metrics(trained("packed", elsewhere, BOTH, "sweep.parallel=2")) == alone
    assert not jobs(elsewhere)
