"""Logic of SLURM sweeps without a cluster; test_slurm.py has one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories.small_runs import SMALL, timeless, until

from datavol.config.compose import compose
from datavol.errors import ConfigError
from datavol.runs.folder import WITHIN, RunFolder, runs_of
from datavol.sweep import slurm

TWO_RANKS = ["hydra/launcher=submitit_slurm", "trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp"]


def program(place: Path, name: str, says: str = "", code: int = 0) -> None:
    """A stand-in for one of SLURM's programs, which writes its arguments to `<name>.called`."""
    place.mkdir(exist_ok=True)
    file = place / name
    file.write_text(f'#!/bin/sh\necho "$@" >> {place}/{name}.called\nprintf "{says}"\nexit {code}\n')
    file.chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    place = tmp_path / "programs"
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


def test_ranks_and_nodes_follow_the_trainer():
    assert len(compose([*TWO_RANKS, "fraction=0.1,0.2", "recipe.batch_size=128"], multirun=True)) == 2


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("hydra.launcher.tasks_per_node=4", "be equal to trainer.devices, got 4 and 2"),
        ("hydra.launcher.nodes=2", "be equal to trainer.num_nodes, got 2 and 1"),
        ("trainer.devices=auto", "be a number with a SLURM launcher, got auto"),
    ],
)
def test_ranks_that_would_wait_for_each_other_are_refused(override, rule):
    with pytest.raises(ConfigError, match=f"{override.partition('=')[0]} must {rule}"):
        compose([*TWO_RANKS, override], multirun=True)


@pytest.mark.parametrize(("preset", "trainer"), [("submitit_slurm", "cpu"), ("slurm_gpu", "ddp"), ("slurm_cpu", "cpu")])
def test_presets_compose(preset, trainer):
    assert compose([f"hydra/launcher={preset}", f"trainer={trainer}", "recipe.batch_size=128"], multirun=True)


@pytest.mark.slow
def test_where_slurm_is_not_it_is_refused_in_one_line(monkeypatch, command):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    answer = command("run", "-m", *TWO_RANKS, "recipe.batch_size=128", "logger=csv")
    assert answer.returncode == 2
    assert answer.stderr.startswith("datavol: hydra/launcher must be left out where SLURM is not")
    assert answer.stderr.count("\n") == 1


def test_finished_runs_are_not_submitted(elsewhere, monkeypatch):
    runs = compose(["fraction=0.1,0.2", "logger=csv"], multirun=True)
    for run in runs:
        RunFolder(run.folder).update(state="finished", hash=run.config.run_hash)
    submitted: list[object] = []
    monkeypatch.setattr(slurm, "build_executor", lambda parameters: submitted)
    slurm.launch_on_slurm(runs, runs[0].config.sweep, {})
    assert submitted == []


def test_the_queue_is_read(programs):
    program(programs, "squeue", r"12_0 RUNNING\n12_1 PENDING\n13 COMPLETING\n")
    assert slurm.queue(["12_0", "12_1", "12_2"]) == {"12_0": "RUNNING", "12_1": "PENDING"}
    assert "--jobs=12" in (programs / "squeue.called").read_text()


def test_a_queue_that_does_not_answer_is_not_an_empty_one(programs):
    program(programs, "squeue", code=1)
    assert slurm.queue(["12"]) is None


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("JobId=12 JobState=FAILED ExitCode=75:0", 75),
        ("JobId=12 JobState=FAILED ExitCode=0:9", -9),
        ("JobId=12 JobState=CANCELLED ExitCode=0:0", -signal.SIGTERM),
        ("", 1),
    ],
)
def test_exit_codes(says, code, programs):
    program(programs, "scontrol", says)
    assert slurm.exit_code("12") == code


@pytest.mark.slow
def test_an_early_warning_saves_the_run_and_queues_its_job_again(elsewhere, programs, monkeypatch):
    """Then the same command goes on inside the budget epoch, and ends as a run that was never warned."""
    program(programs, "scontrol")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    options = [*SMALL, "logger=csv", "recipe.batch_size=64", "fraction=0.25", "epochs=2"]
    line = [sys.executable, "-m", "datavol.run", *options, "check_every=5", "trainer.threads=1"]
    process = subprocess.Popen([*line, "study=warned"], stderr=subprocess.PIPE, text=True)
    until(lambda: any(run.rows for run in runs_of(elsewhere / "studies/warned")))
    process.send_signal(signal.SIGUSR2)
    _, err = process.communicate(timeout=300)

    (run,) = runs_of(elsewhere / "studies/warned")
    assert process.returncode == 1, err
    assert (programs / "scontrol.called").read_text() == "requeue 12\n"
    assert "warned by SLURM that its time is nearly up; saved at iteration" in run.record["reason"]
    saved = int(run.record["reason"].partition("iteration ")[2].split()[0])
    assert saved % 5 == 0 or saved % 23 == 0
    assert run.checkpoint(WITHIN).exists() or saved % 23 == 0

    for study in ("warned", "undisturbed"):
        subprocess.run([*line, f"study={study}"], check=True, capture_output=True)
    (undisturbed,) = runs_of(elsewhere / "studies/undisturbed")
    assert timeless(run.rows) == timeless(undisturbed.rows)
    assert len(run.record["sessions"]) == 2
