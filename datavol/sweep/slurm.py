"""Trains a sweep on a SLURM cluster, one job per run.

submitit submits the jobs and srun starts their ranks. Keys and name are those of Hydra's own submitit launcher
(`hydra/launcher=submitit_slurm`), which this replaces: that one composes a configuration anew when its job starts,
submits finished runs again, leaves the jobs in the queue after Ctrl-C, and does not notice a cancelled job where SLURM
keeps no accounts.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datavol.cli.boundary import cli_errors
from datavol.cli.lifeline import JOB
from datavol.config.run import Run
from datavol.config.sweep import SweepConfig
from datavol.errors import ConfigError, RunError, flat
from datavol.sweep.local import Job, conclude, ended_by_signal, jobs_of, last_line, signals_noted
from datavol.sweep.status import Display

if TYPE_CHECKING:
    import submitit

POLL_SECONDS = 2.0
CANCEL_SECONDS = 60.0  # for SLURM to end a cancelled job; its KillWait is 30 s by default

# keys of `hydra.launcher` that submitit takes for any kind of cluster; it wants the others prefixed by `slurm_`
SHARED = ("name", "timeout_min", "mem_gb", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node")


class TrainRun:
    """Trains a run on each rank of its job; submitit pickles both."""

    def __call__(self, run: Run) -> None:
        """Train the run; exit with the codes of `datavol.cli.boundary`."""
        from datavol.sweep.job import train_run

        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit ignores it
        os.environ.setdefault(JOB, "slurm")
        cli_errors(lambda: train_run(run))()

    def checkpoint(self, run: Run) -> Any:
        """Return what submitit queues again after a warning before training starts."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, run)


def check_slurm() -> None:
    """Raise a ConfigError where SLURM is not installed."""
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher must be left out where SLURM is not, got no sbatch on the PATH; "
            "leave it out, or try again on a login node of the cluster"
        )


def launch_on_slurm(
    runs: Sequence[Run], settings: SweepConfig, parameters: Mapping[str, Any], *, summed_up: bool = True
) -> None:
    """Submit the unfinished runs, and watch them until they have ended.

    How many train at once is up to SLURM and `array_parallelism`. `parameters` are the keys of
    `conf/hydra/launcher/submitit_slurm.yaml`; `summed_up` is that of `launch_here`.

    Raises:
        SystemExit: With code 1 if a run failed, and 128 + the signal's number after SIGINT and SIGTERM, which cancel
            the jobs. When the terminal is closed (SIGHUP) they stay in the queue.
    """
    jobs = jobs_of(runs, settings)
    executor = build_executor(parameters)
    with Display() as display, signals_noted() as signals:
        for attempt in range(1 + settings.retries):
            _train_all(jobs, executor, settings.fail_fast and attempt == settings.retries, display, signals)
        if signals:
            ended_by_signal(jobs, signals[0], display)
        conclude(jobs, display, summed_up=summed_up)


def build_executor(parameters: Mapping[str, Any]) -> submitit.AutoExecutor:
    """Build submitit's executor from the keys of `hydra.launcher`."""
    import submitit

    given = dict(parameters)
    folder, timeouts = given.pop("submitit_folder"), given.pop("max_num_timeout")
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    named = {name if name in SHARED else f"slurm_{name}": value for name, value in given.items()}
    # a rank that fails ends the others, which would wait for it
    executor.update_parameters(**named, slurm_srun_args=["--kill-on-bad-exit=1"])
    return executor


def _train_all(
    jobs: Sequence[Job], executor: submitit.AutoExecutor, fail_fast: bool, display: Display, signals: list[int]
) -> None:
    """Submit waiting and failed runs, and watch them to the end."""
    todo = [job for job in jobs if job.status.state in ("waiting", "failed")]
    if not todo or signals:
        return
    try:
        submitted = executor.map_array(TrainRun(), [job.run for job in todo])  # one SLURM array, a task per run
    except (RuntimeError, OSError) as error:  # submitit's for what sbatch refuses, and a full disk
        for job in todo:
            job.status.fail(f"SLURM did not take its job: {flat(error)}; see to it, and the same command goes on")
        return
    left = list(zip(todo, submitted, strict=True))
    while left and not signals:
        states = queue([slurm_job.job_id for _, slurm_job in left])
        for job, slurm_job in list(left):
            if states is None:  # no answer: as far as is known nothing has changed
                break
            if slurm_job.job_id in states:
                _update(job, slurm_job.job_id, states[slurm_job.job_id])
                continue
            left.remove((job, slurm_job))
            _close(job, slurm_job)
            if job.status.state in ("failed", "refused") and fail_fast:
                _cancel(left)
                return
        display.show([job.status for job in jobs])
        time.sleep(POLL_SECONDS)
    _cancel(left)


def _update(job: Job, job_id: str, state: str) -> None:
    if state == "PENDING":
        job.status.state, job.status.note = "waiting", f"in SLURM's queue as job {job_id}"
        return
    if job.status.state != "running":
        job.status.state, job.status.note = "running", f"as SLURM's job {job_id}"
    job.status.look()


def _close(job: Job, slurm_job: submitit.Job[None]) -> None:
    """Note how a job has ended, with its output."""
    logs = sorted(slurm_job.paths.folder.glob(f"{slurm_job.job_id}_*_log.*"))  # .err and .out of each rank
    errors = [log for log in logs if log.suffix == ".err"]
    job.status.close(exit_code(slurm_job.job_id), last_line(errors[0]) if errors else "")
    if job.status.state == "failed":
        job.status.keep_output(logs)


def _cancel(left: Sequence[tuple[Job, submitit.Job[None]]]) -> None:
    """Cancel jobs, and wait until they have saved their records and ended."""
    if not left:
        return
    ids = [slurm_job.job_id for _, slurm_job in left]
    answer = subprocess.run(["scancel", *ids], capture_output=True, text=True)
    if answer.returncode:
        said = flat(answer.stderr)
        raise RunError(f"scancel must cancel the jobs of the sweep, got {said}; try scancel {' '.join(ids)}")
    deadline = time.monotonic() + CANCEL_SECONDS
    while queue(ids) != {} and time.monotonic() < deadline:  # None, no answer, is no empty queue
        time.sleep(0.5)
    for job, slurm_job in left:
        _close(job, slurm_job)


def queue(job_ids: Sequence[str]) -> dict[str, str] | None:
    """Return queued jobs' states; None if SLURM does not answer."""
    arrays = sorted({job_id.partition("_")[0] for job_id in job_ids})  # 12_0, 12_1 -> 12
    command = ["squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={','.join(arrays)}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode and "Invalid job id" not in answer.stderr:  # which says that SLURM has forgotten all of them
        return None
    states = dict(line.split(maxsplit=1) for line in answer.stdout.splitlines())
    return {job_id: states[job_id] for job_id in job_ids if job_id in states}


def exit_code(job_id: str) -> int:
    """Return an ended job's exit code, negative for a signal."""
    # scontrol, not sacct: it answers where SLURM keeps no accounts, until it forgets the job (after MinJobAge)
    answer = subprocess.run(["scontrol", "--oneliner", "show", "job", job_id], capture_output=True, text=True)
    code = re.search(r"\bExitCode=(\d+):(\d+)", answer.stdout)  # exit code:signal
    if "JobState=CANCELLED" in answer.stdout:  # with ExitCode=0:0 if it had ended by itself
        return -signal.SIGTERM
    if code is None:
        return 1
    return -int(code[2]) if int(code[2]) else int(code[1])
