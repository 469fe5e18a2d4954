"""Reads what Hydra's sweepers optimise from the record of a run."""

from datavol.config.run import Run
from datavol.errors import ConfigError, RunError
from datavol.runs.folder import RunFolder


def objective_of(run: Run) -> float:
    """Return a run's `objective`: of its last evaluation, or of the best.

    Raises:
        RunError: If the run has not finished, with the reason.
        ConfigError: If its rows have no such column.
    """
    record = RunFolder(run.folder).record
    if record.get("state") != "finished":
        raise RunError(f"{run.folder} has not finished: {record.get('reason') or 'it was refused or never started'}")
    objective = run.config.objective
    row = record["best"] if objective.startswith("best/") else record["last"]
    if (column := objective.removeprefix("best/")) not in row:
        measured = ", ".join(name for name in row if name.startswith(("val/", "train/")))
        raise ConfigError(f"objective must be a column of metrics.csv, got {objective}; it has {measured}")
    value = row[column]
    return float("nan") if value is None else float(value)  # JSON has null for numbers that are not finite
