"""Reports mistakes and stops of all entry points in one line."""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn

from datavol import interrupted
from datavol.errors import HELD, ConfigError, RunError, RunLocked, trouble_of


class Parser(argparse.ArgumentParser):
    """Parses arguments; a mistake is a ConfigError."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and exiting."""
        raise ConfigError(f"the command line must be as --help says, got: {message}; see {self.prog} --help")


def exit_code(error: Exception) -> int:
    """Choose the exit code of a mistake or a stop."""
    return HELD if isinstance(error, RunLocked) else 2 if isinstance(error, ConfigError) else 1


def cli_errors(entry: Callable[[], None]) -> Callable[[], None]:
    """End an entry point with one line instead of a traceback.

    Exit code 2 for a mistake, 1 for a run that stopped, 75 for one that is trained elsewhere, 130 for Ctrl-C.
    """

    @wraps(entry)
    def guarded() -> None:
        if signal.getsignal(signal.SIGINT) is interrupted:  # the imports are done
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            entry()
        except (ConfigError, RunError) as error:
            print(f"datavol: {error}", file=sys.stderr)
            raise SystemExit(exit_code(error)) from None
        except OSError as error:  # a full disk, or a folder that was removed
            print(f"datavol: {trouble_of(error)}", file=sys.stderr)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print("datavol: interrupted", file=sys.stderr)
            raise SystemExit(130) from None

    return guarded
