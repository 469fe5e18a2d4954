"""Prepares the data of a run: source, subset, budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from datavol.config.data import DataConfig
from datavol.config.run import Config, Run
from datavol.data.budget import Budget, plan_budget
from datavol.data.sources.open import Source, open_source
from datavol.data.subset_lists import read_subset
from datavol.data.subsets import Subset, class_weights, draw_subset
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder


@dataclass(frozen=True)
class Prepared:
    """Holds the data of a run."""

    source: Source
    subset: Subset
    budget: Budget
    duplicates: Mapping[str, int] | None = None  # what an audit of the data found, if there was one

    @property
    def manifest(self) -> dict[str, Any]:
        """Describe the subset as `subset.json` does."""
        manifest, source = self.subset.manifest(self.source.name, self.source.fingerprint), self.source
        if source.content is not None:
            manifest |= {"content": source.content}
        if source.content_sha256 is not None:
            manifest |= {"content_sha256": source.content_sha256}
        if source.groups is not None:
            manifest |= {"groups": {**manifest["groups"], **source.groups.record}}
        if self.duplicates is not None:
            manifest |= {"duplicates": dict(self.duplicates)}
        return manifest | ({"found": source.sizes.record(source.found)} if source.found.place else {})


def prepare(config: Config, source: Source | None = None, subset: Subset | None = None) -> Prepared:
    """Prepare a run's source, subset and budget, unless given.

    No image is decoded and torch is not imported.

    Raises:
        ConfigError: If the data are missing or do not allow what is asked for.
    """
    source = source or open_source(config.data)
    subset = subset or subset_of(config, source)
    full = len(source.train.labels)
    budget = plan_budget(config.budget, config.epochs, config.recipe.batch_size, full, len(subset))
    return Prepared(source, subset, budget)


def prepare_run(run: Run) -> Prepared:
    """Prepare a run's data, with the subset that it carries.

    Raises:
        ConfigError: If the data are not those that the subset was drawn from.
    """
    if run.manifest is None or run.indices is None:
        return prepare(run.config)
    prepared = prepare(run.config, subset=Subset.from_manifest(run.manifest, run.indices))
    for name in ("fingerprint", "content_sha256"):
        before, today = run.manifest.get(name), getattr(prepared.source, name)
        if before != today:
            raise ConfigError(
                f"data must stay as they were when the run was checked ({name} {str(before)[:12]}), "
                f"got {str(today)[:12]}; type the command again"
            )
    return replace(prepared, duplicates=run.manifest.get("duplicates"))


def with_subset(run: Run, prepared: Prepared) -> Run:
    """Give a run its drawn subset, to be trained elsewhere."""
    return replace(run, manifest=prepared.manifest, indices=prepared.subset.indices)


def subset_of(config: Config, source: Source) -> Subset:
    """Draw or read the subset of a configuration."""
    labels, groups = source.train.labels, source.train.groups
    if config.subset_file is not None:
        keys = [source.train.key(position) for position in range(len(labels))]
        listed = read_subset(Path(config.subset_file), labels, source.classes, keys, source.fingerprint)
        return listed if groups is None else replace(listed, groups=len(np.unique(groups[listed.indices])))
    if config.draw_by == "groups" and groups is None:
        where = "plan.images" if config.plan.images is not None else f"data={config.data.source}"
        raise ConfigError(f"draw_by must be items with {where}, which has no groups, got groups; leave draw_by out")
    imbalance, classes = config.imbalance, source.classes
    shares = class_weights(imbalance.profile, imbalance.ratio, len(classes), imbalance.seed)
    seeds = config.draw_seed, config.data.partition_seed
    return draw_subset(labels, classes, config.fraction, config.draw, *seeds, shares, groups, config.draw_by)


def prepare_all(configs: list[Config]) -> list[Prepared]:
    """Prepare the runs of a sweep, each data set opened once."""
    sources: list[tuple[DataConfig, Source]] = []
    prepared = []
    for config in configs:
        # By comparison, not by hash: sections may hold lists. A sweep has few data sets
        known = next((source for data, source in sources if data == config.data), None)
        prepared.append(prepare(config, known))
        if known is None:
            sources.append((config.data, prepared[-1].source))
    return prepared


def check_manifest(folder: RunFolder, prepared: Prepared) -> None:
    """Raise a ConfigError unless the data are those of the manifest."""
    manifest = folder.manifest
    for name in ("fingerprint", "sha256"):
        if manifest[name] != prepared.manifest[name]:
            raise ConfigError(
                f"data must be those of the manifest in {folder.path} ({name} {manifest[name][:12]}), got "
                f"{prepared.manifest[name][:12]}; bring them back, or try another study=..."
            )
