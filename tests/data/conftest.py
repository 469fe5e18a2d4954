"""Fixtures of the tests of data."""

import pytest

from datavol.data.sources.storage import settled


@pytest.fixture(autouse=True)
def files_of_yesterday(monkeypatch):
    """Let files that a test has just written count as old, or no cache would remember them."""
    monkeypatch.setattr(settled, "TICK", -settled.DAY)
