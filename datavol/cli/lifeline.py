"""Ends a process with the one that started it; imports nothing slow."""

import ctypes
import os
import signal
import sys

PARENT = "DATAVOL_PARENT"
"""Environment variable with the process id of the one that started this process."""

# A process inherits the environment of the one that starts it, so a variable with a value of the job's own marks all of
# the job's processes: also those that leave its process group and session, as W&B's service does, or lose their parent.
JOB = "DATAVOL_JOB"


def child_environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that ends with this one."""
    return {**os.environ, **more, PARENT: str(os.getpid())}


def die_with_parent() -> None:
    """Tie this process to its parent, and its children to it.

    `DATAVOL_PARENT` holds the parent's number.
    """
    parent = os.environ.get(PARENT)
    os.environ[PARENT] = str(os.getpid())
    if parent is not None:
        die_with(int(parent))


def die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent ends."""
    if sys.platform != "linux":
        return
    # prctl(2) with PR_SET_PDEATHSIG: the kernel sends SIGKILL however the parent ends, also by SIGKILL or for lack of
    # memory, where no handler of the parent could end its children
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked, and the kernel will send nothing
        os.kill(os.getpid(), signal.SIGKILL)
