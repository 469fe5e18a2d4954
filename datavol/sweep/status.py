"""Shows the states of a sweep's runs, live or line by line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from tqdm import tqdm

from datavol.config.run import Run
from datavol.errors import HELD
from datavol.runs.folder import RunFolder

ELSEWHERE = "is being trained by another process"
STYLES = {"running": "bold", "finished": "green", "skipped": "dim", "failed": "red", "refused": "red"}


@dataclass
class Status:
    """Tracks the state of one run of a sweep."""

    run: Run
    # or running, finished, skipped (finished before, or trained elsewhere), failed, or refused (a configuration error)
    state: str = "waiting"
    note: str = ""
    budget_epoch: int = 0

    @classmethod
    def of(cls, run: Run) -> Status:
        """Create the status of a run before the sweep."""
        if RunFolder(run.folder).state == "finished":
            return cls(run, "skipped", "is finished already")
        return cls(run)

    def look(self) -> None:
        """Update the note of a running job from its record."""
        record = RunFolder(self.run.folder).record
        last = record.get("last")
        if not last or last["budget_epoch"] == self.budget_epoch:
            return
        self.budget_epoch = last["budget_epoch"]
        left = self.run.config.epochs - self.budget_epoch
        seconds = sum(record["seconds"].values()) / self.budget_epoch * left  # at the mean pace so far
        where = f"budget epoch {self.budget_epoch}/{self.run.config.epochs}"
        self.note = f"{where}, top-1 {100 * last['val/top1']:.1f} %, {tqdm.format_interval(seconds)} left"

    def close(self, code: int, message: str) -> None:
        """Set the state in which a job has ended.

        Success is exit code 0 and a finished record. A killed job could not close its record, so that is done here.
        """
        folder = RunFolder(self.run.folder)
        if code == 0 and folder.state == "finished":
            top1 = folder.record.get("last", {}).get("val/top1")
            self.state, self.note = "finished", "" if top1 is None else f"top-1 {100 * top1:.1f} %"
            return
        if code == HELD:
            self.state, self.note = "skipped", ELSEWHERE
            return
        self.state = "refused" if code == 2 else "failed"
        self.note = message if code == 2 else folder.record.get("reason") or _ending(code, message)
        try:
            folder.close("failed", self.note)
        except OSError as error:  # a full disk must not end the other jobs
            self.note += f"; its record could not be closed: {error.strerror}"

    def keep_output(self, said: bytes) -> None:
        """Write a failed job's output into its run folder."""
        try:
            RunFolder(self.run.folder).keep_output(said)
        except OSError as error:
            self.note += f"; its output could not be kept: {error.strerror}"


def _ending(code: int, message: str) -> str:
    ending = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
    return f"{ending}: {message}" if message else ending


class Display:
    """Shows statuses; a context manager."""

    def __init__(self) -> None:
        self.console = Console()
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self.printed: dict[str, tuple[str, str]] = {}  # state and note by run folder

    def __enter__(self) -> Display:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Freeze the table; later output is printed below it."""
        if self.live is not None:
            self.live.stop()

    def show(self, statuses: Sequence[Status]) -> None:
        """Show changed statuses."""
        if self.live is not None:
            self.live.update(_table(statuses), refresh=True)
            return
        for number, status in enumerate(statuses, start=1):
            key, current = str(status.run.folder), (status.state, status.note)
            if status.state != "waiting" and self.printed.get(key) != current:
                self.printed[key] = current
                print(f"run {number} of {len(statuses)}: {_line(status)}", flush=True)

    def say(self, text: str) -> None:
        """Close the table and print a line to stderr."""
        self.close()
        print(text, file=sys.stderr, flush=True)


def _line(status: Status) -> str:
    if status.state == "skipped":
        return f"{status.run.folder} {status.note}"
    return f"{status.run.folder} {status.state}" + (f": {status.note}" if status.note else "")


def _table(statuses: Sequence[Status]) -> Table:
    table = Table("run", "state", "", expand=False)
    for status in statuses:
        style = STYLES.get(status.state, "")
        table.add_row(str(status.run.folder), status.state, status.note, style=style)
    return table
