"""What the launcher of a sweep costs per job beyond the job itself: `python -m benchmarks.launcher_cost`.

Jobs that do nothing are started by the launcher's own loop, and by `subprocess.run` alone; the difference is its cost.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from datavol.config.compose import compose
from datavol.runs.folder import RunFolder
from datavol.sweep import local as launching
from datavol.sweep import processes

JOBS = 10
REPEATS = 5


def main() -> None:
    """Print the median over repeats."""
    real = subprocess.Popen
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        runs = compose([f"seed={','.join(map(str, range(JOBS)))}", "logger=csv", "trainer=cpu"], multirun=True)

        def nothing(command: list[str], **options: object) -> subprocess.Popen[bytes]:
            run = runs[int(Path(command[-1]).parent.name)]
            RunFolder(run.folder).update(state="finished")
            return real([sys.executable, "-c", "pass"], **options)  # type: ignore[call-overload, no-any-return]

        processes.subprocess.Popen = nothing  # type: ignore[attr-defined, assignment, misc]
        launched, bare = [], []
        for _ in range(REPEATS):
            for run in runs:
                RunFolder(run.folder).update(state="failed", reason="a benchmark")
            began = time.perf_counter()
            launching.launch(runs, runs[0].config.sweep)
            launched.append((time.perf_counter() - began) / JOBS)
            began = time.perf_counter()
            for _ in runs:
                real([sys.executable, "-c", "pass"]).wait()
            bare.append((time.perf_counter() - began) / JOBS)
    print(f"seconds per job, medians of {REPEATS} repeats of {JOBS} jobs that do nothing:")
    print(f"launcher {statistics.median(launched):.3f}, subprocess alone {statistics.median(bare):.3f}")


if __name__ == "__main__":
    main()
