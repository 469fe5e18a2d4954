"""Opens sources in the folder of a test."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from datavol.config.compose import compose
from datavol.config.data import AnyData
from datavol.data.sources.open import Source, open_source


@lru_cache
def shipped(source: str) -> dict[str, Any]:
    return compose([f"data={source}"])[0].values["data"]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens a source as shipped, with some overrides."""
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))

    def open_with(source: str, **overrides) -> Source:
        given = {key: str(value) if isinstance(value, Path) else value for key, value in overrides.items()}
        return open_source(TypeAdapter(AnyData).validate_python(shipped(source) | given))

    return open_with


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder
