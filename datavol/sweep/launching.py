"""Trains the runs of a sweep, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from datavol.config import Run
from datavol.records import RunFolder, now
from datavol.sweep.job import write_job


def launch(runs: Sequence[Run]) -> None:
    """Train the runs one after the other; finished ones are skipped, and one that fails does not stop the others.

    Raises:
        SystemExit: With code 1 if a run failed, after a line for each of them.
    """
    for place, run in enumerate(runs, start=1):
        _announce(run, f"run {place} of {len(runs)}")
        if RunFolder(run.folder).state != "finished":
            _train(run)
    failed = [run for run in runs if RunFolder(run.folder).state != "finished"]
    print(f"{len(runs) - len(failed)} of {len(runs)} runs finished")
    for run in failed:
        reason = RunFolder(run.folder).record.get("reason") or "it was refused, as said above"
        print(
            f"failed: {run.folder}: {reason}\n  again: python -m datavol.run {' '.join(run.overrides)}", file=sys.stderr
        )
    if failed:
        raise SystemExit(1)


def _announce(run: Run, place: str) -> None:
    finished = RunFolder(run.folder).state == "finished"
    print(f"{place}: {run.folder}" + (" is finished already" if finished else ""), flush=True)


def _train(run: Run) -> None:
    """Train one run in its own process, from a file with its finished configuration."""
    with tempfile.TemporaryDirectory(prefix="datavol-") as place:
        file = Path(place) / "run.json"
        write_job(file, run)
        process = subprocess.Popen([sys.executable, "-m", "datavol.sweep.job", str(file)])
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # the terminal has interrupted it as well, and it is writing its record
            raise
    folder = RunFolder(run.folder)
    if folder.state == "running" and code != 0:  # it was killed before it could say so
        folder.update(state="failed", reason=f"its process ended with code {code}", ended=now())
