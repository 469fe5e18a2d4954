"""How the runs of a sweep stand, for a person: a live table in a terminal, a line per event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from tqdm import tqdm

from datavol.config import Run
from datavol.errors import HELD
from datavol.runs.folder import RunFolder, now

ELSEWHERE = "is being trained by another process"
STYLES = {"running": "bold", "finished": "green", "skipped": "dim", "failed": "red", "refused": "red"}


@dataclass
class Status:
    """One run: waiting, running, finished, skipped (finished before, or trained elsewhere), failed or refused."""

    run: Run
    state: str = "waiting"
    note: str = ""
    budget_epoch: int = 0

    @classmethod
    def of(cls, run: Run) -> Status:
        """A run as the sweep finds it."""
        if RunFolder(run.folder).state == "finished":
            return cls(run, "skipped", "is finished already")
        return cls(run)

    def look(self) -> None:
        """Read from the record how far a running job is."""
        record = RunFolder(self.run.folder).record
        last = record.get("last")
        if not last or last["budget_epoch"] == self.budget_epoch:
            return
        self.budget_epoch = last["budget_epoch"]
        left = self.run.config.epochs - self.budget_epoch
        seconds = sum(record["seconds"].values()) / self.budget_epoch * left
        where = f"budget epoch {self.budget_epoch}/{self.run.config.epochs}"
        self.note = f"{where}, top-1 {100 * last['val/top1']:.1f} %, {tqdm.format_interval(seconds)} left"

    def close(self, code: int, message: str) -> None:
        """Note how a job ended: success is exit code 0 and a finished record.

        A job that was killed could not say so itself, so its record is closed here.
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
        if folder.state == "running":
            try:
                folder.update(state="failed", reason=self.note, ended=now())
            except OSError as error:  # a full disk must not end the other jobs
                self.note += f"; its record could not be closed: {error.strerror}"

    def keep_output(self, said: bytes) -> None:
        """Keep what a failed job printed with its run."""
        try:
            RunFolder(self.run.folder).keep_output(said)
        except OSError as error:
            self.note += f"; its output could not be kept: {error.strerror}"


def _ending(code: int, message: str) -> str:
    ending = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
    return f"{ending}: {message}" if message else ending


class Display:
    """Shows statuses while it is entered."""

    def __init__(self) -> None:
        self.console = Console()
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self.told: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Display:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the table as it stands; what is printed from now on comes below it."""
        if self.live is not None:
            self.live.stop()

    def show(self, statuses: Sequence[Status]) -> None:
        """Show what has changed."""
        if self.live is not None:
            self.live.update(_table(statuses), refresh=True)
            return
        for place, status in enumerate(statuses, start=1):
            key, now_told = str(status.run.folder), (status.state, status.note)
            if status.state != "waiting" and self.told.get(key) != now_told:
                self.told[key] = now_told
                print(f"run {place} of {len(statuses)}: {_line(status)}", flush=True)

    def say(self, text: str) -> None:
        """A line for the end, on stderr."""
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
