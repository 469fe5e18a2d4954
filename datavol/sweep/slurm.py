"""A sweep on a SLURM cluster: one SLURM job per run, submitted by submitit, its ranks started by srun.

Keys and name are those of Hydra's own submitit launcher (`hydra/launcher=submitit_slurm`), which this stands in for:
that one composes a run's configuration anew when its job starts, submits finished runs again, leaves the jobs in
the queue after Ctrl-C, and never hears of a cancelled job where SLURM keeps no accounts.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datavol.cli.boundary import cli_errors
from datavol.config import Run, SweepConfig
from datavol.errors import ConfigError
from datavol.sweep.local import Job, conclude, ended_by_signal, jobs_of, last_line, signals_noted
from datavol.sweep.status import Display

if TYPE_CHECKING:
    import submitit

POLL_SECONDS = 2.0
CANCEL_SECONDS = 60.0
"""How long SLURM may take to end a cancelled job; its KillWait is 30 s by default."""

SHARED = ("name", "timeout_min", "mem_gb", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node")
"""The keys of `hydra.launcher` that submitit takes for any kind of cluster; it wants the others marked `slurm_`."""


class TrainRun:
    """What each rank of a SLURM job does. submitit keeps it, with its run's finished configuration, as a file."""

    def __call__(self, run: Run) -> None:
        """Train the run; it ends with the exit codes of `datavol.cli.boundary`."""
        from datavol.sweep.job import train_run

        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit has it ignored
        cli_errors(lambda: train_run(run))()

    def checkpoint(self, run: Run) -> Any:
        """What submitit queues again for a run that SLURM warns before its training has begun: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, run)


def check_slurm() -> None:
    """Raise a ConfigError where SLURM is not."""
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher must be left out where SLURM is not, got no sbatch on the PATH; "
            "leave it out, or try again on a login node of the cluster"
        )


def launch_on_slurm(runs: Sequence[Run], settings: SweepConfig, parameters: Mapping[str, Any]) -> None:
    """Submit the runs that are not finished, and watch them until they have ended.

    Args:
        runs: The runs.
        settings: How to go about them; how many train at once is SLURM's and `array_parallelism`'s business.
        parameters: The keys of `conf/hydra/launcher/submitit_slurm.yaml`.

    Raises:
        SystemExit: With code 1 if a run failed, and 128 + the signal's number after SIGINT and SIGTERM, which cancel
            the jobs. When the terminal is closed (SIGHUP) they stay in the queue.
    """
    jobs = jobs_of(runs, settings)
    executor = _executor(parameters)
    with Display() as display, signals_noted() as told:
        for attempt in range(1 + settings.retries):
            _train_all(jobs, executor, settings.fail_fast and attempt == settings.retries, display, told)
        if told:
            ended_by_signal(jobs, told[0], display)
        conclude(jobs, display)


def _executor(parameters: Mapping[str, Any]) -> submitit.AutoExecutor:
    import submitit

    given = dict(parameters)
    folder, timeouts = given.pop("submitit_folder"), given.pop("max_num_timeout")
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    named = {name if name in SHARED else f"slurm_{name}": value for name, value in given.items()}
    # a rank that fails ends the others, which would wait for it
    executor.update_parameters(**named, slurm_srun_args=["--kill-on-bad-exit=1"])
    return executor


def _train_all(
    jobs: Sequence[Job], executor: submitit.AutoExecutor, fail_fast: bool, display: Display, told: list[int]
) -> None:
    """Submit what waits or has failed, and watch it until nothing is left or a signal has come in."""
    todo = [job for job in jobs if job.status.state in ("waiting", "failed")]
    if not todo or told:
        return
    submitted = executor.map_array(TrainRun(), [job.run for job in todo])
    left = list(zip(todo, submitted, strict=True))
    while left and not told:
        states = queue([one.job_id for _, one in left])
        for job, one in list(left):
            if states is not None and one.job_id not in states:
                left.remove((job, one))
                _close(job, one)
                if job.status.state in ("failed", "refused") and fail_fast:
                    _cancel(left)
                    return
            elif states is not None:
                _look(job, one.job_id, states[one.job_id])
        display.show([job.status for job in jobs])
        time.sleep(POLL_SECONDS)
    _cancel(left)


def _look(job: Job, job_id: str, state: str) -> None:
    if state == "PENDING":
        job.status.state, job.status.note = "waiting", f"in SLURM's queue as job {job_id}"
        return
    if job.status.state != "running":
        job.status.state, job.status.note = "running", f"as SLURM's job {job_id}"
    job.status.look()


def _close(job: Job, one: submitit.Job[None]) -> None:
    """Note how a job ended that is no longer in the queue."""
    logs = sorted(one.paths.folder.glob(f"{one.job_id}_*_log.*"))
    first = [log for log in logs if log.suffix == ".err"]
    job.status.close(exit_code(one.job_id), last_line(first[0]) if first else "")
    if job.status.state == "failed":
        job.status.keep_output(b"".join(log.read_bytes() for log in logs))


def _cancel(left: Sequence[tuple[Job, submitit.Job[None]]]) -> None:
    """Cancel jobs, and wait until they have kept what they have and are gone."""
    if not left:
        return
    ids = [one.job_id for _, one in left]
    subprocess.run(["scancel", *ids], check=True, capture_output=True)
    deadline = time.monotonic() + CANCEL_SECONDS
    while queue(ids) != {} and time.monotonic() < deadline:
        time.sleep(0.5)
    for job, one in left:
        _close(job, one)


def queue(job_ids: Sequence[str]) -> dict[str, str] | None:
    """The state of every job that is waiting, running or ending; None if SLURM does not answer just now."""
    whole = sorted({job_id.partition("_")[0] for job_id in job_ids})
    command = ["squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={','.join(whole)}"]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return None
    states = dict(line.split(maxsplit=1) for line in asked.stdout.splitlines())
    return {job_id: states[job_id] for job_id in job_ids if job_id in states}


def exit_code(job_id: str) -> int:
    """The exit code of an ended job, negative for a signal; 1 if SLURM has forgotten it (it does after MinJobAge)."""
    asked = subprocess.run(["scontrol", "--oneliner", "show", "job", job_id], capture_output=True, text=True)
    found = re.search(r"\bExitCode=(\d+):(\d+)", asked.stdout)
    if "JobState=CANCELLED" in asked.stdout:
        return -signal.SIGTERM
    if found is None:
        return 1
    code, number = int(found[1]), int(found[2])
    return -number if number else code
