"""Trains a sweep's runs on this machine, each in a process."""

import os
import shlex
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from datavol.cli.console import announce, say
from datavol.config.run import Run
from datavol.config.sweep import SweepConfig
from datavol.errors import HELD, flat
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import supersede
from datavol.sweep.devices import run_environments
from datavol.sweep.job import write_job
from datavol.sweep.outcome import after_sweep, outcome
from datavol.sweep.processes import JobProcess
from datavol.sweep.status import ELSEWHERE, Display, Status
from datavol.tracking.training_run import log_again, places_of_a_sweep

POLL_SECONDS = 0.2


@dataclass
class Job:
    """Pairs a run of the sweep with its process and status."""

    run: Run
    status: Status
    number: int
    attempts: int = 0
    process: JobProcess | None = None
    slot: int = 0  # index of its environment: its GPUs, or its share of the CPU threads


def launch_here(runs: Sequence[Run], settings: SweepConfig, *, summed_up: bool = True) -> None:
    """Train the runs, resuming those that stopped and skipping finished ones.

    `summed_up` says at the end what came out; a sweeper that has more runs to try says it by itself.

    Raises:
        SystemExit: With code 1 if a run failed, 75 if another process trains one, and 128 + the signal's number after
            SIGINT and SIGTERM.
    """
    with Display() as display:
        jobs, number = train_here(runs, settings, display)
        if number is not None:
            ended_by_signal(jobs, number, display)
        conclude(jobs, display, summed_up=summed_up)


def train_here(runs: Sequence[Run], settings: SweepConfig, display: Display) -> tuple[list[Job], int | None]:
    """Train the runs; return their jobs and the signal that stopped them."""
    environments = run_environments(settings.parallel, [run.config for run in runs])
    jobs = jobs_of(runs, settings)
    scratch = tempfile.TemporaryDirectory(prefix="datavol-", ignore_cleanup_errors=True)
    with scratch as files, signals_noted() as received:
        _train_all(jobs, environments, settings, Path(files), display, received)
        if received:
            _stop_all(jobs, received[0])
        return jobs, received[0] if received else None


def jobs_of(runs: Sequence[Run], settings: SweepConfig) -> list[Job]:
    """Make the runs' jobs; with `rerun` old runs are moved away first.

    Raises:
        RunLocked: If one of those is being trained; then none is moved.
    """
    if settings.rerun:
        supersede([RunFolder(run.folder) for run in runs])
    jobs = [Job(run, Status.of(run), number) for number, run in enumerate(runs)]
    for job in jobs:
        if job.status.state == "skipped":
            log_again(job.run)
    announce(places_of_a_sweep([job.run for job in jobs if job.status.state == "waiting"]))
    return jobs


def _train_all(
    jobs: list[Job],
    environments: list[dict[str, str]],
    settings: SweepConfig,
    scratch: Path,
    display: Display,
    received: list[int],
) -> None:
    """Train one job per environment until all end or a signal arrives."""
    free = list(range(len(environments)))
    waiting = [job for job in jobs if job.status.state == "waiting"]
    running: list[Job] = []
    while (waiting or running) and not received:
        while waiting and free:
            job = waiting.pop(0)
            job.slot = free.pop(0)
            _start(job, _files(job, scratch), environments[job.slot])
            running.append(job)
        for job in [job for job in running if _ended(job, _files(job, scratch))]:
            running.remove(job)
            free.append(job.slot)
            # "refused" is a mistake of the configuration, which another attempt would only meet again
            if job.status.state == "failed" and job.attempts <= settings.retries:
                job.status.state = "waiting"
                waiting.append(job)  # last, so that a run that keeps failing holds up no other
            elif job.status.state in ("failed", "refused") and settings.fail_fast:
                _stop_all(running, signal.SIGTERM)
                return
        display.show([job.status for job in jobs])
        time.sleep(POLL_SECONDS)


def _files(job: Job, scratch: Path) -> Path:
    """Return the folder of what passes between the sweep and a job."""
    return scratch / f"{job.number}"


def _start(job: Job, files: Path, environment: dict[str, str]) -> None:
    """Start a job's process; if that fails, only this job has failed."""
    job.process, job.status.state = None, "running"
    job.attempts += 1
    try:
        files.mkdir(parents=True, exist_ok=True)  # with its parents: the scratch folder may have been removed
        write_job(files / "run.json", job.run)
        job.process = JobProcess(files / "run.json", files / "output.log", environment)
    except OSError as error:  # a full TMPDIR, or no process to be had
        job.status.fail(f"its process could not be started: {flat(error)}; see to it, and the same command goes on")


def _ended(job: Job, files: Path) -> bool:
    """Poll a started job; once ended, record how in its status."""
    if job.process is None:
        return True
    code = job.process.poll()
    job.status.look()
    if code is None:
        return False
    job.status.close(code, last_line(files / "output.log"))
    if job.status.state == "failed":
        job.status.keep_output([files / "output.log"])
    return True


def _stop_all(jobs: Sequence[Job], number: int) -> None:
    """Signal all running jobs, then wait for each."""
    # All at once, so that none trains on while another ends; one that finishes in the meantime counts as finished
    running = [job for job in jobs if job.process is not None and job.status.state == "running"]
    for job in running:
        assert job.process is not None
        job.process.send_signal(number)
    for job in running:
        assert job.process is not None
        code = job.process.wait()
        ending = f"ended by {signal.Signals(number).name}; the same command goes on"
        job.status.close(code if code == 0 else -number, ending)


def ended_by_signal(jobs: Sequence[Job], number: int, display: Display) -> NoReturn:
    """Report the signal that ended the sweep, and exit."""
    display.show([job.status for job in jobs])
    display.say(f"{signal.Signals(number).name}: the sweep has ended; the same command goes on")
    raise SystemExit(128 + number)


def conclude(jobs: Sequence[Job], display: Display, *, summed_up: bool = True) -> None:
    """Report the runs' ends, what they reached, and what to type next."""
    display.show([job.status for job in jobs])
    display.close()
    failed = [job for job in jobs if job.status.state in ("failed", "refused", "waiting")]
    elsewhere = [job for job in jobs if job.status.elsewhere]
    say(f"{len(jobs) - len(failed) - len(elsewhere)} of {len(jobs)} runs finished")
    finished = [job.run for job in jobs if job.status.state in ("finished", "skipped") and not job.status.elsewhere]
    reached = outcome(finished) if summed_up else []
    for line in reached:
        say(line)
    for job in failed:
        display.say(f"failed: {job.run.folder}: {job.status.note or 'it was not started'}")
        display.say(f"  again: python -m datavol.run {' '.join(map(shlex.quote, job.run.overrides))}")
    for job in elsewhere:
        display.say(f"not finished: {job.run.folder}: {ELSEWHERE}; wait for it, or type the command again")
    if failed or elsewhere:
        raise SystemExit(1 if failed else HELD)
    if reached:
        for line in after_sweep(finished):
            say(line)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
    # An exception raised by a handler could come between a process's start and the line that keeps it, and nobody would
    # stop that job. So signals are only noted, and the loop looks between two polls, where it knows every job
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python gives no other thread signals to note
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    if "SLURM_JOB_ID" in os.environ:
        # SLURM's early warning is for the runs, which save themselves; a sweep that died of it would take them along.
        # A handler that does nothing, not SIG_IGN, which the runs' processes would inherit
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            before[number] = signal.signal(number, lambda number, frame: None)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_line(output: Path) -> str:
    """Return the last line that a job printed."""
    lines = output.read_text(errors="replace").split("\n") if output.exists() else []
    return next((line.removeprefix("datavol: ") for line in reversed(lines) if line.strip()), "")
