"""How a process comes by its memory, which counts where it trains on a CPU."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = -1


def keep_freed_memory() -> None:
    """Have the C library keep what a training step frees, for the next step.

    By default it gives blocks of 32 MiB and more, and the end of its heap, back to the system, which hands them out
    again page by page and zeroed: at 224 pixels tens of thousands of page faults a step. Does nothing without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, NEVER)
