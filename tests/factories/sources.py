"""Makes empty image files, and reads what a source lists."""

import re
from pathlib import Path

import pytest

from datavol.errors import ConfigError

OWL_IN = "train and val must have the same classes in {root}, got 'owl' in "


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def items(split) -> list[tuple[str, int]]:
    return [(split.key(i), int(split.labels[i])) for i in range(len(split))]


def says(message: str):
    assert "\n" not in message
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}$")
