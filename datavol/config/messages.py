"""Words errors of pydantic, Hydra and OmegaConf in one line each."""

import difflib
import json
import os
import re
from collections.abc import Sequence
from typing import Any, get_args

from hydra.errors import OverrideParseException
from omegaconf.errors import InterpolationResolutionError
from pydantic import ValidationError

from datavol.cli.text import typed
from datavol.config.run import Config
from datavol.config.section import Section, conf_dir, marks
from datavol.errors import ConfigError


def schema_message(error: ValidationError) -> str:
    """Word the first error of a validation."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")  # what a validator of the schema raised
    if isinstance(cause, ConfigError):  # a rule over several keys, which words the whole line itself
        return str(cause)
    path = _path(first["loc"])
    name, (sections, field) = ".".join(path), _field(path)
    if field is None:
        return _unknown_key(name, [".".join([*path[:-1], known]) for s in sections for known in s.model_fields])
    rule, remedy = cause.args if cause else (field.description, marks(field)["remedy"])  # args: see `section.at_least`
    got = "nothing" if first["type"] == "missing" else json.dumps(first["input"], default=str)
    if takes_text(field) and isinstance(first["input"], (bool, int, float)):  # a folder may be called 2024
        return f"{name} must be {rule}, got {got} without quotes; try {typed(name, got)}"
    return f"{name} must be {rule}, got {got}" + (f"; try {name}={remedy}" if remedy else "; see --help")


def takes_text(field: Any) -> bool:
    """Return whether a key takes any text, such as a path."""
    return field is not None and str in (field.annotation, *get_args(field.annotation))


def _path(location: tuple[int | str, ...]) -> list[str]:
    """Convert a pydantic location to a config path."""
    # Within a section that is a union, pydantic names the member it chose, ("data", "imagenet", "cache"); behind a key
    # it names the member of the key's own type, ("trainer", "devices", "int"). Neither is part of the path
    tagged = location[:1] in (("data",), ("logger",))
    path: list[str] = []
    for depth, part in enumerate(location):
        if tagged and depth == 1:
            continue
        path.append(str(part))
        field = _field(path)[1]
        if field is None or not sections_in(field.annotation):
            break
    return path


def _field(path: Sequence[str]) -> tuple[list[type[Section]], Any]:
    """Return the sections that a path ends in, and its field."""
    sections: list[type[Section]] = [Config]
    for depth, part in enumerate(path):
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        if not fields or depth == len(path) - 1:
            return sections, fields[0] if fields else None
        sections = [inner for field in fields for inner in sections_in(field.annotation)]  # several for a union
    return sections, None


def sections_in(annotation: Any) -> list[type[Section]]:
    """List the sections that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def _unknown_key(name: str, known: Sequence[str]) -> str:
    if name in known:  # of the schema, but not of the union's chosen member
        group = name.partition(".")[0]
        return f"{name} must be a key of the chosen {group}, got one of another choice; leave {name} out"
    # A key given without its section first ("lr" for "recipe.optimiser.lr"), then one that was mistyped
    same_end = [key for key in known if key.endswith("." + name.rpartition(".")[2])]
    near = same_end[:1] or difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else "--help lists the keys"
    return f"{name} must be a key of conf/, got an unknown one; {remedy}"


def hydra_message(error: Exception) -> str:
    """Word an error of Hydra or OmegaConf."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if ambiguous := re.search(r"Ambiguous value for argument '([^']*)'", text):
        name, _, value = ambiguous[1].partition("=")
        text = f", or {typed(name, value)} if it is one" if takes_text(_field(name.split("."))[1]) else ""
        return f"{name} must be one value without -m, got {ambiguous[1]}; try -m {ambiguous[1]}{text}"
    if isinstance(error, OverrideParseException):
        return _unparsed(str(error.override))
    if isinstance(error, InterpolationResolutionError) and error.full_key:
        return f"{error.full_key} must refer to a key or variable that exists, got: {text}; write a value instead"
    if choice := re.search(r"Could not find '((?:hydra/)?\w+)/(.*?)'(?: |$)", text):
        return _unknown_choice(choice[1], choice[2])
    for pattern in (r"full_key: ([\w.]+)", r"Could not (?:override|append|delete)[^']*'([^'=]+)"):
        if unknown := re.search(pattern, text):
            return _unknown_key(unknown[1], all_keys())
    return f"the configuration must compose, got: {text}; see --help"


def _unparsed(override: str) -> str:
    """Word an override that Hydra cannot read, with the form to type where its value is a text."""
    name, is_pair, value = override.partition("=")
    text = value[1:-1] if value[:1] == value[-1:] and value[:1] in ("'", '"') else value
    remedy = "quote what is special: 'name=\"a b\"'"
    if is_pair and takes_text(_field(name.split("."))[1]):
        remedy = f"try {typed(name, text)}"
    elif name == "data" and is_pair:
        remedy = f"try {_data_of(text)}"
    return f"an override must be written name=value, got '{override}'; {remedy}"


def _data_of(path: str) -> str:
    """Write the overrides for data that lie at a path."""
    if path.lower().endswith((".csv", ".tsv", ".txt")):
        return f"data=table {typed('data.table', path)}"
    return f"data=image_folder {typed('data.root', path)}"


def _unknown_choice(group: str, got: str) -> str:
    known = sorted(
        path.relative_to(conf_dir() / group).with_suffix("").as_posix() for path in (conf_dir() / group).rglob("*.yaml")
    )
    if group == "data" and ("/" in got or os.path.exists(got)):
        return f"data must be one of {', '.join(known)}, got the path '{got}'; try {_data_of(got)}"
    near = (difflib.get_close_matches(got, known, n=1, cutoff=0.4) + known + ["null"])[0]
    return f"{group} must be one of {', '.join(known)}, got '{got}'; try {group}={near}"


def all_keys(section: type[Section] = Config, prefix: str = "") -> list[str]:
    """List every key of the schema by its path."""
    keys = []
    for name, field in section.model_fields.items():
        inner = sections_in(field.annotation)
        keys += [prefix + name, *(key for one in inner for key in all_keys(one, f"{prefix}{name}."))]
    return keys
