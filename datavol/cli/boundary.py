"""Reports mistakes and stops of all entry points in one line."""

import argparse
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

from datavol import __version__, interrupted
from datavol.cli.installed import explained
from datavol.cli.lifeline import JOB
from datavol.errors import HELD, ConfigError, RunError, RunLocked, flat, trouble_of

STDOUT = 1  # its file descriptor
DEBUG = "DATAVOL_DEBUG"
"""Environment variable that asks for the traceback of every error; processes that a command starts inherit it."""


class Parser(argparse.ArgumentParser):
    """Parses arguments; a mistake is a ConfigError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(epilog="--version and --debug (the traceback of an error) are taken as well.", **options)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and exiting."""
        raise ConfigError(f"the command line must be as --help says, got: {message}; see {self.prog} --help")


def path_of(text: str) -> Path:
    """Read a path of the command line; `~` is the user's home."""
    return Path(text).expanduser()


def exit_code(error: Exception) -> int:
    """Choose the exit code of a mistake or a stop."""
    return HELD if isinstance(error, RunLocked) else 2 if isinstance(error, ConfigError) else 1


def cli_errors(entry: Callable[[], None]) -> Callable[[], None]:
    """End an entry point with one line instead of a traceback.

    Exit code 2 for a mistake, 1 for a run that stopped, 75 for one that is trained elsewhere, 130 for Ctrl-C, 141 if
    whoever reads the output has had enough (`| head -1`). With `--debug` the traceback is printed before the line.
    """

    @wraps(entry)
    def guarded() -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name with letters that the terminal lacks is written in codes
            sys.stdout.reconfigure(errors="backslashreplace")
        if signal.getsignal(signal.SIGINT) is interrupted:  # the imports are done
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            try:
                if not _common_options():
                    entry()
            except SystemExit:  # such as that of --help
                sys.stdout.flush()
                raise
            sys.stdout.flush()  # here, since Python's own flush at the end reports a full disk in two lines
        except (ConfigError, RunError) as error:
            _end(str(error), exit_code(error))
        except KeyboardInterrupt:
            _end("interrupted", 130)
        except OSError as error:  # a full disk, or a folder that was removed
            _check_output()
            _end(trouble_of(error), 1)
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and (missing := explained(error)):
                _end(str(missing), exit_code(missing))
            if JOB in os.environ and not _debugging():  # its output is kept in the run's folder, whole
                traceback.print_exc()
            _end(unexpected(error), 1)

    return guarded


def _common_options() -> bool:
    """Note --debug, which all commands take; answer --version."""
    if "--debug" in sys.argv[1:]:
        sys.argv.remove("--debug")
        os.environ[DEBUG] = "1"
    if asked := "--version" in sys.argv[1:]:
        print(f"datavol {__version__}")
    return asked


def _debugging() -> bool:
    return os.environ.get(DEBUG, "0") not in ("", "0")


def unexpected(error: Exception) -> str:
    """Word an error that nobody foresaw."""
    return f"unexpected {type(error).__name__}: {flat(error)}; the same command with --debug shows where"


def _end(line: str, code: int) -> NoReturn:
    if _debugging() and sys.exc_info()[0] is not None:
        traceback.print_exc()
    with suppress(OSError):  # an error output that takes no line leaves the exit code
        print(f"datavol: {line}", file=sys.stderr)
    raise SystemExit(code) from None


def _check_output() -> None:
    """End the process if its output takes nothing more."""
    try:
        os.write(STDOUT, b"\n")  # an error of other origin costs an empty line
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what is still in buffers would fail again
        if isinstance(error, BrokenPipeError):
            raise SystemExit(141) from None  # 128 + SIGPIPE, which Windows does not name
        _end(f"the output must be writable, got {error.strerror}; make room or write it elsewhere", 1)
