"""Understands the command lines of agents that propose configurations."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra._internal.utils import get_args_parser


def as_overrides(arguments: Sequence[str]) -> list[str]:
    """Write `--key=value`, as W&B's agents do, as Hydra's `key=value`.

    >>> as_overrides(["-m", "--recipe.optimiser.lr=0.1", "--model.weights=None", "--cfg=job", "seed=1"])
    ['-m', 'recipe.optimiser.lr=0.1', 'model.weights=null', '--cfg=job', 'seed=1']
    >>> as_overrides(["--recipe={'optimiser': {'lr': 0.1}, 'dropout': 0.2}"])
    ['recipe.optimiser.lr=0.1', 'recipe.dropout=0.2']
    """
    parser = get_args_parser()
    flags = {flag for action in parser._actions for flag in action.option_strings}  # Hydra's own, such as --cfg
    return [one for text in arguments for one in ([text] if text.partition("=")[0] in flags else _overrides(text))]


def _overrides(text: str) -> Iterator[str]:
    found = re.fullmatch(r"--([A-Za-z_][\w.@/]*)=(.*)", text, re.DOTALL)
    if found is None:
        yield text
        return
    try:  # nested parameters come as Python writes a dictionary
        value = ast.literal_eval(found[2]) if found[2].startswith("{") else found[2]
    except (SyntaxError, ValueError):
        value = found[2]
    yield from _flat(found[1], value)


def _flat(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield f"{name}={'null' if value in (None, 'None') else value}"
