"""Checks that a folder holds the whole run that is asked for.

Nothing in it is believed before that.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pydantic import ValidationError

from datavol.config.command_line.messages import schema_message
from datavol.config.identity import hash_of, hashed_values
from datavol.config.run import Config
from datavol.errors import ConfigError
from datavol.runs.folder import ANEW, RunFolder
from datavol.runs.rows import Row, digest_of

LISTED_KEYS = 4  # that two runs differ in, of which a message gives the names


def state_of(folder: RunFolder, config: Config) -> str | None:
    """Read the state of a folder's run after checking its identity.

    Raises:
        ConfigError: If the folder holds another run, or cannot be read.
    """
    check_same_run(folder, config)
    return folder.state


def check_same_run(folder: RunFolder, config: Config) -> None:
    """Raise a ConfigError if a folder holds another run than `config`'s."""
    record = folder.record
    if record:
        _check_hash(folder, record, config)
        check_configuration(folder)
    elif (lost := folder.measured_without_record) is not None:
        raise ConfigError(f"{folder.path / 'run.json'} must be there beside {lost}, got nothing; {ANEW}")


def check_replaceable(folder: RunFolder, config: Config) -> None:
    """Raise a ConfigError if `sweep.rerun` would move another run away."""
    try:
        record = folder.record
    except ConfigError:  # damaged beyond telling, and moved away whole
        return
    if record:
        _check_hash(folder, record, config)


def _check_hash(folder: RunFolder, record: Mapping[str, Any], config: Config) -> None:
    if record.get("hash") == config.run_hash:
        return
    theirs = configuration_of(folder)
    if theirs.run_hash != config.run_hash:
        raise ConfigError(
            f"a run's folder must hold the run that is asked for, {config.run_hash}, got {folder.path} with run "
            f"{record.get('hash')}, which differs in {_differences(config, theirs)}; {_way_out(folder, config)}"
        )


def check_configuration(folder: RunFolder) -> None:
    """Raise a ConfigError if `.hydra/config.yaml` is of another run than `run.json`."""
    kept, recorded = folder.kept_values, folder.record.get("config")
    if kept is None or recorded is None or kept == recorded:
        return
    theirs, ours = _config_of(folder, kept), _config_of(folder, recorded)
    if hash_of(theirs) != hash_of(ours):
        file = folder.path / ".hydra" / "config.yaml"
        raise ConfigError(
            f"{file} must be of the run in run.json, {ours.run_hash}, got one of run {theirs.run_hash}, which differs "
            f"in {_differences(ours, theirs)}; run.json keeps the true one, so try mv {_quoted(file, f'{file}.edited')}"
        )


def _config_of(folder: RunFolder, values: Any) -> Config:
    if not isinstance(values, dict):
        raise ConfigError(f"{folder.path / 'run.json'} must hold its run's configuration, got none; {ANEW}")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{folder.path} must hold a run that can be read: {schema_message(error)}") from None


def configuration_of(folder: RunFolder) -> Config:
    """Read the configuration of a run's record.

    Raises:
        ConfigError: If it cannot be read.
    """
    return _config_of(folder, folder.record.get("config"))


def _differences(ours: Config, theirs: Config) -> str:
    return first_few(differing_keys(ours, theirs))


def differing_keys(ours: Config, theirs: Config) -> list[str]:
    """List the keys by which two runs are different ones."""
    first, second = flattened(hashed_values(ours)), flattened(hashed_values(theirs))
    return [key for key in {**first, **second} if first.get(key) != second.get(key)]


def first_few(keys: Sequence[str]) -> str:
    """Name the first of many keys."""
    more = f" and {len(keys) - LISTED_KEYS} more" if len(keys) > LISTED_KEYS else ""
    return ", ".join(keys[:LISTED_KEYS]) + more


def flattened(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys."""
    if not isinstance(value, Mapping):
        return {path: value}
    return {
        key: v for name, inner in value.items() for key, v in flattened(inner, f"{path}.{name}".lstrip(".")).items()
    }


def _way_out(folder: RunFolder, config: Config) -> str:
    """Say how a folder gets to hold one run alone."""
    if folder.path.name != config.run_name:
        return "leave hydra.run.dir out, or give another"
    home = folder.path.with_name(str(folder.record.get("name")))  # it has been renamed or copied
    target = f"{folder.path}.other" if home.exists() else str(home)
    return f"try mv {_quoted(folder.path, target)}"


def _quoted(*paths: object) -> str:
    return " ".join(shlex.quote(str(path)) for path in paths)


def measured_rows(folder: RunFolder, done: int, digest: str | None) -> list[Row]:
    """Read all rows of the first `done` budget epochs.

    Args:
        folder: Of a run that has started.
        done: Budget epochs at the checkpoint; rows after it are left out, and are measured again.
        digest: Of these rows when the checkpoint was saved; None for a checkpoint of an older version.

    Raises:
        ConfigError: If rows are missing, repeated, out of order or changed.
    """
    file, record = folder.path / "metrics.csv", folder.record
    first = 1 + ((record.get("parent") or {}).get("budget_epoch") or 0)  # those before are of the run of `start_from`
    rows = folder.rows
    measured = [int(row["budget_epoch"]) for row in rows]
    wanted = list(range(first, done + 1))
    # A row is written before its checkpoint, so that one more than `done` is what a kill in between leaves
    if measured not in (wanted, [*wanted, done + 1]):
        got = ", ".join(map(str, measured)) or "none"
        raise ConfigError(f"{file} must hold budget epochs {first} to {done} in order, got {got}; {ANEW}")
    last = (record.get("last") or {}).get("budget_epoch", 0)  # recorded after its checkpoint was saved
    if last > done:
        raise ConfigError(
            f"{folder.checkpoint('last')} must be of budget epoch {last}, as run.json says, got {done}; {ANEW}"
        )
    rows = rows[: len(wanted)]
    known = [row for row in rows if row["budget_epoch"] == last]
    if (digest or digest_of(rows)) != digest_of(rows) or (known and digest_of(known) != _recorded_digest(record)):
        raise ConfigError(
            f"{file} must hold what was measured, got other numbers than run.json and the last checkpoint; {ANEW}"
        )
    return rows


def _recorded_digest(record: Mapping[str, Any]) -> str:
    return digest_of([{name: value for name, value in record["last"].items() if value is not None}])


def check_world_size(folder: RunFolder, world_size: int) -> None:
    """Raise a ConfigError if a resumed run's number of ranks has changed."""
    before = folder.record.get("world_size", world_size)
    if before != world_size:
        raise ConfigError(
            f"trainer.devices must stay what the run started with ({before} ranks), got {world_size} ranks for "
            f"{folder.path}; try trainer.devices={before}"
        )


def supersede(folders: Sequence[RunFolder]) -> None:
    """Move runs to their studies' `superseded/`, all of them or none.

    Raises:
        RunLocked: If another process is training one of them.
    """
    there = [folder for folder in folders if folder.has_traces]
    with ExitStack() as locks:
        for folder in there:
            locks.enter_context(folder.held())
        for folder in there:
            folder.supersede()
