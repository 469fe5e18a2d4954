"""Parses command lines that take keys of the configuration, as they are meant."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from datavol.cli.boundary import Parser
from datavol.cli.text import hydra_string, written
from datavol.config.command_line.keys import takes_path, takes_text
from datavol.errors import ConfigError

SWEPT = re.compile(r"(choice|range|interval|glob|tag|sort|shuffle|extend_list)\(")
SETTLED = re.compile(r"""(["']).*\1|null|.*\$\{.*""")
"""Values that are Hydra's business: quoted already, null, or with a reference."""


class KeyParser(Parser):
    """Parses options beside keys; --help lists the keys of some sections."""

    def __init__(self, groups: Sequence[str], keys: str = "as for python -m datavol.run", **options: Any) -> None:
        super().__init__(**options)
        self.groups = groups
        self.keys = keys

    def parse(self) -> argparse.Namespace:
        """Parse the process's arguments; overrides are as `as_meant` and --config-dir leave them."""
        self.add_argument("overrides", nargs="*", metavar="key=value", help=self.keys)
        self.add_argument("--config-dir", metavar="DIR", help="a folder of yours beside conf/: model/, recipe/ ...")
        arguments = self.parse_intermixed_args()
        arguments.overrides = as_meant(arguments.overrides, multirun=getattr(arguments, "multirun", False))
        if arguments.config_dir is not None:
            arguments.overrides.insert(0, searched(arguments.config_dir))
        return arguments

    def format_help(self) -> str:
        """Write the options, then the keys."""
        from datavol.config.command_line.meanings import key_help
        from datavol.config.compose import compose

        return f"{super().format_help()}\n{key_help(compose([])[0].values, self.groups)}"


def searched(folder: str) -> str:
    """Write --config-dir as an override, which child processes and records understand.

    Raises:
        ConfigError: If there is no such folder.
    """
    if not Path(folder).expanduser().is_dir():
        raise ConfigError(
            f"--config-dir must be a folder with model/, recipe/ or the like, got {folder}; check the path"
        )
    return f"hydra.searchpath=[{written(Path(folder).expanduser().absolute())}]"


def as_meant(overrides: Sequence[str], *, multirun: bool) -> list[str]:
    r"""Quote paths and text that Hydra would not read as typed.

    >>> as_meant(["data.root=/archive (1)", "data.group=(clip\d+)_", "fraction=0.5"], multirun=False)
    ['data.root="/archive (1)"', 'data.group="(clip\\d+)_"', 'fraction=0.5']
    """
    return [_meant(one, multirun) for one in overrides]


def _meant(override: str, multirun: bool) -> str:
    name, _, value = override.partition("=")
    if not value or SETTLED.fullmatch(value) or SWEPT.match(value):
        return override
    if takes_path(name):
        if "," in value and not Path(value).expanduser().exists():  # a list of paths, or a mistake
            return f"{name}={','.join(map(written, value.split(',')))}" if multirun else override
        return f"{name}={written(value)}"
    return f"{name}={hydra_string(value)}" if takes_text(name) and not _parses(override) else override


def _parses(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True
