"""Finds the shorter run whose first part a longer one takes over.

Under a schedule with a cool-down (`recipe.schedule.name=wsd`) two runs that differ in `epochs` alone are the same, bit
for bit, until the shorter one cools down. Their common part is the trunk, and each run's cool-down is a branch of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datavol.config.run import Config
from datavol.errors import ConfigError
from datavol.runs.folder import TRUNK, TRUNK_BEST, RunFolder, best_of, runs_of
from datavol.runs.integrity import configuration_of, differing_keys, first_few
from datavol.runs.rows import Row

WITHOUT = "or leave trunk out"


@dataclass(frozen=True)
class Trunk:
    """Describes the budget epochs that another run has trained."""

    folder: RunFolder
    epochs: int  # budget epochs before its cool-down

    @property
    def checkpoint(self) -> Path:
        """Return the checkpoint at its end, kept as the trunk or as one of all."""
        kept = self.folder.checkpoint(TRUNK)
        return kept if kept.is_file() else self.folder.checkpoint(f"budget_epoch_{self.epochs:04d}")

    @property
    def rows(self) -> list[Row]:
        """Read the rows of its budget epochs."""
        return self.folder.rows[: self.epochs]

    @property
    def best(self) -> Path | None:
        """Return the checkpoint of its best evaluation where that is another and was kept."""
        best = int(best_of(self.rows)["budget_epoch"])
        names = [] if best == self.epochs else [TRUNK_BEST, f"budget_epoch_{best:04d}"]
        return next((path for path in map(self.folder.checkpoint, names) if path.is_file()), None)

    @property
    def hashes(self) -> list[str]:
        """List the hashes of its run, and of those that this run took over."""
        record = self.folder.record
        return [record["hash"], *((record.get("trunk") or {}).get("hashes", ()))]

    @property
    def facts(self) -> dict[str, Any]:
        """Describe it for the record of the run that takes it over."""
        record, rows = self.folder.record, self.rows
        return {
            "study": record["study"],
            "name": record["name"],
            "hashes": self.hashes,
            "budget_epoch": self.epochs,
            "iteration": rows[-1]["iteration"],
            "seconds": {split: sum(row[f"seconds/{split}"] for row in rows) for split in ("train", "val")},
        }

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """List the sessions that trained it."""
        sessions = self.folder.record["sessions"]
        return [one | {"taken_over": True} for one in sessions if (one.get("budget_epoch") or 0) < self.epochs]


def find_trunk(config: Config) -> Trunk:
    """Find the trunk that `trunk` names, of a run or a study.

    Raises:
        ConfigError: If there is none, or it is not this run's.
    """
    path = Path(str(config.trunk))
    if (path / "run.json").is_file():
        return _fitting(RunFolder(path), config)
    runs = runs_of(path) if path.is_dir() else []
    if not runs:
        raise ConfigError(f"trunk must be the folder of a run or of a study, got {path}; check the path, {WITHOUT}")
    trunks = [_trunk_of(folder, config) for folder in runs if not _differing(folder, config)]
    fitting = [one for one in trunks if one.checkpoint.is_file() and 1 <= one.epochs <= _hold(config)]
    if not fitting:
        raise ConfigError(
            "trunk must be a study with a run that differs in epochs alone, begins to cool down after budget epoch "
            f"{_hold(config)} or before and was trained with checkpoint.trunk=true, got {path} without; train one, "
            f"{WITHOUT}"
        )
    return max(fitting, key=lambda one: one.epochs)


def _fitting(folder: RunFolder, config: Config) -> Trunk:
    if keys := _differing(folder, config):
        raise ConfigError(
            f"trunk must be a run that differs in epochs alone, got {folder.path}, which differs in {first_few(keys)}; "
            f"try the run of the same {'fraction and seed' if 'fraction' in keys else 'settings'}, {WITHOUT}"
        )
    trunk = _trunk_of(folder, config)
    if trunk.epochs > _hold(config):
        raise ConfigError(
            f"trunk must be a run that cools down after budget epoch {_hold(config)} or before, as this one does, got "
            f"{folder.path}, which does after {trunk.epochs}; try a shorter one, {WITHOUT}"
        )
    if not trunk.checkpoint.is_file():
        there = f"is at budget epoch {len(folder.rows)} and keeps none before {trunk.epochs}"
        why = "has kept none" if len(folder.rows) >= trunk.epochs else there
        raise ConfigError(
            f"trunk must be a run with a checkpoint where its cool-down begins, as checkpoint.trunk=true keeps, got "
            f"{folder.path}, which {why}; train it so, {WITHOUT}"
        )
    return trunk


def _differing(folder: RunFolder, config: Config) -> list[str]:
    return [key for key in differing_keys(config, configuration_of(folder)) if key != "epochs"]


def _trunk_of(folder: RunFolder, config: Config) -> Trunk:
    return Trunk(folder, config.recipe.schedule.hold(configuration_of(folder).epochs))


def _hold(config: Config) -> int:
    return config.recipe.schedule.hold(config.epochs)
