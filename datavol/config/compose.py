"""From a command line to checked runs: the one module that composes with Hydra before Hydra's own job starts.

Hydra reports a mistake in several lines, with exit code 1, and after it has written its folders. So every entry point
composes and checks here first: all jobs of a sweep, before anything is written.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn, get_args

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from pydantic import ValidationError

from datavol.config import TORCHVISION_NETWORKS, Config, Run, Section, marks
from datavol.errors import ConfigError

HYDRA_VERSION = "1.3"

SMALL_IMAGES = ("digits", "fashion_mnist", "cifar10", "cifar100")


def conf_dir() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def recipe_for(data: str, model: str) -> str:
    """The recipe that fits a data set and a network, where the user names none.

    >>> recipe_for("digits", "resnet50"), recipe_for("imagenet", "resnet50"), recipe_for("imagenet", "timm")
    ('small', 'thesis_resnet50', 'plain')
    """
    if data in SMALL_IMAGES:
        return "small"
    return f"thesis_{model}" if model in TORCHVISION_NETWORKS else "plain"


_named: ContextVar[str | None] = ContextVar("_named", default=None)
"""The name of the run that `to_run` is looking at, so that a sweep's configurations are not each checked twice."""


def _run_name(*, _root_: DictConfig) -> str:
    if (known := _named.get()) is not None:
        return known
    values = OmegaConf.to_container(_root_, resolve=False)
    assert isinstance(values, dict)
    task = OmegaConf.create({name: value for name, value in values.items() if name != "hydra"})
    return typed(task).run_name


OmegaConf.register_new_resolver("recipe_for", recipe_for, replace=True)
OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's own command line (`-m`, `--cfg`, `--help` ...), its mistakes in one line."""

    def fail(message: str) -> NoReturn:
        raise ConfigError(f"the command line must be options and name=value pairs, got: {message}; see --help")

    parser = get_args_parser()
    parser.error = fail  # type: ignore[method-assign]
    return parser.parse_args(list(arguments))


def compose(overrides: Sequence[str], *, multirun: bool = False) -> list[Run]:
    """Compose and check every run that these overrides ask for.

    Args:
        overrides: As on the command line, `name=value`.
        multirun: Whether a list of values (`fraction=0.05,0.25`) asks for a run each.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        mode = RunMode.MULTIRUN if multirun else RunMode.RUN
        try:
            master = hydra.compose_config("config", list(overrides), run_mode=mode, from_shell=True)
            if not multirun and master.hydra.sweeper.get("params"):
                raise ConfigError("-m must be given with an experiment that is a sweep, got a single run; try -m")
            jobs = _split(master, overrides, hydra.config_loader) if multirun else [list(overrides)]
            composed = [hydra.config_loader.load_sweep_config(master, job) for job in jobs] if multirun else [master]
            return [to_run(tuple(job), config, multirun=multirun) for job, config in zip(jobs, composed, strict=True)]
        except ConfigError:
            raise
        except (HydraException, OmegaConfBaseException, ValueError, IndexError, TypeError) as error:
            # the last three are Hydra's own slips over unusual values, such as model=null
            raise ConfigError(_one_line_of_hydra(error)) from None


def _split(master: DictConfig, overrides: Sequence[str], loader: Any) -> list[list[str]]:
    """A sweep's jobs as Hydra's basic sweeper splits them; another sweeper's first job stands for its jobs."""
    parameters = master.hydra.sweeper.get("params") or {}
    both = [f"{name}={value}" for name, value in parameters.items()] + list(overrides)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(both)
    jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    if not jobs:
        raise ConfigError(f"a sweep must have at least one run, got none from {' '.join(both)}; give it values")
    return jobs


def to_run(overrides: tuple[str, ...], composed: DictConfig, *, multirun: bool) -> Run:
    """A composed configuration, with its `hydra` section, as a checked run."""
    task = OmegaConf.create({name: composed._get_node(name) for name in composed if name != "hydra"})
    values = container(task)
    config = check(values)
    if multirun:
        _check_launcher(composed.hydra.launcher, config)
    where = composed.hydra.sweep if multirun else composed.hydra.run
    token = _named.set(config.run_name)
    try:
        folder = Path(where.dir) / where.subdir if multirun else Path(where.dir)
    finally:
        _named.reset(token)
    return Run(overrides, values, config, folder)


def _check_launcher(launcher: Mapping[str, Any], config: Config) -> None:
    """SLURM starts as many ranks as the trainer expects, or they wait for each other for ever."""
    trainer = config.trainer
    pairs = (("tasks_per_node", "trainer.devices", trainer.devices), ("nodes", "trainer.num_nodes", trainer.num_nodes))
    for name, key, ours in pairs:
        if name not in launcher:
            continue
        theirs = launcher[name]
        if theirs == "auto":
            raise ConfigError(f"{key} must be a number with a SLURM launcher, got auto; try {key}=1")
        if theirs != ours:
            raise ConfigError(f"hydra.launcher.{name} must be equal to {key}, got {theirs} and {ours}; leave it out")


def container(task: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain, resolved values."""
    values = OmegaConf.to_container(task, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def override(values: dict[str, Any], overrides: Sequence[str]) -> Config:
    """A finished configuration with some keys changed: `data.root=...`, `trainer.devices=2`, or a whole `trainer=cpu`.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    changed = OmegaConf.create(values)
    OmegaConf.set_struct(changed, True)
    try:
        parsed = {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(list(overrides))}
        groups = [name for name in parsed if (conf_dir() / name).is_dir()]
        for group in groups:
            whole = [text for text in overrides if text.partition("=")[0].partition(".")[0] == group]
            OmegaConf.update(changed, group, compose(whole)[0].values[group], merge=False, force_add=True)
        for name, one in parsed.items():
            if name.partition(".")[0] not in groups:
                OmegaConf.update(changed, name, one.value(), merge=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_one_line_of_hydra(error)) from None
    return typed(changed)


def typed(task: DictConfig) -> Config:
    """A composed configuration as checked objects.

    Raises:
        ConfigError: With name, rule, value and remedy of the first key that breaks its rule.
    """
    return check(container(task))


def check(values: dict[str, Any]) -> Config:
    """Type and check plain values; see `typed`."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_one_line_of_schema(error)) from None


def _one_line_of_schema(error: ValidationError) -> str:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return str(cause)
    path = _path(first["loc"])
    name, (sections, field) = ".".join(path), _field(path)
    if field is None:
        return _unknown_key(name, [".".join([*path[:-1], known]) for s in sections for known in s.model_fields])
    remedy = marks(field)["remedy"]
    got = "nothing" if first["type"] == "missing" else json.dumps(first["input"], default=str)
    return f"{name} must be {field.description}, got {got}" + (f"; try {remedy}" if remedy else "; see --help")


def _path(location: tuple[int | str, ...]) -> list[str]:
    """A pydantic location as a config path: without the tags of unions, and no further than a key."""
    tagged = location[:1] in (("data",), ("logger",))
    path: list[str] = []
    for place, part in enumerate(location):
        if tagged and place == 1:
            continue
        path.append(str(part))
        field = _field(path)[1]
        if field is None or not _sections_in(field.annotation):
            break
    return path


def _field(path: Sequence[str]) -> tuple[list[type[Section]], Any]:
    """The sections in which the last part of a path is looked up, and its field there."""
    sections: list[type[Section]] = [Config]
    for place, part in enumerate(path):
        found = [section.model_fields[part] for section in sections if part in section.model_fields]
        if not found or place == len(path) - 1:
            return sections, found[0] if found else None
        sections = [inner for field in found for inner in _sections_in(field.annotation)]
    return sections, None


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _unknown_key(name: str, known: Sequence[str]) -> str:
    if name in known:
        group = name.partition(".")[0]
        return f"{name} must be a key of the chosen {group}, got one of another choice; leave {name} out"
    same_end = [key for key in known if key.endswith("." + name.rpartition(".")[2])]
    near = same_end[:1] or difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else "--help lists the keys"
    return f"{name} must be a key of conf/, got an unknown one; {remedy}"


def _one_line_of_hydra(error: Exception) -> str:
    """Hydra's and OmegaConf's errors as one line with name, rule, value and remedy."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if ambiguous := re.search(r"Ambiguous value for argument '([^']*)'", text):
        name = ambiguous[1].partition("=")[0]
        return f"{name} must be one value without -m, got {ambiguous[1]}; try -m {ambiguous[1]}"
    if isinstance(error, OverrideParseException):
        return f"an override must be written name=value, got '{error.override}'; quote what is special: 'name=\"a b\"'"
    if isinstance(error, InterpolationResolutionError) and error.full_key:
        return f"{error.full_key} must refer to a key or variable that exists, got: {text}; write a value instead"
    if choice := re.search(r"Could not find '([\w/]+)/([^']*)'", text):
        return _unknown_choice(choice[1], choice[2])
    for pattern in (r"full_key: ([\w.]+)", r"Could not (?:override|append|delete)[^']*'([^'=]+)"):
        if unknown := re.search(pattern, text):
            return _unknown_key(unknown[1], _all_keys())
    return f"the configuration must compose, got: {text}; see --help"


def _unknown_choice(group: str, got: str) -> str:
    known = sorted(
        path.relative_to(conf_dir() / group).with_suffix("").as_posix() for path in (conf_dir() / group).rglob("*.yaml")
    )
    near = (difflib.get_close_matches(got, known, n=1, cutoff=0.4) + known + ["null"])[0]
    return f"{group} must be one of {', '.join(known)}, got '{got}'; try {group}={near}"


def _all_keys(section: type[Section] = Config, prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        for inner in _sections_in(field.annotation):
            keys += _all_keys(inner, f"{prefix}{name}.")
    return keys
