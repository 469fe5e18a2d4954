"""Understands the command lines of agents that propose configurations."""

import re
from collections.abc import Sequence

from hydra._internal.utils import get_args_parser


def as_overrides(arguments: Sequence[str]) -> list[str]:
    """Write `--key=value`, as W&B's agents do, as Hydra's `key=value`.

    >>> as_overrides(["-m", "--recipe.optimiser.lr=0.1", "--model.weights=None", "--cfg=job", "seed=1"])
    ['-m', 'recipe.optimiser.lr=0.1', 'model.weights=null', '--cfg=job', 'seed=1']
    """
    parser = get_args_parser()
    flags = {flag for action in parser._actions for flag in action.option_strings}  # Hydra's own, such as --cfg
    return [text if text.partition("=")[0] in flags else _as_override(text) for text in arguments]


def _as_override(text: str) -> str:
    if (found := re.fullmatch(r"--([A-Za-z_][\w.@/]*=)(.*)", text, re.DOTALL)) is None:
        return text
    return found[1] + ("null" if found[2] == "None" else found[2])
