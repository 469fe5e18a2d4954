"""Made-up studies."""

from itertools import product
from pathlib import Path

import pytest
from factories.run_folders import write_run


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A study without a flaw: two networks, fractions 0.05, 0.25 and 1, two seeds; independent draws."""
    study = tmp_path / "clean"
    for model, fraction, seed in product(("mobilenet_v2", "resnet50"), (0.05, 0.25, 1.0), (0, 1)):
        write_run(study, model, fraction, seed)
    return study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Six finished runs of two networks, one that runs and one that failed."""
    study = tmp_path / "made_up"
    for model, (fraction, top1) in product(("resnet50", "mobilenet_v2"), ((0.05, 0.5), (0.125, 0.6), (0.25, 0.7))):
        write_run(study, model, fraction, top1=top1)
    write_run(study, "resnet50", 0.5, state="running", done=0)
    write_run(study, "resnet50", 1.0, state="failed", done=2)
    return study
