"""Upgrades configurations recorded by older versions of datavol."""

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from datavol.config.command_line.keys import sections_in
from datavol.config.objects import ObjectConfig
from datavol.config.run import Config
from datavol.config.section import NOT_ADDED, conf_dir, keys_of, marks
from datavol.errors import ConfigError

SCHEMA_VERSION = 2
"""Version of the records that are written today. Version 1 carried no number."""

RENAMED: dict[int, dict[str, str | None]] = {}
"""Keys renamed (`{"trainer.cards": "trainer.devices"}`) or removed (None), by schema version."""

WITHOUT_EFFECT = ("sweep", "plan", "ask", "checkpoint", "logger")
"""Sections without effect on results: no key of theirs may make a record unreadable."""


def upgrade(values: Mapping[str, Any]) -> dict[str, Any]:
    """Bring recorded values up to today's schema.

    Keys that the record lacks get the value that meant the same; renamed ones are mapped and removed ones dropped.

    Raises:
        ConfigError: If a newer datavol wrote it.
    """
    new = {name: value for name, value in values.items() if name != "schema_version"}
    version = values.get("schema_version", 1)
    check_version(version)
    for later in range(version + 1, SCHEMA_VERSION + 1):
        for old_path, new_path in RENAMED.get(later, {}).items():
            new = _moved(new, old_path, new_path)
    new = _with_added(Config, new)  # after the renaming, since a section may have been renamed with all its keys
    for name in WITHOUT_EFFECT:
        new[name] = _readable(name, new.get(name))
    return new


def check_version(version: Any) -> None:
    """Raise a ConfigError if a record is newer than this datavol."""
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ConfigError(
            f"a record must be of schema version {SCHEMA_VERSION} or older, got {version}; "
            "install the datavol that wrote it, or a newer one"
        )


def _moved(values: dict[str, Any], old: str, new: str | None) -> dict[str, Any]:
    """Copy values, one key at another path or dropped."""
    values = deepcopy(values)
    *outer, last = old.split(".")
    section: Any = values
    for name in outer:
        section = section.get(name, {})
    if last not in section:
        return values
    value = section.pop(last)
    if new is not None:
        *outer, last = new.split(".")
        section = values
        for name in outer:
            section = section.setdefault(name, {})
        section[last] = value
    return values


def _with_added(section: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Add the keys that later versions introduced, at any depth."""
    filled = dict(values)
    for name, field in keys_of(section).items():
        added = marks(field)["added"]
        if name not in filled and added is not NOT_ADDED:
            filled[name] = added
        inner = filled.get(name)
        if isinstance(inner, dict) and (section_type := _section_of(field, inner)) is not None:
            filled[name] = _with_added(section_type, inner)
    return filled


def without_added(section: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out added keys that mean what runs did before."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        field = keys_of(section).get(name)
        added = marks(field)["added"] if field else NOT_ADDED
        if added is NOT_ADDED or value != added:
            inner = _section_of(field, value) if field and isinstance(value, dict) else None
            kept[name] = value if inner is None else without_added(inner, value)
    return kept


def _section_of(field: Any, values: dict[str, Any]) -> type[BaseModel] | None:
    """Choose the section of a union that the values name."""
    sections = sections_in(field.annotation)
    own = [section for section in sections if issubclass(section, ObjectConfig)]
    if own and "_target_" in values:
        return own[0]
    shipped = [section for section in sections if section not in own]
    if len(shipped) < 2:
        return shipped[0] if shipped else None
    tag = "source" if "source" in keys_of(shipped[0]) else "name"
    return next((one for one in shipped if values.get(tag) in get_args(keys_of(one)[tag].annotation)), None)


def _readable(name: str, values: Any) -> dict[str, Any]:
    """Keep the valid keys of a section; reset others to those shipped."""
    values = values if isinstance(values, dict) else {}
    known = {"name": values.get("name")} if values.get("name") in ("wandb", "csv") else {"name": "csv"}
    shipped = _shipped(f"logger/{known['name']}") if name == "logger" else _shipped("config")[name]
    field = Config.model_fields[name]
    section = _section_of(field, known)
    assert section is not None
    return _kept(section, values, shipped)


def _kept(section: type[BaseModel], values: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(shipped)  # unknown keys are dropped, since only those of the schema are copied over it
    for name, field in section.model_fields.items():
        inner = sections_in(field.annotation)
        if inner and isinstance(values.get(name), dict):
            merged[name] = _kept(inner[0], values[name], shipped[name])
        elif name in values:
            merged[name] = values[name]
    try:
        section.model_validate(merged)
    except ValidationError as error:  # of single keys, or, without a location, of a rule over several: then all go
        refused = {str(one["loc"][0]) for one in error.errors() if one["loc"]}
        return {key: shipped[key] if key in refused or not refused else value for key, value in merged.items()}
    return merged


@lru_cache
def _shipped(file: str) -> dict[str, Any]:
    """Read a YAML file of `conf/`, uncomposed."""
    values = yaml.safe_load((conf_dir() / f"{file}.yaml").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values
