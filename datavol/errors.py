"""The ways in which datavol says no, each in one line."""


class ConfigError(ValueError):
    """A mistake in what was asked for: name, rule, value and remedy in one line. Exit code 2, nothing written."""


HELD = 75
"""The exit code for a run that another process is training (EX_TEMPFAIL of sysexits.h)."""


class RunError(RuntimeError):
    """A run that had to stop; what it measured until then is kept. Exit code 1."""

    def __init__(self, message: str) -> None:
        # From a data worker, torch raises it anew with the worker's traceback as its message, and our line as the last
        *traceback, line = message.rstrip().split("\n")
        super().__init__(line.partition(": ")[2] if traceback else line)


class RunLocked(RunError):
    """Another process is training the run. Exit code 75."""


class RunPreempted(RunError):
    """SLURM has warned the run that its time is nearly up; it is saved and goes on once it is queued again."""


class InsufficientData(ValueError):
    """A question that was put well and that the measurements do not answer: show the line in the answer's place."""


def flat(error: object) -> str:
    """Flatten the text of an error into one line."""
    return " ".join(str(error).split())
