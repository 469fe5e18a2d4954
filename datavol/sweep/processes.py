"""Starts each run in its own process, and ends it without leftovers."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from datavol.cli.lifeline import JOB, PARENT

# which rank the sweep itself is, within a SLURM job or under torchrun: a run must not take it for its own
OF_RANKS = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE")
OF_SRUN = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
GRACE_SECONDS = 10.0


class JobProcess:
    """Holds the process that trains a run, and its descendants."""

    def __init__(self, file: Path, output: Path, environment: Mapping[str, str]) -> None:
        """Start `python -m datavol.sweep.entry <file>`, and append its output to a file."""
        self.marker = f"{JOB}={uuid.uuid4().hex}"
        name, _, value = self.marker.partition("=")
        inherited = {key: text for key, text in os.environ.items() if key not in OF_RANKS + OF_SRUN}
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "datavol.sweep.entry", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches the sweep alone, which passes it on
                env={**inherited, **environment, name: value, PARENT: str(os.getpid())},
            )

    def poll(self) -> int | None:
        """Return the exit code of an ended process, and kill its leftovers."""
        code = self._process.poll()
        if code is not None:
            self._kill_leftovers()
        return code

    def send_signal(self, number: int) -> None:
        """Pass a signal on, without waiting for what comes of it."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Let the job end, kill its leftovers and return its exit code."""
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._kill_leftovers()
        return self._process.returncode

    def _kill_leftovers(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        # again and again, since a process may start another between being listed and being killed
        while (left := list(processes_with(self.marker))) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def processes_with(marker: str) -> Iterator[int]:
    """List the living processes whose environment holds `marker` (Linux only)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()  # as it was at the start: NAME=value, separated by NUL
            # "pid (command) state ...", where the command may hold spaces and brackets; Z is a zombie, X dead
            ended = (process / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
        except OSError:  # it has just ended, or belongs to another user
            continue
        if not ended and marker.encode() in environment.split(b"\0"):
            yield int(process.name)
