"""Sets up the processes that load images, without importing torch."""

import multiprocessing
import os
import signal

from datavol.cli.lifeline import die_with

MOST = 8


def start_worker(parent: int, number: int) -> None:
    """Tie a process that loads images to the one that trains."""
    if multiprocessing.get_start_method() != "forkserver":  # whose processes have the server as their parent
        die_with(parent)
    # A signal to the whole group, as `timeout` and SLURM send it, reaches the one that trains as well, which then stops
    # in order; a worker that died of it first would be reported instead
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def loading_workers(cores: int, ranks: int) -> int:
    """Choose `data.workers=auto` of each rank, for images in files."""
    return max(1, min(MOST, cores // ranks))  # the ranks of a machine share its cores
