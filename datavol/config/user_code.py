"""Finds what a `_target_` names: classes and functions, the user's own included.

Importing a module runs it. So nothing here is called for a record, a checkpoint or data: only for a configuration that
somebody composes or trains.
"""

import difflib
import hashlib
import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from datavol.errors import ConfigError, flat

LIBRARIES = frozenset(("datavol", "lightning", "numpy", "sklearn", "timm", "torch", "torchmetrics", "torchvision"))
"""Packages whose versions a record holds: their sources are not hashed."""

GROUPS = {"model": "datavol.networks", "data": "datavol.sources"}
"""Entry points by which packages offer classes under a short name."""

NOT_OWN = tuple({*sysconfig.get_paths().values(), str(Path(__file__).parents[1])} - {""})
"""Folders of installed code and of datavol itself."""

WITHOUT_CODE = ("metrics", "logger")
"""Sections whose objects watch a run and cannot change it."""


def find_object(path: str, where: str) -> Any:
    """Import the class or function that the key `where` names.

    Raises:
        ConfigError: If there is none, or its module fails.
    """
    module_path, _, name = full_path(path, where).rpartition(".")
    if not module_path:
        known = sorted(_offered(where.partition(".")[0]))
        by_dots = re.sub("[:/]+", ".", path)  # entry points and uvicorn have a colon
        module, inside = (by_dots, "MyClass") if Path(f"{by_dots}.py").is_file() else ("my_module", path)
        usual = by_dots if "." in by_dots else f"{module}.{inside}"
        offers = f" or one of {', '.join(known)}" if known else ""
        raise ConfigError(
            f"{where}._target_ must be a class by its module{offers}, got {path}; "
            f"try {where}._target_={near(path, known) or usual}"
        )
    found: Any
    try:
        found = import_module(module_path, f"{where}._target_", f"{where}._target_={{}}.{name}")
    except ConfigError:
        if "." not in module_path:
            raise
        outer, _, inner = module_path.rpartition(".")  # a class's own function, such as Net.tiny
        found = getattr(import_module(outer, f"{where}._target_", ""), inner, None)
        if not isinstance(found, type):
            raise
    if not hasattr(found, name):
        fitting = near(name, [one for one in vars(found) if not one.startswith("_")])
        raise ConfigError(
            f"{where}._target_ must be in {module_path} ({_file_of(found)}), got {name}; "
            + (f"try {where}._target_={module_path}.{fitting}" if fitting else "check the name")
        )
    return getattr(found, name)


def full_path(path: str, where: str) -> str:
    """Replace the short name of an installed package's class by its path."""
    return _offered(where.partition(".")[0]).get(path, path)


def import_module(name: str, key: str = "imports", typed: str = "'imports=[{}]'") -> ModuleType:
    """Import a module, from the current folder too, for a key.

    `typed` is what somebody types to name another module.

    Raises:
        ConfigError: If there is none, or it fails.
    """
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:  # `python -m` puts it first, a console script does not
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported, such as parse arguments
        missing = isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}.")
        if not missing:
            raise ConfigError(
                f"{key} must be a module that can be imported, got {name} ({type(error).__name__}: "
                f"{flat(error)[:200]}{f', {line}' if (line := line_of(error)) else ''}); mend it"
            ) from None
    finally:
        os.chdir(here)  # a module may leave the folder, against which paths of the command line are read
    fitting = near(name, [path.stem for path in Path().glob("*.py")])
    raise ConfigError(
        f"{key} must be a module of the current folder or an installed package, got {name}; "
        + (
            f"try {typed.format(fitting)}"
            if fitting and typed
            else "start from the folder that holds it, or install it"
        )
    )


def near(name: str, known: Sequence[str]) -> str | None:
    """Return the known name nearest to one, None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), None)


def code_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Hash each source of the user's that may change a run.

    These are the modules of every `_target_`, but for metrics and loggers, and of `imports`. Returns 12 hexadecimal
    digits of sha256 by module. A library's module is known by the library's version.
    """
    modules = {name: _code_of_module(name) for name in values.get("imports") or () if _is_of_user(name)}
    for path, where in _targets({name: one for name, one in values.items() if name not in WITHOUT_CODE}):
        if _is_of_user(path):
            name = _module_of(path, where)
            modules[name] = _code_of_module(name)
    return dict(sorted(modules.items()))


def _targets(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """List every `_target_` with its place, at any depth."""
    items = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in items:
        if name == "_target_" and isinstance(value, str) and value != "???":
            yield value, where
        yield from _targets(value, f"{where}.{name}" if where else str(name))


def _is_of_user(path: str) -> bool:
    return path.partition(".")[0] not in LIBRARIES


@cache
def _module_of(path: str, where: str) -> str:
    """Name the module that defines an object, which another may re-export."""
    found = find_object(path, where)
    module = inspect.getmodule(found)
    return module.__name__ if module else path.rpartition(".")[0]


@cache
def _code_of_module(name: str) -> str:
    file = getattr(import_module(name), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else ""


@cache
def _offered(section: str) -> dict[str, str]:
    """Read the classes that installed packages offer, by short name."""
    group = GROUPS.get(section)
    return {one.name: one.value.replace(":", ".") for one in entry_points(group=group)} if group else {}


def _file_of(found: Any) -> str:
    return str(getattr(found, "__file__", None) or getattr(found, "__name__", found))


def line_of(error: BaseException) -> str | None:
    """Locate the innermost line of the user's own that an error passed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*NOT_OWN, "<"))]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None
