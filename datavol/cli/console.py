"""Opens the console for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(width: int = 160) -> Console:
    """Open the console, `width` columns wide where the output is no terminal."""
    from rich.console import Console  # late: commands that print no table start without it

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=width)
