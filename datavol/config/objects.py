"""Builds what a configuration names by `_target_`, as Hydra does."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pydantic import AfterValidator, ConfigDict

from datavol.config.section import Section, key
from datavol.config.user_code import find_object, full_path, line_of
from datavol.errors import ConfigError, flat


class ObjectConfig(Section):
    """Names a class or function, called with all further keys."""

    model_config = ConfigDict(extra="allow")

    target: str = key("a class or function by its module", hashed=True, alias="_target_", remedy="my_module.MyClass")

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that the schema does not know."""
        return dict(self.model_extra or {})


def _check_named(objects: dict[str, Any]) -> dict[str, Any]:
    for name, one in objects.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):  # it becomes a column's
            raise ValueError(f"names of letters, digits and _ ({name} is none)", "")
        if not isinstance(one, dict) or not isinstance(one.get("_target_"), str):
            named = isinstance(one, str) and "." in one and name != "_target_"  # the class itself
            remedy = f"{{{name}:{{_target_:{one}}}}}" if named else ""
            raise ValueError(f"names, each with a _target_ ({name} has none)", remedy)
    return objects


Objects = Annotated[dict[str, Any], AfterValidator(_check_named)]
"""Objects by name: `{f1: {_target_: torchmetrics.F1Score, task: multiclass}}`."""


def build_object(where: str, target: str, options: Mapping[str, Any], **offered: Any) -> Any:
    """Call `target` with `options`, and with what it takes of `offered`.

    `where` is the section's key, such as `model`. Options that hold a `_target_` of their own are built first.

    Raises:
        ConfigError: If it is not there or fails, with its own words.
    """
    found = find_object(target, where)
    more = {name: value for name, value in offered.items() if name not in options and takes_argument(found, name)}
    try:
        # lists and dictionaries as Python's own, not OmegaConf's
        return instantiate({"_target_": full_path(target, where), "_convert_": "all", **options}, **more)
    except (Exception, SystemExit) as error:  # a class of the user's may raise anything
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        raise ConfigError(
            f"{where} must be built by {target}, got {type(cause).__name__}: {flat(cause)[:300]}"
            f"{f' ({line})' if (line := line_of(cause)) else ''}; check the keys of {where}"
        ) from error


def takes_argument(found: Callable[..., Any], name: str) -> bool:
    """Return whether a class or function has an argument of this name."""
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):  # built in, without a signature
        return False
    if name in parameters:
        return parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    return any(one.kind is one.VAR_KEYWORD for one in parameters.values())
