"""Fixtures that many tests share."""

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from factories.commands import run_command
from factories.small_runs import SMALL
from PIL import Image

from datavol.config.compose import compose
from datavol.config.run import Run


@pytest.fixture
def tiny() -> Callable[..., Run]:
    """Composes a run of a few seconds, 36 iterations, with further overrides."""
    return lambda *overrides: compose(["logger=csv", *SMALL, "epochs=3", "fraction=0.25", *overrides])[0]


@pytest.fixture
def little(tiny) -> Callable[..., Run]:
    """Composes one of timm's small test network, with batch norm and dropout."""
    return lambda *overrides: tiny("model=timm", "model.name=test_efficientnet", "recipe.dropout=0.2", *overrides)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enters an empty folder, without the caller's W&B account, cache and rank."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def command(elsewhere: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m datavol.<entry> ...` in an empty folder."""

    return partial(run_command, elsewhere)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Writes 12, 9 and 6 training images, and 4 validation images each."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for split, counts in {"train": (12, 9, 6), "val": (4, 4, 4)}.items():
        for name, count in zip(("cat", "dog", "owl"), counts, strict=True):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return root


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add how often tests/sweep/test_survival.py kills a sweep, and when."""
    parser.addoption("--kills", type=int, default=1)
    parser.addoption("--kill-seed", type=int, default=0)
