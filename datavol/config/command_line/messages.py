"""Words errors of pydantic, Hydra and OmegaConf in one line each."""

import difflib
import json
import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf.errors import InterpolationResolutionError
from pydantic import ValidationError

from datavol.cli.text import typed
from datavol.config.command_line.keys import (
    INSTEAD,
    OTHER_NAMES,
    all_keys,
    choice_of,
    choices,
    field_of,
    meant,
    owners_of,
    remedy,
    sections_in,
    takes_path,
    takes_text,
)
from datavol.config.section import conf_dir, keys_of
from datavol.errors import ConfigError

OPEN = ("recipe.optimiser", "recipe.schedule", "recipe.augment")
"""Sections whose further keys are arguments of a class."""

NAMED_OBJECTS = ("metrics", "callbacks")
"""Sections whose keys are names that the user gives."""


def schema_message(error: ValidationError) -> str:
    """Word the first error of a validation."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")  # what a validator of the schema raised
    if isinstance(cause, ConfigError):  # a rule over several keys, which words the whole line itself
        return str(cause)
    path = _path(first["loc"])
    name, (sections, field) = ".".join(path), field_of(path)
    if field is None:
        return _unknown_key(name, [".".join([*path[:-1], known]) for s in sections for known in keys_of(s)])
    rule, value = cause.args if cause else (field.description, "")  # args: see `section.at_least`
    got = "nothing" if first["type"] == "missing" else json.dumps(first["input"], default=str, ensure_ascii=False)
    if takes_text(name) and isinstance(first["input"], (bool, int, float)):  # a folder may be called 2024
        return f"{name} must be {rule}, got {got} without quotes; try {typed(name, got)}"
    added = "+" if name in NAMED_OBJECTS else ""  # keys that conf/ does not have
    advice = (
        shlex.quote(f"{added}{name}={value}")
        if value
        else remedy(name, None if got == "nothing" else _typed(first["input"]))
    )
    return f"{name} must be {rule}, got {got}" + (f"; try {advice}" if advice else "; see --help")


def _typed(value: Any) -> str:
    """Write a value as it would be typed."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _path(location: tuple[int | str, ...]) -> list[str]:
    """Convert a pydantic location to a config path."""
    # Within a section that is a union, pydantic names the member it chose, ("data", "imagenet", "cache"); behind a key
    # it names the member of the key's own type, ("trainer", "devices", "int"). Neither is part of the path
    tagged = location[:1] in (("data",), ("logger",), ("model",))
    path: list[str] = []
    for depth, part in enumerate(location):
        if tagged and depth == 1:
            continue
        path.append(str(part))
        field = field_of(path)[1]
        if field is None or not sections_in(field.annotation):
            break
    return path


def _unknown_key(name: str, known: Sequence[str], got: str | None = None, chosen: str | None = None) -> str:
    group = name.partition(".")[0]
    if chosen == "own":
        return f"{name} must be written with + where it is an argument of a class of yours, got it without; try " + (
            shlex.quote(f"+{name}={got}")
        )
    if group in NAMED_OBJECTS:
        return f"{name} must be written with +, got it without; try {shlex.quote(f'+{name}={got}')}"
    if name in known and name.endswith("._target_"):
        return without_own(name, got)
    if name in known:  # of the schema, but not of the union's chosen member
        owners = owners_of(name)
        return (
            f"{name} must be a key of the chosen {group}, got one of {group}={', '.join(owners)}; leave {name} out, or "
            f"try {group}={_owner(owners)}" + (f" {remedy(name, got)}" if got else "")
        )
    rule = f"{name} must be a key of conf/, got an unknown one"
    if name in INSTEAD:
        return f"{rule}; {INSTEAD[name]}"
    if name.rpartition(".")[2] == "pretrained" and got == "true":
        return f"{rule}; try model.weights=imagenet"
    if (
        name in ("seeds", "n_seeds", "num_seeds", "repeats", "n_repeats") and (got or "").isdecimal()
    ):  # how many of them
        return f"{rule}; try -m seed={','.join(map(str, range(min(int(got or 1), 10)))) or 0}"
    section, _, last = name.rpartition(".")
    own = [one.removeprefix(f"{section}.") for one in known if one.startswith(f"{section}.")]
    if section in OPEN and last not in OTHER_NAMES and not difflib.get_close_matches(last, own, n=1, cutoff=0.7):
        typed_with = shlex.quote(f"+{name}={got}")
        return f"{name} must be written with + where it is an argument of a class, got it without; try {typed_with}"
    if not (key := meant(name, known)):
        return f"{rule}; --help lists the keys"
    owners = owners_of(key)
    chosen = f"{key.partition('.')[0]}={_owner(owners)} " if owners and chosen not in owners else ""
    return f"{rule}; try {chosen}{remedy(key, got) or key}"


def _owner(owners: Sequence[str]) -> str:
    return "image_folder" if "image_folder" in owners else owners[0]


def hydra_message(error: Exception, overrides: Sequence[str] = ()) -> str:
    """Word an error of Hydra or OmegaConf over these overrides."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    given = {name.lstrip("+~"): value for name, _, value in (one.partition("=") for one in overrides)}
    if ambiguous := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '([^']*)'", text):
        name, _, value = ambiguous[1].partition("=")
        if name not in all_keys() and not choices(name):
            return _unknown_key(name, all_keys(), value)
        return f"{name} must be one value without -m, got {ambiguous[1]}; try {_swept(name, value)}"
    if "does not support sweep type" in text:
        name, value = next((pair for pair in given.items() if pair[1].startswith("interval(")), ("a key", ""))
        return f"{name} must be values or a range with -m, got {value}; try -m {_usual(name)}"
    if isinstance(error, OverrideParseException):
        return _unparsed(str(error.override), list(overrides))
    lists = [(name, value.strip("[]")) for name, value in given.items() if value.startswith("[") and choices(name)]
    if lists and "interpolation" in text:  # `data=[digits]`: other choices refer to it
        return _unknown_choice(*lists[0])
    if missing := re.search(r"Missing mandatory value: (\w+)\._target_", text):
        return missing_target(missing[1])
    if isinstance(error, InterpolationResolutionError) and error.full_key:
        reason, key = text.partition(" full_key:")[0], str(error.full_key)
        return f"{key} must refer to a key or variable that exists, got: {reason}; try {_usual(key)}"
    if choice := re.search(r"Could not find '((?:hydra/)?\w+)/(.*?)'(?: |$)", text):
        return _unknown_choice(choice[1], choice[2], _searched(overrides))
    if "Config group override must be a string" in text:
        groups = {name: value for name, value in given.items() if name and (conf_dir() / name).is_dir()}
        group = next((name for name, value in groups.items() if re.fullmatch(r"null|true|false|[\d.]*", value)), None)
        return _unknown_choice(group, given[group]) if group else _unparsed(overrides[0], list(overrides))
    if present := re.search(r"Could not append to config\. An item is already at '([\w.]+)'", text):
        name = present[1]
        if name not in all_keys():
            values = [value for key, _, value in (one.partition("=") for one in overrides) if key == f"+{name}"]
            whole = f"+{name}={{{','.join(values)}}}"  # a shell takes unquoted braces apart
            return f"{name} must be given once, got it {len(values)} times; try {shlex.quote(whole)}"
        return f"{name} must be written without +, as conf/ has it, got +{name}={given.get(name, '')}; try " + (
            remedy(name, given.get(name)) or f"{name}=..."
        )
    for pattern in (r"full_key: ([\w.]+)", r"Could not (?:override|append|delete)[^']*'([^'=]+)"):
        if unknown := re.search(pattern, text):
            name = unknown[1]
            return _unknown_key(name, all_keys(), given.get(name), given.get(name.partition(".")[0]))
    return f"the configuration must compose, got: {text}; see --help"


def _searched(overrides: Sequence[str]) -> list[Path]:
    """List the folders of `hydra.searchpath`, as --config-dir writes it."""
    given = OverridesParser.create().parse_overrides([one for one in overrides if one.startswith("hydra.searchpath=")])
    values = [one.value() for one in given]
    return [Path(str(one).removeprefix("file://")) for value in values if isinstance(value, list) for one in value]


def without_own(name: str, got: str | None) -> str:
    """Word a class of the user's without its group's `own` choice."""
    group = name.partition(".")[0]
    return f"{name} must come with {group}=own, got it without; try {group}=own {name}={got}"


def missing_target(group: str) -> str:
    """Word a group's `own` choice without its class."""
    return f"{group}._target_ must be given with {group}=own, got nothing; try {group}._target_=my_module.MyClass"


def option_message(message: str, arguments: Sequence[str] = ()) -> str:
    """Word an error of the command line's own options."""
    rule = f"the command line must be options and name=value pairs, got: {message}"
    option = re.search(r"unrecognized arguments: (-+([\w.-]+))(?:=(\S*))?", message)
    key = option and (option[2] if option[2] in all_keys() else meant(option[2], all_keys()))
    if not option or not key:
        return f"{rule}; see --help"
    value = option[3]
    if value is None and option[1] in arguments[:-1]:  # `--epochs 3`
        value = arguments[list(arguments).index(option[1]) + 1]
    return f"{rule}; try {remedy(key, value)}"


def _swept(name: str, value: str) -> str:
    """Write values of a key as a sweep, or as one value."""
    group = name not in all_keys() or sections_in(field_of(name.split("."))[1].annotation)
    if group or value.startswith(("range(", "choice(", "glob(")):
        return f"-m {shlex.quote(f'{name}={value}')}"
    if takes_text(name):
        return f"-m {shlex.quote(f'{name}={value}')}, or {typed(name, value)} if it is one"
    return remedy(name, value) or f"-m {name}={value}"


def _usual(name: str) -> str:
    return (remedy(name) if name in all_keys() else None) or f"{name}=..."


def _unparsed(got: str, overrides: list[str]) -> str:
    """Word an override that is no name=value pair, or has special letters."""
    rule = f"an override must be written name=value, got '{got}'"
    name, equals, value = got.partition("=")
    key = name.lstrip("+~") if equals else re.split(r"[:\s]", got)[0]
    later = overrides[overrides.index(got) + 1 :] if got in overrides else []
    after = list(takewhile(lambda one: "=" not in one, later))
    if value.endswith(",") or value.startswith("["):  # `fraction=0.1, 0.2`, `fraction=[0.1, 0.2]`
        value = "".join([value, *after])
    text = re.sub(r"""^(["'])(.*)\1$""", r"\2", value)
    if equals and key == "data":
        return f"{rule}; try {choice_of(key, text.strip(',; '))}"
    if equals and key in all_keys() and takes_text(key) and key != "study":
        return f"{rule}; try {typed(key, text)}"
    if equals and key in all_keys():
        return f"{rule}; try {remedy(key, value) or typed(key, text)}"
    if not equals and key in all_keys():  # `fraction 0.1`, `fraction = 0.1`, `fraction:0.1`
        values = [one for one in (got[len(key) :].strip(" :"), *(one.strip("= ") for one in later)) if one]
        rest = (" " if takes_text(key) else ",").join(takewhile(lambda one: "=" not in one, values))
        return f"{rule}; try {remedy(key, rest or None) or f'{key}=...'}"
    if got in overrides[1:] and takes_path(before := overrides[overrides.index(got) - 1].partition("=")[0]):
        first = overrides[overrides.index(got) - 1].partition("=")[2].strip('"')
        return f"{rule}; try {typed(before, ' '.join([first, got, *after]))}"
    before, _, first = overrides[overrides.index(got) - 1].partition("=") if got in overrides[1:] else ("", "", "")
    for value in (f"{first},{got}", f"{first} {got}"):  # several values with a space between, or one that has a space
        if before in all_keys() and (advice := remedy(before, value)) != remedy(before):
            return f"{rule}; try {advice}"
    return f"{rule}; quote what is special: 'name=\"a b\"'" if equals else f"{rule}; leave it out"


def _unknown_choice(group: str, got: str, folders: Sequence[Path] = ()) -> str:
    if group == "hydra/launcher":
        return (
            f"hydra/launcher must be datavol (this machine), {', '.join(choices(group))}, got '{got}'; leave it out: "
            "sweep.parallel says how many runs train at once"
        )
    if group == "hydra/sweeper":
        packaged = got in ("optuna", "ax", "nevergrad")
        advice = f"type pip install hydra-{got}-sweeper" if packaged else "leave hydra/sweeper out"
        return f"hydra/sweeper must be one that is installed, got '{got}'; {advice}"
    if known := choices(group, folders):
        leave = "leave experiment out, or " if group == "experiment" else ""
        return f"{group} must be one of {', '.join(known)}, got '{got}'; {leave}try {choice_of(group, got, known)}"
    return f"{group} must be one that is installed, got '{got}'; leave {group} out"
