"""Real sweeps of which one run fails or is told to stop: how it ends, within what time, and the others unharmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datavol.runs.folder import RunFolder, runs_of
from datavol.sweep.processes import MARKER, processes_with

INJECTING = Path(__file__).parents[1] / "injecting"
SWEEP = ["-m", "seed=1,0", "fraction=0.25", "data.image_size=16", "data.resize=16", "recipe.batch_size=128", "epochs=3"]
SWEEP += ["trainer.threads=1", "study=study"]
TWO_RANKS = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]


@pytest.fixture
def start(elsewhere, tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a sweep of seeds 1 and 0 in which `what` happens to the run of seed 1."""

    def begin(what: str, *more: str) -> subprocess.Popen[str]:
        injected = {"DATAVOL_INJECT": what, "DATAVOL_INJECTED": str(tmp_path / "injected")}
        line = [sys.executable, "-m", "datavol.run", *SWEEP, *more]
        return subprocess.Popen(
            line,
            env={**os.environ, **injected, "PYTHONPATH": str(INJECTING), "DATAVOL_TEST": str(elsewhere)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=listen_to_ctrl_c,
        )

    return begin


def listen_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored


def left_over(place: Path) -> list[int]:
    """The living processes that a job of this test's sweep has started, W&B's service included."""
    found = []
    for pid in processes_with(f"DATAVOL_TEST={place}"):
        try:
            if f"{MARKER}=".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:  # it has just ended
            continue
    return found


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
def test_a_failure_ends_its_run_within_30_seconds_and_no_other(what, start, elsewhere, tmp_path):
    process = start(what, *TWO_RANKS, "logger=csv")
    injected = tmp_path / "injected"
    until(lambda: injected.exists() or process.poll() is not None, 120)
    assert injected.exists(), process.communicate()
    at = time.monotonic()
    lines = []
    while not any(" failed: " in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    assert time.monotonic() - at < 30
    assert ENDINGS[what] in lines[-1]
    out, err = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "1 of 2 runs finished" in out
    assert "  again: python -m datavol.run " in err
    assert "Traceback" not in err
    assert not left_over(elsewhere)
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
    injected = tmp_path / "injected"
    until(lambda: injected.exists() or process.poll() is not None, 120)
    assert injected.exists(), process.communicate()
    time.sleep(0.3)  # into the middle of it
    assert left_over(elsewhere)
    process.send_signal(number)
    _, err = process.communicate(timeout=40)

    assert process.returncode == 128 + number
    assert err.rstrip().endswith("the sweep has ended; the same command goes on")
    assert "Traceback" not in err
    assert not left_over(elsewhere)
    runs = runs_of(elsewhere / "studies/study")
    assert [run.state for run in runs] == ([] if phase == "start-up" else ["failed"])

    process = start("nothing more", "logger=csv")
    _out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert [len(RunFolder(run.path).rows) for run in runs_of(elsewhere / "studies/study")] == [3, 3]
