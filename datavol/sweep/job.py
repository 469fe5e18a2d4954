"""One run of a sweep in a process of its own: `python -m datavol.sweep.job <file>`, which the launcher writes.

The file holds the finished configuration, so that a job does not see a YAML file edited after the sweep began, and the
ranks that Lightning starts with this same command line train exactly the same run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datavol.command import one_line
from datavol.composition import check
from datavol.config import Run
from datavol.records import RunFolder, write_whole


def train_run(run: Run) -> None:
    """Train a run unless it is finished.

    Raises:
        ConfigError: If the run can't be trained as asked.
        RunError: If it had to stop.
    """
    if RunFolder(run.folder).state == "finished":
        print(f"{run.folder} is finished already")
        return
    from datavol.data.preparation import prepare
    from datavol.training.trainer import train  # late: torch and Lightning take seconds

    train(run, prepare(run.config))


def write_job(file: Path, run: Run) -> None:
    """Write a run for `read_job`."""
    content = {"overrides": list(run.overrides), "values": run.values, "folder": str(run.folder)}
    write_whole(file, json.dumps(content).encode())


def read_job(file: Path) -> Run:
    """Read a run that `write_job` wrote."""
    content = json.loads(file.read_text())
    values = content["values"]
    return Run(tuple(content["overrides"]), values, check(values), Path(content["folder"]))


@one_line
def main() -> None:
    """Train the run of the file that the command line names."""
    train_run(read_job(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
