"""Composes the jobs of a sweep, without doing anything twice."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig

from datavol.config.run import Run
from datavol.errors import ConfigError


class JobComposer:
    """Composes a sweep's jobs; those with equal groups share one composition."""

    def __init__(self, loader: Any, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._parsed: dict[str, Override] = {}  # a sweep of 500 jobs has a few dozen different overrides
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, job: Sequence[str]) -> DictConfig:
        """Compose a job's overrides; valid until the next call."""
        parsed = [self._parse(text) for text in job]
        values = [one for one in parsed if self._is_value(one)]
        # Groups and Hydra's own keys decide which files are composed: by their text. Values, which only replace others,
        # by their keys, as each job then replaces all that the one before did
        key = tuple(one.key_or_group if one in values else str(one.input_line) for one in parsed)
        if key not in self._composed:
            self._composed[key] = self._loader.load_sweep_config(self._master, list(job))
            return self._composed[key]
        config = self._composed[key]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        ours = [one for one in parsed if not one.is_hydra_override()]
        config.hydra.overrides.task = [one.input_line for one in ours]
        config.hydra.job.override_dirname = get_overrides_dirname(ours, **config.hydra.job.config.override_dirname)
        return config

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            (self._parsed[text],) = OverridesParser.create(config_loader=self._loader).parse_overrides([text])
        return self._parsed[text]

    def _is_value(self, one: Override) -> bool:
        """Return whether an override replaces one plain value."""
        plain = one.type == OverrideType.CHANGE and one.package is None and not one.is_hydra_override()
        # A dictionary is merged into what is there, and would keep keys of the job before
        return (
            plain and not self._loader.repository.group_exists(one.key_or_group) and not isinstance(one.value(), dict)
        )


def distinct_runs(runs: Sequence[Run]) -> list[Run]:
    """Leave out what asks for a run again, and say so.

    Raises:
        ConfigError: If two different runs would share a folder.
    """
    first: dict[Path, Run] = {}
    for run in runs:
        known = first.setdefault(run.folder, run)
        if known.config.run_hash != run.config.run_hash:
            raise ConfigError(
                f"hydra.sweep.subdir must be a folder of its own for every run, got {run.folder} for "
                f"{' '.join(known.overrides)} and for {' '.join(run.overrides)}; leave it out"
            )
    if len(first) < len(runs):
        twice = dict.fromkeys(run.config.run_name for run in runs if first[run.folder] is not run)
        print(
            f"datavol: note: {len(runs)} jobs ask for {len(first)} different runs, and each is trained once; asked for "
            f"again: {', '.join(twice)}",
            file=sys.stderr,
        )
    return list(first.values())
