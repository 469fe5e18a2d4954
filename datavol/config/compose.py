"""Composes and checks the runs of a command line.

Hydra reports a mistake in several lines, with exit code 1, and after it has written its folders. So every entry point
composes and checks here first: all jobs of a sweep, before anything is written.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from datavol.cli.agents import as_overrides
from datavol.config.command_line.arguments import as_meant, searched
from datavol.config.command_line.jobs import JobComposer
from datavol.config.command_line.messages import (
    hydra_message,
    missing_target,
    option_message,
    schema_message,
    without_own,
)
from datavol.config.command_line.sweepers import check_sweeper, one_of, splits_as_hydra
from datavol.config.identity import canonical
from datavol.config.model import TORCHVISION_NETWORKS, own_name
from datavol.config.run import Config, Run
from datavol.config.section import conf_dir
from datavol.config.user_code import code_of
from datavol.errors import ConfigError

HYDRA_VERSION = "1.3"

SMALL_IMAGES = ("digits", "fashion_mnist", "cifar10", "cifar100")


def recipe_for(data: str, model: str) -> str:
    """Choose the recipe where the user names none.

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
    return check(container(_root_)).run_name  # Hydra's own job resolves `hydra.run.dir` by itself


def cooldown_of(name: str, library: str | None, target: str | None) -> float | None:
    """Choose the cool-down's share: of wsd of datavol's own alone.

    Records of before that schedule have none, and their wsd is timm's.

    >>> cooldown_of("wsd", None, None), cooldown_of("wsd", "timm", None), cooldown_of("cosine", None, None)
    (0.2, None, None)
    """
    return 0.2 if (name, library, target) == ("wsd", None, None) else None


def class_name(target: str) -> str:
    """Return a class's name, without its module.

    >>> class_name("my_data.Birds")
    'Birds'
    """
    return target.rpartition(".")[2]


# `conf/` calls these as ${recipe_for:...}, ${cooldown_of:...}, ${class_name:...} and ${run_name:}
OmegaConf.register_new_resolver("recipe_for", recipe_for, replace=True)
OmegaConf.register_new_resolver("cooldown_of", cooldown_of, replace=True)
OmegaConf.register_new_resolver("class_name", class_name, replace=True)
OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse Hydra's own options (`-m`, `--cfg` ...); mistakes are ConfigErrors."""

    def fail(message: str) -> NoReturn:
        raise ConfigError(option_message(message, arguments))

    parser = get_args_parser()
    parser.error = fail  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(as_overrides(arguments))
    for option in ("config_name", "config_path"):
        if getattr(parsed, option):
            name = f"--{option.replace('_', '-')}"
            raise ConfigError(f"{name} must be left out, since conf/ alone is composed, got it; try without {name}")
    if parsed.multirun and parsed.cfg:
        raise ConfigError("--cfg must be asked of one run, got -m, which asks for several; try without -m")
    parsed.overrides = as_meant(parsed.overrides, multirun=parsed.multirun)
    if parsed.config_dir is not None:
        parsed.overrides.insert(0, searched(parsed.config_dir))
        parsed.config_dir = None
    return parsed


def arguments_of(parsed: argparse.Namespace) -> list[str]:
    """Write parsed arguments as a command line, for Hydra and ranks."""
    options = {f"--{name.replace('_', '-')}": value for name, value in vars(parsed).items() if name != "overrides"}
    flags = [name if value is True else f"{name}={value}" for name, value in options.items() if value]
    return [*flags, *parsed.overrides]


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
            # With -m, `master` is what the jobs share; each is composed on top of it, by its own overrides
            master = hydra.compose_config("config", list(overrides), run_mode=mode, from_shell=True)
            if not multirun and master.hydra.sweeper.get("params"):
                raise ConfigError("-m must be given with an experiment that is a sweep, got a single run; try -m")
            if not multirun:
                return [to_run(tuple(overrides), master, multirun=False)]
            check_sweeper(master)
            jobs, compose_job = _split(master, overrides, hydra.config_loader), JobComposer(hydra.config_loader, master)
            return [to_run(tuple(job), compose_job(job), multirun=True) for job in jobs]
        except ConfigError:  # a ValueError, in one line already
            raise
        except (HydraException, OmegaConfBaseException, ValueError, IndexError, TypeError) as error:
            # the last three are Hydra's own slips over unusual values, such as model=null
            raise ConfigError(hydra_message(error, overrides)) from None


def _split(master: DictConfig, overrides: Sequence[str], loader: Any) -> list[list[str]]:
    """Split a sweep into the overrides of its jobs."""
    parameters = master.hydra.sweeper.get("params") or {}
    both = [f"{name}={value}" for name, value in parameters.items()] + list(overrides)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(both)
    if not splits_as_hydra(master):  # Optuna's makes its jobs up while it runs; here one is checked, and then each
        return [[one_of(override) for override in parsed]]
    # Split as Hydra's basic sweeper will once it starts, so that `datavol.run` finds these runs by their overrides
    jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    if not jobs:
        raise ConfigError(f"a sweep must have at least one run, got none from {' '.join(both)}; give it values")
    return jobs


class RunComposer:
    """Composes runs that share most overrides, one after another."""

    def __init__(self, overrides: Sequence[str]) -> None:
        self._overrides = list(overrides)
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            master = hydra.compose_config("config", self._overrides, run_mode=RunMode.MULTIRUN, from_shell=True)
            self._launcher = master.hydra.launcher
            self._compose_job = JobComposer(hydra.config_loader, master)

    def __call__(self, more: Sequence[str]) -> Run:
        """Compose and check the run of further overrides.

        Raises:
            ConfigError: For the first thing that is wrong, in one line.
        """
        job = [*self._overrides, *more]
        return to_run(tuple(job), self._compose_job(job), multirun=True)

    @property
    def cluster(self) -> dict[str, Any] | None:
        """Read the parameters of a SLURM launcher; None without one."""
        launcher = OmegaConf.to_container(self._launcher, resolve=True)
        assert isinstance(launcher, dict)
        parameters = {str(name): value for name, value in launcher.items() if name != "_target_"}
        return parameters if "tasks_per_node" in parameters else None


def is_of_hydra(override: str) -> bool:
    """Return whether an override is of Hydra's own keys."""
    return re.match(r"[+~]*hydra[./=@]", override) is not None


def to_run(overrides: tuple[str, ...], composed: DictConfig, *, multirun: bool) -> Run:
    """Check a composed configuration, its `hydra` section included."""
    values = container(composed)
    config = check(values)
    if multirun:
        _check_launcher(composed.hydra.launcher, config)
    where = composed.hydra.sweep if multirun else composed.hydra.run
    token = _named.set(config.run_name)  # the folder's ${run_name:} is resolved as it is read, two lines below
    try:
        folder = Path(where.dir) / where.subdir if multirun else Path(where.dir)
    finally:
        _named.reset(token)
    on_cluster = multirun and "tasks_per_node" in composed.hydra.launcher  # SLURM's, wherever it was chosen
    return Run(overrides, values, config, folder, on_cluster)


def _check_launcher(launcher: Mapping[str, Any], config: Config) -> None:
    """Raise a ConfigError unless SLURM starts the ranks that the trainer expects."""
    trainer = config.trainer  # with fewer, the ranks would wait for the others for ever
    pairs = (("tasks_per_node", "trainer.devices", trainer.devices), ("nodes", "trainer.num_nodes", trainer.num_nodes))
    for name, key, ours in pairs:
        if name not in launcher:
            continue
        theirs = launcher[name]
        if theirs == "auto":
            raise ConfigError(f"{key} must be a number with a SLURM launcher, got auto; try {key}=1")
        if theirs != ours:
            raise ConfigError(f"hydra.launcher.{name} must be equal to {key}, got {theirs} and {ours}; leave it out")


def container(composed: DictConfig) -> dict[str, Any]:
    """Convert a composed configuration to plain, resolved, canonical values."""
    # section by section: `hydra` is left out, since it refers to the run's very name, and no copy is made
    values = {str(name): canonical(_plain(composed, name)) for name in composed if name != "hydra"}
    return values if values.get("code") else _with_code(values)  # a record's are those that it was trained with


def _with_code(values: dict[str, Any]) -> dict[str, Any]:
    """Add names and source hashes of the user's classes."""
    model = values.get("model")
    if isinstance(model, dict) and "_target_" in model:
        if model["_target_"] == "???":
            raise ConfigError(missing_target("model"))
        if model.get("library") in ("torchvision", "timm"):  # a network of theirs, with a class behind +
            raise ConfigError(without_own("model._target_", model["_target_"]))
        values["model"] = model | {"name": model.get("name") or own_name(model)}
    return values | {"code": code_of(values)}


def _plain(section: DictConfig, name: Any) -> Any:
    if OmegaConf.is_missing(section, name):
        return "???"
    value = section[name]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def override(values: dict[str, Any], overrides: Sequence[str]) -> Config:
    """Change keys (`data.root=...`) or groups (`trainer=cpu`) of composed values.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    changed = OmegaConf.create(values)
    OmegaConf.set_struct(changed, True)  # an unknown key is an error
    try:
        parsed = {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(list(overrides))}
        of_hydra = [str(one.input_line) for one in parsed.values() if one.is_hydra_override()]  # where files are found
        parsed = {name: one for name, one in parsed.items() if not one.is_hydra_override()}
        groups = [name for name in parsed if (conf_dir() / name).is_dir()]
        for group in groups:  # composed as shipped, then put in whole; `trainer=cpu trainer.threads=2` goes along
            whole = [text for text in overrides if text.partition("=")[0].partition(".")[0] == group]
            OmegaConf.update(changed, group, compose([*of_hydra, *whole])[0].values[group], merge=False, force_add=True)
        for name, one in parsed.items():
            if name.partition(".")[0] not in groups:
                # `+metrics.f1=...` adds one; what is none of the schema is refused by `check`
                OmegaConf.update(changed, one.key_or_group, one.value(), merge=False, force_add=one.is_add())
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(hydra_message(error, overrides)) from None
    return check(container(changed))


def check(values: dict[str, Any]) -> Config:
    """Type and check plain values.

    Raises:
        ConfigError: With name, rule, value and remedy of the first key that breaks its rule.
    """
    try:
        return Config.model_validate(canonical(values))
    except ValidationError as error:
        raise ConfigError(schema_message(error)) from None
