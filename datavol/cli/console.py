"""Shows tables and lines, to whoever still reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def console(width: int = 160) -> Console:
    """Open the console, `width` columns wide where the output is no terminal."""
    from rich.console import Console  # late: commands that print no table start without it

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=width)


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a progress line; a closed pipe or full disk stops nothing."""
    try:
        print(line, file=stream or sys.stdout, flush=True)
    except OSError as error:
        hush(stream or sys.stdout, error)


def hush(stream: TextIO, error: OSError) -> None:
    """Discard a stream's further output, and say so on stderr."""
    with suppress(OSError):  # stderr may be as closed as stdout
        if stream is not sys.stderr:
            print(f"datavol: note: the work goes on unseen, as its output is closed: {error.strerror}", file=sys.stderr)
    with suppress(OSError, ValueError):  # a stream without a file has nothing to be sent elsewhere
        # Python flushes at its end what it could not write before, and would end in exit code 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def announce(lines: Iterable[str]) -> None:
    """Print lines beside a command's output, each once."""
    for line in dict.fromkeys(lines):
        say(f"datavol: {line}", sys.stderr)
