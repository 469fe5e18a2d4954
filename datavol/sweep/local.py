"""Trains the runs of a sweep, each in a fresh process, some at once; skips, resumes, retries and reports."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from datavol.config.run import Run
from datavol.config.sweep import SweepConfig
from datavol.runs.folder import RunFolder
from datavol.sweep.devices import run_environments
from datavol.sweep.job import write_job
from datavol.sweep.processes import JobProcess
from datavol.sweep.status import ELSEWHERE, Display, Status

POLL_SECONDS = 0.2


@dataclass
class Job:
    """A run of the sweep and how it stands."""

    run: Run
    status: Status
    attempts: int = 0
    process: JobProcess | None = None
    place: int = 0


def launch_here(runs: Sequence[Run], settings: SweepConfig) -> None:
    """Train the runs; finished ones are skipped, and one that fails does not stop the others.

    Raises:
        SystemExit: With code 1 if a run failed, and 128 + the signal's number after SIGINT and SIGTERM.
    """
    environments = run_environments(settings.parallel, runs[0].config.trainer, len(runs))
    jobs = jobs_of(runs, settings)
    with tempfile.TemporaryDirectory(prefix="datavol-") as scratch, Display() as display, signals_noted() as told:
        _train_all(jobs, environments, settings, Path(scratch), display, told)
        if told:
            _stop_all(jobs, told[0])
            ended_by_signal(jobs, told[0], display)
        conclude(jobs, display)


def jobs_of(runs: Sequence[Run], settings: SweepConfig) -> list[Job]:
    """The runs as a sweep finds them; with `rerun` the old ones are moved away first."""
    if settings.rerun:
        for run in runs:
            RunFolder(run.folder).supersede()
    return [Job(run, Status.of(run)) for run in runs]


def _train_all(
    jobs: list[Job],
    environments: list[dict[str, str]],
    settings: SweepConfig,
    scratch: Path,
    display: Display,
    told: list[int],
) -> None:
    """Train, one job in each of the environments at once, until nothing is left or a signal has come in."""
    free = list(range(len(environments)))
    waiting = [job for job in jobs if job.status.state == "waiting"]
    running: list[Job] = []
    while (waiting or running) and not told:
        while waiting and free:
            job = waiting.pop(0)
            job.place = free.pop(0)
            _start(job, scratch / f"{jobs.index(job)}", environments[job.place])
            running.append(job)
        for job in [job for job in running if _ended(job, scratch / f"{jobs.index(job)}")]:
            running.remove(job)
            free.append(job.place)
            if job.status.state == "failed" and job.attempts <= settings.retries:
                job.status.state = "waiting"
                waiting.append(job)
            elif job.status.state in ("failed", "refused") and settings.fail_fast:
                _stop_all(running, signal.SIGTERM)
                return
        display.show([job.status for job in jobs])
        time.sleep(POLL_SECONDS)


def _start(job: Job, files: Path, environment: dict[str, str]) -> None:
    files.mkdir(exist_ok=True)
    write_job(files / "run.json", job.run)
    job.attempts += 1
    job.status.state = "running"
    job.process = JobProcess(files / "run.json", files / "output.log", environment)


def _ended(job: Job, files: Path) -> bool:
    """Look at a running job; once it has ended, its status says how."""
    assert job.process is not None
    code = job.process.poll()
    job.status.look()
    if code is None:
        return False
    job.status.close(code, last_line(files / "output.log"))
    if job.status.state == "failed":
        job.status.keep_output((files / "output.log").read_bytes())
    return True


def _stop_all(jobs: Sequence[Job], number: int) -> None:
    for job in jobs:
        if job.process is not None and job.process.poll() is None:
            job.process.stop(number)
            job.status.close(-number, f"ended by {signal.Signals(number).name}; the same command goes on")


def ended_by_signal(jobs: Sequence[Job], number: int, display: Display) -> NoReturn:
    """Say that the sweep was told to end, and end."""
    display.show([job.status for job in jobs])
    display.say(f"{signal.Signals(number).name}: the sweep has ended; the same command goes on")
    raise SystemExit(128 + number)


def conclude(jobs: Sequence[Job], display: Display) -> None:
    """Say what became of the runs, and how to go on with those that failed."""
    display.show([job.status for job in jobs])
    display.close()
    failed = [job for job in jobs if job.status.state in ("failed", "refused", "waiting")]
    elsewhere = [job for job in jobs if job.status.note == ELSEWHERE]
    print(f"{len(jobs) - len(failed) - len(elsewhere)} of {len(jobs)} runs finished", flush=True)
    for job in failed:
        display.say(f"failed: {job.run.folder}: {job.status.note or 'it was not started'}")
        display.say(f"  again: python -m datavol.run {' '.join(map(shlex.quote, job.run.overrides))}")
    if failed:
        raise SystemExit(1)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them: raising at any place could lose a job just started.

    Within a SLURM job, its early warning is for the runs: a sweep that died of it would take them along unsaved.
    """
    told: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)

    def leave(number: int, frame: FrameType | None) -> None:
        pass

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    if "SLURM_JOB_ID" in os.environ:
        before |= {number: signal.signal(number, leave) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_line(output: Path) -> str:
    """The last line that a job printed."""
    lines = output.read_text(errors="replace").split("\n")
    return next((line.removeprefix("datavol: ") for line in reversed(lines) if line.strip()), "")
