"""Splits a sweep as Hydra does, and composes no job twice."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="datavol",
    node={
        "_target_": "hydra_plugins.datavol_launcher.sweeper.DatavolSweeper",
        "max_batch_size": None,
        "params": None,
    },
    provider="datavol",
)


class DatavolSweeper(BasicSweeper):
    """Trusts the jobs that `datavol.run` has composed and checked."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose nothing, where Hydra would compose each job as a check."""
