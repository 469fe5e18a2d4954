"""Starts sweeps of runs that take seconds as real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from datavol.cli.lifeline import JOB
from datavol.runs.folder import Row
from datavol.sweep.processes import processes_with

SMALL = ["data.image_size=16", "data.resize=16", "recipe.batch_size=128"]
SMALL += ["trainer.precision=32", "trainer.memory_format=channels_last"]  # no times decide what `auto` is
"""Digits of 16 x 16 pixels, computed alike on any machine."""

TINY_NETWORK = ["model=timm", "model.name=test_efficientnet"]
TWO_RANKS = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]
TIMES = ("seconds/train", "seconds/val", "images_per_second")
HANG = 600.0
"""Seconds after which something hangs: many times what it takes on a slow machine."""
TEST = "DATAVOL_TEST"


def start_sweep(place: Path, *overrides: str, door: str = "run", **environment: str) -> subprocess.Popen[str]:
    """Start a sweep, or a question, in `place`, as a terminal would: Ctrl-C ends it."""
    options = [*SMALL, *TINY_NETWORK, "logger=csv", "trainer.threads=1", "epochs=3", *overrides]
    return subprocess.Popen(
        [sys.executable, "-m", f"datavol.{door}", *["-m"] * (door == "run"), *options],
        cwd=place,
        env={**os.environ, TEST: str(place), **environment},  # other tests have their own sweeps at the same time
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's `&` has it ignored
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a sweep that succeeds, and return its output and errors."""
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    return out, err


def jobs(place: Path) -> list[int]:
    """List the living processes of a sweep's jobs, W&B's service included."""
    return [pid for pid in processes_with(f"{TEST}={place}") if _of_a_job(pid)]


def _of_a_job(pid: int) -> bool:
    try:
        return f"{JOB}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has just ended
        return False


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + HANG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def timeless(rows: Iterable[Row]) -> list[Row]:
    """Copy rows without the times that a machine took."""
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
