"""Breaks texts and commands into lines for a terminal."""

import shlex
import textwrap
from collections.abc import Iterator

from datavol.cli.text import shown


def paragraph(text: str, width: int, first: str = "", other: str | None = None) -> list[str]:
    """Wrap a text; a number and its unit stay on one line."""
    joined = shown(text).replace(" %", "\u00a0%")
    wrapper = textwrap.TextWrapper(width, first, first if other is None else other, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in wrapper.wrap(joined)]


def command_lines(command: str, width: int) -> Iterator[str]:
    r"""Break a shell's command into lines that can be pasted whole.

    >>> print(*command_lines("python -m datavol.run -m fraction=0.25,0.5", 30), sep="\n")
      python -m datavol.run -m \
        fraction=0.25,0.5
    """
    line = " "
    for word in shlex.split(command):
        *begun, last = _pieces(word, width - 6)
        if begun or len(line) + 1 + len(last) + 2 > width:
            yield f"{line} \\"
            line = "   "
        for piece in begun:  # of a word longer than a line: what a backslash parts at a line's end is one word
            yield f"{line}{' ' * bool(line)}{piece}\\"
            line = ""
        line = f"{line}{last}" if begun else f"{line} {last}"
    yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    """Quote a word for the shell, in pieces that fit into lines."""
    while len(shlex.quote(word)) > width:
        end = max(1, next(end for end in range(width, -1, -1) if len(shlex.quote(word[:end])) <= width or end == 1))
        yield shlex.quote(word[:end])
        word = word[end:]
    yield shlex.quote(word)
