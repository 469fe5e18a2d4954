"""Measures how much training data is enough, and what more would buy."""

import os
import signal
import sys
from typing import NoReturn

__version__ = "0.1.0"


def interrupted(number: int, frame: object) -> NoReturn:
    """End a command that Ctrl-C stops while it imports, without a traceback."""
    os.write(2, b"datavol: interrupted\n")
    os._exit(130)  # nothing has been written yet


# `python -m datavol.run` imports this package first, and what takes a second after it; `cli.boundary` takes over then
_is_command = any(argument.startswith("datavol.") for argument in sys.orig_argv[1:4])
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as behind a shell's &
    signal.signal(signal.SIGINT, interrupted)
