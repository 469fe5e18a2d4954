"""A run in a process of its own: it starts in its own session, dies with its parent, and leaves no process behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

MARKER = "DATAVOL_JOB"
"""In the environment of every process that a job starts, W&B's service included, which has a session of its own."""

OF_RANKS = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE")
OF_SRUN = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
GRACE_SECONDS = 10.0


class JobProcess:
    """The process that trains a run, with everything that it starts."""

    def __init__(self, file: Path, output: Path, environment: Mapping[str, str]) -> None:
        """Start `python -m datavol.sweep.job <file>`, what it says going to `output`."""
        self.marker = f"{MARKER}={uuid.uuid4().hex}"
        name, _, value = self.marker.partition("=")
        inherited = {key: text for key, text in os.environ.items() if key not in OF_RANKS + OF_SRUN}
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "datavol.sweep.job", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**inherited, **environment, name: value},
            )

    def poll(self) -> int | None:
        """The exit code once the process has ended; then nothing of the job is left."""
        code = self._process.poll()
        if code is not None:
            self._sweep_up()
        return code

    def stop(self, number: int) -> None:
        """Pass a signal on, wait for the job to keep what it has, then end whatever is left of it."""
        self._process.send_signal(number)
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._sweep_up()

    def _sweep_up(self) -> None:
        """Kill what carries the job's marker, until nothing does."""
        deadline = time.monotonic() + GRACE_SECONDS
        while (left := list(processes_with(self.marker))) and time.monotonic() < deadline:
            for pid in left:
                _kill(pid)
            time.sleep(0.05)


def processes_with(marker: str) -> Iterator[int]:
    """The living processes whose environment holds `marker` (Linux; elsewhere none are found)."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
            ended = (place / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
        except OSError:  # it has just ended, or is somebody else's
            continue
        if not ended and marker.encode() in environment.split(b"\0"):
            yield int(place.name)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, however that ends; a job and its ranks do."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
