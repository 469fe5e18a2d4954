"""The two ways in which datavol says no, each in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps


class ConfigError(ValueError):
    """A mistake in what was asked for: name, rule, value and remedy in one line. Exit code 2, nothing written."""


class RunError(RuntimeError):
    """A run that had to stop; what it measured until then is kept. Exit code 1."""


def one_line(entry: Callable[[], None]) -> Callable[[], None]:
    """End an entry point with one line instead of a traceback: exit code 2 for a mistake, 1 for a run that stopped."""

    @wraps(entry)
    def told() -> None:
        try:
            entry()
        except (ConfigError, RunError) as error:
            print(f"datavol: {error}", file=sys.stderr)
            raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
        except KeyboardInterrupt:
            print("datavol: interrupted; the same command goes on from the last budget epoch", file=sys.stderr)
            raise SystemExit(130) from None

    return told
