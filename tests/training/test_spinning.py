"""Idle threads are added while training waits for cores, and removed when it does not."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
import torch
from factories.small_runs import timeless

from datavol.data.prepare import prepare
from datavol.runs.folder import RunFolder
from datavol.runs.provenance import cores
from datavol.training.hardware import spinning
from datavol.training.hardware.spinning import BriefSpinning, IdleThreads, seconds_waited
from datavol.training.trainer import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not report waiting")


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def eventually(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_idle_threads_outnumber_the_cores_and_end():
    before = threads()
    idle = IdleThreads()
    eventually(lambda: threads() == before + 1 + cores())  # their owner and its team, of which it is one
    idle.end()
    eventually(lambda: threads() == before)


def test_waiting_adds_them_and_calm_removes_them(monkeypatch):
    monkeypatch.setattr(spinning, "INTERVAL", 0.02)
    busy, waited = [False], [0.0]

    def read() -> float:
        waited[0] += 1000.0 if busy[0] else 0.0
        return waited[0]

    with BriefSpinning(read) as watching:
        time.sleep(0.2)
        assert watching.idle is None
        busy[0] = True
        eventually(lambda: watching.idle is not None)
        busy[0] = False
        eventually(lambda: watching.idle is None)
        busy[0] = True
        eventually(lambda: watching.idle is not None)
    assert watching.idle is None  # also where it ends on a busy machine


def test_a_run_beside_other_work_is_the_quiet_run_to_the_bit(little, elsewhere):
    before = torch.get_num_threads()
    rows = {}
    for study in ("quiet", "crowded"):
        run = little("trainer.threads=2", f"study={study}")
        with ExitStack() as stack:
            if study == "crowded":
                stack.callback(IdleThreads().end)
                stack.callback(stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"])).kill)
            train(run, prepare(run.config))
        rows[study] = timeless(RunFolder(run.folder).rows)
        assert RunFolder(run.folder).record["threads"] == 2
    torch.set_num_threads(before)
    assert rows["quiet"] == rows["crowded"]


def test_waiting_is_what_the_kernel_counted():
    first = seconds_waited()
    assert 0 <= first <= seconds_waited()
