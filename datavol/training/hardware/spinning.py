"""Keeps torch's threads from spinning while other processes want the cores.

OpenMP's threads wait for each other by spinning, which is fastest on a free machine. Beside other work they burn the
core that the last of them waits for: training fell to a third of its speed beside one busy process, and to a twentieth
beside four. GNU's OpenMP spins only briefly while a process has more threads than cores (`GOMP_SPINCOUNT` in the manual
of libgomp). So while training has to wait for cores, idle threads are added, and removed when it no longer has to. As
many threads as before do the same arithmetic, so results stay the same to the bit.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from datavol.runs.provenance import cores

INTERVAL = 0.5  # seconds between two looks
CROWDED = 0.1  # seconds that all threads together waited for a core, per second; a free machine shows 0.01
CALM_LOOKS = 6  # in a row, before threads may spin again
GRAIN = 32768  # elements that ATen gives each thread at least


class BriefSpinning:
    """Watches for waiting threads, as a context manager.

    Where the system does not report waiting (it is not Linux), nothing is done. Added threads do not affect another
    OpenMP than GNU's.
    """

    def __init__(self, waited: Callable[[], float] | None = None) -> None:
        self.waited = waited or seconds_waited
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True, name="datavol-spinning")
        self.idle: IdleThreads | None = None  # while the machine is crowded

    def __enter__(self) -> "BriefSpinning":
        if Path("/proc/self/schedstat").exists():
            self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        if self.watcher.is_alive():
            self.watcher.join()

    def _watch(self) -> None:
        calm, before, since = 0, self.waited(), time.perf_counter()
        while not self.ended.wait(INTERVAL):
            now, waited = time.perf_counter(), self.waited()
            crowded = waited - before > CROWDED * (now - since)
            calm, before, since = 0 if crowded else calm + 1, waited, now
            if crowded and self.idle is None:
                self.idle = IdleThreads()
            elif calm == CALM_LOOKS:
                self._spin_again()
        self._spin_again()

    def _spin_again(self) -> None:
        if self.idle is not None:
            self.idle.end()
            self.idle = None


class IdleThreads:
    """Holds one OpenMP thread more than there are cores, idle."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        # A team belongs to the thread that started it, and ends with it
        self.owner = threading.Thread(target=self._hold, daemon=True, name="datavol-idle-threads")
        self.owner.start()

    def end(self) -> None:
        """End the threads."""
        self.ended.set()
        self.owner.join()

    def _hold(self) -> None:
        size = cores() + 1
        torch.get_num_threads()  # first, since it sets this thread's number to torch's
        _openmp().omp_set_num_threads(size)  # of this thread alone; torch.set_num_threads would be for all
        torch.ones(size * GRAIN).add_(1)  # large enough for every thread to get a part
        self.ended.wait()


def seconds_waited() -> float:
    """Sum the seconds for which this process's threads waited for a core."""
    total = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        try:
            total += int(file.read_text().split()[1])  # nanoseconds on a run queue
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended
    return total / 1e9


def _openmp() -> ctypes.CDLL:
    # Looking a name up in a library also finds it in those that it was linked with: torch's own OpenMP
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
