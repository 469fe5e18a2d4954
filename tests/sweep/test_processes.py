"""A process ends with the one that started it, from its first moment on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datavol.cli.lifeline import PARENT
from datavol.data.workers import start_worker

IMPORTED = "import sys; sys.orig_argv[1:] = ['-m', 'datavol.run']; import datavol, os; os.kill(os.getpid(), 2)"


def test_a_job_whose_sweep_has_ended_dies_before_it_imports_anything(tmp_path):
    """Its parent is another process than the one that it was handed: the sweep was killed in between."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "datavol.sweep.entry", str(tmp_path / "none")],
        env={**os.environ, PARENT: "1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == -signal.SIGKILL
    imported = {line.split("|")[-1].strip() for line in answer.stderr.split("\n")}
    assert not {"numpy", "hydra", "pydantic", "yaml"} & imported


@pytest.mark.parametrize("seconds", [0.02, 0.3])
def test_a_job_dies_with_its_sweep(seconds, tmp_path):
    """Whether the sweep is killed while its job starts or later."""
    (tmp_path / "job.py").write_text(
        "from datavol.cli.lifeline import die_with_parent; die_with_parent()\nimport time; time.sleep(60)"
    )
    (tmp_path / "sweep.py").write_text(
        "import subprocess, sys, time\nfrom datavol.cli.lifeline import child_environment\n"
        "job = subprocess.Popen([sys.executable, sys.argv[1]], env=child_environment())\n"
        "print(job.pid, flush=True); time.sleep(60)"
    )
    line = [sys.executable, str(tmp_path / "sweep.py"), str(tmp_path / "job.py")]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    time.sleep(seconds)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_signal_to_the_group_ends_a_worker_without_an_error():
    """Torch reports a worker that dies of a signal, in the middle of whatever the training does."""
    parent = os.getpid()
    if (pid := os.fork()) == 0:
        start_worker(parent, 0)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_ctrl_c_while_a_command_imports_is_one_line():
    answer = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (130, "datavol: interrupted\n")


@pytest.mark.parametrize(("method", "tied"), [("fork", [7]), ("spawn", [7]), ("forkserver", [])])
def test_a_worker_is_tied_to_the_trainer_only_where_that_is_its_parent(method, tied, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr("datavol.data.workers.die_with", asked.append)
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: method)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    start_worker(7, 0)
    assert asked == tied
