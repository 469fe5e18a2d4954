"""Trains one run of a sweep, in the process that `datavol.sweep.entry` starts.

The file holds the finished configuration, so that a job does not see a YAML file edited after the sweep began, and the
ranks that Lightning starts with this same command line train exactly the same run.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from datavol.cli.boundary import cli_errors
from datavol.cli.lifeline import PARENT
from datavol.config.compose import check
from datavol.config.run import Run
from datavol.data.prepare import Prepared, prepare_run
from datavol.errors import RunLocked, RunPreempted
from datavol.runs.files import write_whole
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import state_of
from datavol.tracking.training_run import log_again


def train_run(run: Run, prepared: Prepared | None = None) -> None:
    """Train a run unless it is finished; `prepared` is its opened data.

    Raises:
        ConfigError: If the run can't be trained as asked.
        RunError: If it had to stop, or another process is training it.
    """
    folder = RunFolder(run.folder)
    if state_of(folder, run.config) == "finished":
        print(f"{run.folder} is finished already")
        if is_first_rank():
            log_again(run)
        return
    from datavol.training.trainer import train  # late: torch and Lightning take seconds

    prepared = prepared or prepare_run(run)
    os.environ[PARENT] = str(os.getpid())  # for the ranks that Lightning starts
    if not is_first_rank():  # the first one holds the run for all
        with suppress(RunPreempted):  # a rank that failed would end the first one before it has asked
            train(run, prepared)
        return
    with folder.held():
        if folder.state == "finished":  # between the look above and the lock
            raise RunLocked(f"{run.folder} has been trained by another process meanwhile")
        folder.remove_temporary()
        try:
            train(run, prepared)
        except RunPreempted:
            requeue()
            raise


def is_first_rank() -> bool:
    """Return whether this process is rank 0 by its environment."""
    # Known before torch's process group is: Lightning sets LOCAL_RANK and NODE_RANK, torchrun RANK, srun SLURM_PROCID
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def requeue() -> None:
    """Ask SLURM to requeue this job, which ends this process."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job_id = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    subprocess.run(["scontrol", "requeue", job_id], check=True)


def write_job(file: Path, run: Run) -> None:
    """Write a run for `read_job`; its index list lies beside, as `.npy`."""
    content = {"overrides": run.overrides, "values": run.values, "folder": str(run.folder), "manifest": run.manifest}
    write_whole(file, json.dumps(content).encode())
    if run.indices is not None:
        np.save(file.with_suffix(".npy"), run.indices)


def read_job(file: Path) -> Run:
    """Read a run that `write_job` wrote."""
    content = json.loads(file.read_text())
    values, manifest = content["values"], content["manifest"]
    run = Run(tuple(content["overrides"]), values, check(values), Path(content["folder"]))
    if manifest is None:
        return run
    return replace(run, manifest=manifest, indices=np.load(file.with_suffix(".npy"), allow_pickle=False))


@cli_errors
def main() -> None:
    """Train the run of the file that the command line names."""
    train_run(read_job(Path(sys.argv[1])))
