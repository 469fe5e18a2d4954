"""Real sweeps that are killed, interrupted and started twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from wandb_file import read_wandb_file

from datavol.runs.folder import RunFolder, runs_of
from datavol.sweep.processes import MARKER, processes_with

SWEEP = ["-m", "fraction=0.1,0.25", "logger=csv", "data.image_size=16", "data.resize=16", "recipe.batch_size=128"]
SWEEP += ["epochs=3", "trainer.threads=1", "trainer.precision=32", "trainer.memory_format=channels_last"]
ONE = ["fraction=0.1"]  # of the two runs, which one kill alone can spare
TEST = "DATAVOL_TEST"
OFFLINE = ["logger=wandb", "logger.mode=offline"]
TIMES = ("seconds/train", "seconds/val", "images_per_second")


def start(study: str, place: Path, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "datavol.run", *SWEEP, f"study={study}", *more]
    return subprocess.Popen(
        line,
        cwd=place,
        env={**os.environ, TEST: str(place)},  # other tests have their own sweeps at the same time
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listen_to_ctrl_c,
    )


def listen_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored


def finish(study: str, place: Path, *more: str) -> tuple[str, str]:
    process = start(study, place, *more)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def metrics(study: Path) -> dict[str, list[dict[str, float]]]:
    return {run.path.name: [timeless(row) for row in run.rows] for run in runs_of(study)}


def timeless(row: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in row.items() if key not in TIMES and value == value}


def on_wandb(run: RunFolder) -> list[dict[str, float]]:
    """The curves of the W&B run that `wandb sync` would make of what all sessions left: a step counts once."""
    files = [read_wandb_file(path) for path in sorted(run.path.glob("wandb/offline-run-*/run-*.wandb"))]
    assert {file.run.run_id for file in files if file.run} == {run.record["wandb_id"]}
    rows = {row["_step"]: row for file in files for row in file.rows}
    return [
        timeless({key: value for key, value in row.items() if not key.startswith("_")})
        for _, row in sorted(rows.items())
    ]


def jobs(place: Path) -> list[int]:
    """Every living process that a job of this test's sweeps has started, by what is in its environment."""
    return [pid for pid in processes_with(f"{TEST}={place}") if of_a_job(pid)]


def of_a_job(pid: int) -> bool:
    try:
        return f"{MARKER}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def gone(place: Path, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while jobs(place) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not jobs(place)


def wait_for(study: Path, epoch: int, process: subprocess.Popen[str]) -> None:
    def reached() -> bool:
        return any(run.record.get("last", {}).get("budget_epoch") == epoch for run in runs_of(study))

    while process.poll() is None and not reached():
        time.sleep(0.05)


def test_kills_at_random_moments_change_nothing(elsewhere, request):
    """SIGKILL to the sweep, a job or a rank, then the same command: the same metrics to the last bit, also on W&B.

    Once a study is finished, the kills that are left fall on another one.
    """
    kills = request.config.getoption("--kills")
    fewer = ONE if kills == 1 else []
    began = time.monotonic()
    finish("undisturbed", elsewhere, *fewer)
    whole = time.monotonic() - began
    rng = random.Random(request.config.getoption("--kill-seed"))
    killed = [elsewhere / "studies/killed0"]
    for _ in range(kills):
        if [run.state for run in runs_of(killed[-1])] == ["finished"] * 2:
            killed.append(elsewhere / f"studies/killed{len(killed)}")
        kill_once(killed[-1].name, elsewhere, rng, rng.uniform(0.5, whole), *fewer)

    for study in killed:
        finish(study.name, elsewhere, *OFFLINE, *fewer)
        assert metrics(study) == metrics(elsewhere / "studies/undisturbed")
        for run in runs_of(study):
            assert run.state == "finished"
            assert on_wandb(run) == [timeless(row) for row in run.rows]


def kill_once(study: str, place: Path, rng: random.Random, seconds: float, *more: str) -> None:
    """Start the sweep, and kill one of its processes after some seconds; half the time the sweep as well."""
    process = start(study, place, *OFFLINE, *more)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    with suppress(FileNotFoundError, ProcessLookupError):  # one has just ended by itself
        ours = [pid for pid in jobs(place) if "datavol" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(rng.choice([process.pid, *ours]), signal.SIGKILL)
    if process.poll() is None and rng.random() < 0.5:
        process.kill()
    process.communicate(timeout=300)
    assert gone(place)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_resumable_records_and_no_orphan(number, code, elsewhere):
    process = start("told", elsewhere)
    wait_for(elsewhere / "studies/told", 1, process)
    assert jobs(elsewhere)
    process.send_signal(number)
    _, err = process.communicate(timeout=40)

    assert process.returncode == code
    assert err.rstrip().endswith(f"{signal.Signals(number).name}: the sweep has ended; the same command goes on")
    assert "Traceback" not in err
    assert gone(elsewhere, seconds=1)
    (run,) = runs_of(elsewhere / "studies/told")
    assert run.state == "failed"
    assert "the same command goes on" in run.record["reason"]
    finish("told", elsewhere)
    assert [len(run.rows) for run in runs_of(elsewhere / "studies/told")] == [3, 3]
    assert len(RunFolder(run.path).record["sessions"]) == 2


@pytest.mark.slow
def test_each_run_of_a_sweep_on_two_ranks_is_trained_once(elsewhere):
    ranks = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "seed=0,1,2", "fraction=0.25"]
    finish("ranks", elsewhere, *ranks)
    runs = runs_of(elsewhere / "studies/ranks")
    facts = [(run.state, run.record["world_size"], len(run.record["sessions"]), len(run.rows)) for run in runs]
    assert facts == [("finished", 2, 1, 3)] * 3
    assert [path.name for path in elsewhere.iterdir()] == ["studies"]
    names = {path.name for path in (elsewhere / "studies/ranks").glob("*pct*")}
    assert names == {run.path.name for run in runs}
    assert not jobs(elsewhere)


@pytest.mark.slow
def test_two_sweeps_on_one_study_train_no_run_twice(elsewhere):
    first, second = start("shared", elsewhere), start("shared", elsewhere)
    out = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), out
    runs = runs_of(elsewhere / "studies/shared")
    assert [run.state for run in runs] == ["finished"] * 2
    assert [len(run.record["sessions"]) for run in runs] == [1, 1]
    assert any("trained by another process" in text or "finished already" in text for text in out)


@pytest.mark.slow
def test_packed_runs_are_the_same_runs(elsewhere):
    finish("alone", elsewhere)
    finish("packed", elsewhere, "sweep.parallel=2")
    assert metrics(elsewhere / "studies/packed") == metrics(elsewhere / "studies/alone")
    assert not jobs(elsewhere)
