"""Fresh processes, timed from outside: datavol by its command line, and its peers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from datavol.runs.folder import RunFolder, runs_of

ROOT = Path(__file__).parent.parent
DATAVOL_EPOCH = r"budget epoch \d+/\d+"
PEER_EPOCH = r"^epoch \d+/\d+ done"
STUDY = "bench"


def environment(scratch: Path) -> dict[str, str]:
    """The caller's, with this checkout in front and datavol's caches below `scratch`."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path, "DATAVOL_CACHE": str(scratch / "cache")}


def run_timed(command: Sequence[str], pattern: str, folder: Path, scratch: Path) -> list[float]:
    """Run a command to its end; gives the seconds between successive lines of its output that match `pattern`.

    Raises:
        RuntimeError: If it failed, with the last that it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said: deque[str] = deque(maxlen=20)
    times = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(scratch)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(pattern, line):
                times.append(time.perf_counter())
            said.append(line)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}:\n{''.join(said)}")
    return [after - before for before, after in pairwise(times)]


def datavol_command(*overrides: str, sweep: bool = False) -> list[str]:
    """`python -m datavol.run`, without W&B."""
    flags = ["-m"] if sweep else []
    return [sys.executable, "-m", "datavol.run", *flags, "logger=csv", f"study={STUDY}", *overrides]


def peer_command(peer: str, *options: str) -> list[str]:
    """`python -m benchmarks.peers`."""
    return [sys.executable, "-m", "benchmarks.peers", peer, *options]


def runs_in(folder: Path) -> list[RunFolder]:
    """The runs that `datavol_command` left in the folder it was started in."""
    return runs_of(folder / "studies" / STUDY)
