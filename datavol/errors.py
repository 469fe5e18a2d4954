"""Defines datavol's errors; each has a message of one line."""


class ConfigError(ValueError):
    """Reports a mistake by name, rule, value and remedy.

    Exit code 2, nothing written.
    """


HELD = 75
"""Exit code for a run that another process is training (EX_TEMPFAIL of sysexits.h)."""


class RunError(RuntimeError):
    """Reports a run that had to stop, its measurements kept.

    Exit code 1.
    """

    def __init__(self, message: str) -> None:
        # From a data worker, torch raises it anew with the worker's traceback as its message, and our line as the last
        *traceback, line = message.rstrip().split("\n")
        super().__init__(line.partition(": ")[2] if traceback else line)


class RunLocked(RunError):
    """Reports a run that another process is training. Exit code 75."""


class RunPreempted(RunError):
    """Reports a run saved before SLURM's time limit, to be queued again."""


class InsufficientData(ValueError):
    """Reports a question that the measurements cannot answer; shown in its place."""


def trouble_of(error: OSError) -> str:
    """Say which file could not be used, and why."""
    return f"{error.filename or 'a file'} could not be used: {error.strerror or flat(error)}"


def flat(error: object) -> str:
    """Flatten the text of an error into one line."""
    return " ".join(str(error).split())
