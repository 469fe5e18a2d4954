"""Made-up studies."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.run_folders import write_run


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A study without a flaw: two networks, fractions 0.05, 0.25 and 1, two seeds; independent draws."""
    study = tmp_path / "clean"
    for model in ("mobilenet_v2", "resnet50"):
        for fraction in (0.05, 0.25, 1.0):
            for seed in (0, 1):
                write_run(study, model, fraction, seed)
    return study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Six finished runs of two networks, one that runs and one that failed."""
    study = tmp_path / "made_up"
    for model in ("resnet50", "mobilenet_v2"):
        for i, fraction in enumerate((0.05, 0.125, 0.25)):
            write_run(study, model, fraction, top1=0.5 + 0.1 * i)
    write_run(study, "resnet50", 0.5, state="running", done=0)
    write_run(study, "resnet50", 1.0, state="failed", done=2)
    return study
