"""Checks runs and prepares their data, before any of them starts."""

from collections.abc import Sequence

from datavol.cli.console import announce
from datavol.config.run import Run
from datavol.data.duplicates.before_training import audit_prepared
from datavol.data.prepare import Prepared, with_subset
from datavol.sweep.slurm import check_slurm
from datavol.training.opening import opening
from datavol.training.preflight import check_runs


def prepare_runs(runs: Sequence[Run], *, quiet: bool = False) -> tuple[list[Run], Prepared]:
    """Open the data of runs, say what was found, draw the subsets.

    `quiet` where it was said before.

    Returns:
        The runs, each with its subset; and the data of the first one.

    Raises:
        ConfigError: For the first thing that is wrong; nothing is written.
    """
    if any(run.on_cluster for run in runs):
        check_slurm()
    prepared = check_runs(list(runs))
    announce([] if quiet else opening(runs, prepared))
    prepared, found = audit_prepared(runs, prepared)
    announce([] if quiet else found)
    return [with_subset(*pair) for pair in zip(runs, prepared, strict=True)], prepared[0]
