"""Real sweeps of which one run fails or is told to stop: how it ends, and the others unharmed."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from factories.small_runs import HANG, TWO_RANKS, finish, jobs, start_sweep, until

from datavol.runs.folder import RunFolder, runs_of

INJECTING = Path(__file__).parents[1] / "injecting"


@pytest.fixture
def start(elsewhere, tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a sweep of seeds 1 and 0, and waits until `what` happens to the run of seed 1."""

    def begin(what: str, *more: str) -> subprocess.Popen[str]:
        injected = tmp_path / "injected"
        environment = {"DATAVOL_INJECT": what, "DATAVOL_INJECTED": str(injected), "PYTHONPATH": str(INJECTING)}
        process = start_sweep(elsewhere, "seed=1,0", "fraction=0.25", "study=study", *more, **environment)
        until(lambda: injected.exists() or process.poll() is not None)
        assert injected.exists(), process.communicate()
        return process

    return begin


ENDINGS = {
    "rank 1": "RuntimeError: injected on rank 1",
    "rank 0": "RuntimeError: injected on rank 0",
    "before fit": "injected before fit",
    "killed": "its process was killed by signal 9",
    "full disk": "last.ckpt could not be written: File too large",
    "not a number": "the loss was not finite at iteration 21; what was measured before is kept",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ENDINGS)
def test_a_failure_ends_its_run_and_no_other(what, start, elsewhere):
    process = start(what, *TWO_RANKS)
    out, err = process.communicate(timeout=HANG)  # ranks left alone would wait for each other for half an hour

    assert process.returncode == 1
    assert ENDINGS[what] in next(line for line in out.splitlines() if " failed: " in line)
    assert "1 of 2 runs finished" in out
    assert "  again: python -m datavol.run " in err
    assert "Traceback" not in err
    assert not jobs(elsewhere)
    by_seed = {run.values["seed"]: run for run in runs_of(elsewhere / "studies/study")}
    assert (by_seed[0].state, len(by_seed[0].rows)) == ("finished", 3)
    if what != "before fit":  # that one never got a record
        assert by_seed[1].state == "failed"
        assert ENDINGS[what] in by_seed[1].record["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["start-up", "training", "evaluation", "checkpoint"])
def test_a_signal_in_any_phase_leaves_no_orphan_and_a_resumable_record(phase, number, start, elsewhere, tmp_path):
    process = start(phase, "logger=wandb", "logger.mode=offline")
    time.sleep(0.3)  # into the middle of it
    assert jobs(elsewhere)
    process.send_signal(number)
    _, err = process.communicate(timeout=HANG)

    assert process.returncode == 128 + number
    assert err.rstrip().endswith(f"{signal.Signals(number).name}: the sweep has ended; the same command goes on")
    assert "Traceback" not in err
    assert not jobs(elsewhere)
    runs = runs_of(elsewhere / "studies/study")
    kept = 0 if phase == "evaluation" else 1  # a row precedes its checkpoint
    assert [(run.state, len(run.rows)) for run in runs] == [("failed", kept)] * (phase != "start-up")
    assert all("the same command goes on" in run.record["reason"] for run in runs)

    finish(start_sweep(elsewhere, "seed=1,0", "fraction=0.25", "study=study"))
    assert [len(run.rows) for run in runs_of(elsewhere / "studies/study")] == [3, 3]
    assert [len(RunFolder(run.path).record["sessions"]) for run in runs] == [2] * len(runs)
