"""Shows the states of a sweep's runs, live or line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from tqdm import tqdm

from datavol.cli.console import hush, say
from datavol.config.run import Run
from datavol.errors import HELD, ConfigError, flat
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import state_of

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
        try:
            state = state_of(RunFolder(run.folder), run.config)
        except ConfigError as error:
            return cls(run, "refused", str(error))
        return cls(run, "skipped", "is finished already") if state == "finished" else cls(run)

    @property
    def elsewhere(self) -> bool:
        """Return whether another process trains the run, and has not finished it."""
        return self.note == ELSEWHERE and self._record().get("state") != "finished"

    def look(self) -> None:
        """Update the note of a running job from its record."""
        record, epochs = self._record(), self.run.config.epochs
        try:
            done, top1 = record["last"]["budget_epoch"], record["last"]["val/top1"]
            left = sum(record["seconds"].values()) / done * (epochs - done)  # at the mean pace so far
        except (LookupError, TypeError, AttributeError):  # nothing measured yet, or a damaged record
            return
        if done != self.budget_epoch:
            self.budget_epoch = done
            interval = tqdm.format_interval(left)
            self.note = f"budget epoch {done}/{epochs}, top-1 {100 * top1:.1f} %, {interval} left"

    def _record(self) -> dict[str, Any]:
        """Read the run's record; an unreadable one ends no sweep.

        It is named when its job closes.
        """
        try:
            return RunFolder(self.run.folder).record
        except ConfigError as error:
            return {"reason": str(error)}

    def close(self, code: int, message: str) -> None:
        """Set the state in which a job has ended.

        Success is exit code 0 and a finished record. A killed job could not close its record, so that is done here.
        """
        record = self._record()
        if code == 0 and record.get("state") == "finished":
            top1 = (record.get("last") or {}).get("val/top1")
            self.state, self.note = "finished", "" if top1 is None else f"top-1 {100 * top1:.1f} %"
            return
        if code == HELD:
            self.state, self.note = "skipped", ELSEWHERE
            return
        self.fail(message if code == 2 else record.get("reason") or _ending(code, message), refused=code == 2)

    def fail(self, reason: str, *, refused: bool = False) -> None:
        """Set that the run has failed, here and in its record."""
        self.state, self.note = "refused" if refused else "failed", reason
        try:
            RunFolder(self.run.folder).close("failed", reason)
        except (OSError, ConfigError) as error:  # a full disk or a torn record must not end the other jobs
            self.note += f"; its record could not be closed: {flat(error)}" if str(error) not in reason else ""

    def keep_output(self, logs: Sequence[Path]) -> None:
        """Copy a failed job's output into its run folder."""
        try:
            RunFolder(self.run.folder).keep_output(b"".join(log.read_bytes() for log in logs))
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
            self._live(self.live.start)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Freeze the table; later output is printed below it."""
        if self.live is not None:
            self._live(self.live.stop)

    def show(self, statuses: Sequence[Status]) -> None:
        """Show changed statuses."""
        if (live := self.live) is not None:
            self._live(lambda: live.update(_table(statuses), refresh=True))
            return
        for number, status in enumerate(statuses, start=1):
            key, current = str(status.run.folder), (status.state, status.note)
            if status.state != "waiting" and self.printed.get(key) != current:
                self.printed[key] = current
                say(f"run {number} of {len(statuses)}: {_line(status)}")

    def say(self, text: str) -> None:
        """Close the table and print a line to stderr."""
        self.close()
        say(text, sys.stderr)

    def _live(self, act: Callable[[], None]) -> None:
        """Change the table; a lost terminal ends the table, not the sweep."""
        try:
            act()
        except OSError as error:
            self.live = None
            hush(sys.stdout, error)


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
