"""Turns plain arguments of Python into overrides, as they would be typed."""

from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from datavol.cli.text import written
from datavol.config.command_line.keys import all_keys, choices
from datavol.errors import ConfigError


def overrides_of(keys: Mapping[str, Any], *, multirun: bool = False) -> list[str]:
    """Write arguments as overrides; with `multirun` lists are values to try.

    A name is a key (`fraction`, `recipe.batch_size`), a group (`model`), or the end of one key alone (`batch_size`).
    A dictionary gives keys of its section: `recipe={"batch_size": 32}`; with a `_target_`, which may be a class, it is
    an object of the user's, whose further keys are arguments.

    >>> overrides_of({"model": ["resnet50", "mobilenet_v2"], "fraction": 0.25, "batch_size": 32}, multirun=True)
    ['model=resnet50,mobilenet_v2', 'fraction=0.25', 'recipe.batch_size=32']
    >>> overrides_of({"model": {"_target_": "my_nets.Net", "width": 32}})
    ['model=own', 'model._target_=my_nets.Net', '+model.width=32']
    >>> overrides_of({"callbacks": {"mine": {"_target_": "my_callbacks.Beep", "times": 2}}})
    ['+callbacks.mine._target_=my_callbacks.Beep', '+callbacks.mine.times=2']

    Raises:
        ConfigError: For a name that several keys end in, and for a sweep over nothing.
    """
    return [f"{name}={_value(name, value, multirun)}" for name, value in _flat(keys)]


def _flat(keys: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in keys.items():
        path = f"{section}{name}" if section else full_name(name)
        if isinstance(value, Mapping):
            if "_target_" in value and "own" in choices(path):
                yield path, "own"
            yield from _flat(value, f"{path}.")
        else:
            yield f"{'+' * (bool(section) and path not in all_keys())}{path}", value


def full_name(name: str) -> str:
    """Find the key that a plain name means.

    >>> full_name("batch_size"), full_name("fraction"), full_name("root")
    ('recipe.batch_size', 'fraction', 'data.root')
    """
    known = all_keys()
    if name in known or not name.isidentifier() or choices(name):
        return name
    ends = list(dict.fromkeys(key for key in known if key.endswith(f".{name}")))
    if len(ends) > 1:
        first = f'**{{"{ends[0]}": ...}}'
        raise ConfigError(f"{name} must be one key's name, got that of {', '.join(ends)}; try {first}")
    return ends[0] if ends else name  # the composition says what is unknown, and what was meant


def _value(name: str, value: Any, multirun: bool) -> str:
    if isinstance(value, (type, FunctionType)):
        return _importable(name, value)
    value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's arrays and numbers
    if not multirun or not isinstance(value, (list, tuple, range)):
        return written(value)
    return ",".join(written(one) for one in _some(name, value))


def _importable(name: str, value: type | FunctionType) -> str:
    """Name a class as the processes that train import it."""
    if value.__module__ == "__main__" or "<" in value.__qualname__:
        raise ConfigError(
            f"{name} must be a class that other processes can import, got {value.__qualname__} of a script, a notebook "
            "or a function; write it into a file, such as my_nets.py, and import it from there"
        )
    return f"{value.__module__}.{value.__qualname__}"


def _some(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if not values:
        raise ConfigError(f"a sweep must have at least one run, got no values of {name}; give it one")
    return values
