"""From a configuration to the data of its run: everything that can be wrong with it is found here, before training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datavol.config import Config, DataConfig
from datavol.data.budget import Budget, plan_budget
from datavol.data.sources.open import Source, open_source
from datavol.data.subsets import Subset, class_weights, draw_subset, read_subset
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder


@dataclass(frozen=True)
class Prepared:
    """The data of a run: its source, its subset, its budget."""

    source: Source
    subset: Subset
    budget: Budget

    @property
    def manifest(self) -> dict[str, Any]:
        """What `subset.json` says."""
        return self.subset.manifest(self.source.name, self.source.fingerprint)


def prepare(config: Config, source: Source | None = None) -> Prepared:
    """Open the source, draw the subset and plan the budget of a run; no image is decoded and torch is not imported.

    Args:
        config: The run.
        source: The run's source, where it is open already.

    Raises:
        ConfigError: If the data are missing or do not allow what is asked for.
    """
    source = source or open_source(config.data)
    subset = _subset(config, source)
    full = len(source.train.labels)
    return Prepared(
        source, subset, plan_budget(config.budget, config.epochs, config.recipe.batch_size, full, len(subset))
    )


def _subset(config: Config, source: Source) -> Subset:
    labels = source.train.labels
    if config.subset_file is not None:
        keys = [source.train.key(place) for place in range(len(labels))]
        return read_subset(Path(config.subset_file), labels, source.classes, keys)
    imbalance, classes = config.imbalance, source.classes
    shares = class_weights(imbalance.profile, imbalance.ratio, len(classes), imbalance.seed)
    seeds = config.draw_seed, config.data.partition_seed
    return draw_subset(labels, classes, config.fraction, config.draw, *seeds, shares)


def prepare_all(configs: list[Config]) -> list[Prepared]:
    """Prepare the runs of a sweep, each data set opened once."""
    sources: list[tuple[DataConfig, Source]] = []
    prepared = []
    for config in configs:
        known = next((source for data, source in sources if data == config.data), None)
        prepared.append(prepare(config, known))
        if known is None:
            sources.append((config.data, prepared[-1].source))
    return prepared


def check_manifest(folder: RunFolder, prepared: Prepared) -> None:
    """Raise a ConfigError unless the data are those that the run started with."""
    manifest = folder.manifest
    for name in ("fingerprint", "sha256"):
        if manifest[name] != prepared.manifest[name]:
            raise ConfigError(
                f"data must be those of the manifest in {folder.path} ({name} {manifest[name][:12]}), got "
                f"{prepared.manifest[name][:12]}; bring them back, or try another study=..."
            )
