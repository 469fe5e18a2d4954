"""The devices of the tests in this folder.

Each test has two: `cpu` stands in for the device where there is no GPU, so that a mistake is found anywhere, and `cuda`
runs in `make test-gpu`.
"""

from collections.abc import Iterator

import pytest
import torch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `device` both of them; its CPU is slow unless it is marked quick."""
    if "device" in metafunc.fixturenames:
        quick = metafunc.definition.get_closest_marker("quick") is not None
        cpu = pytest.param("cpu", marks=[] if quick else [pytest.mark.slow])
        metafunc.parametrize("device", [cpu, pytest.param("cuda", marks=pytest.mark.gpu)])


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn TF32 off, which cuDNN has on: it keeps 10 bits of 23."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")  # for processes that a test starts
    kept = [(place, place.allow_tf32) for place in (torch.backends.cudnn, torch.backends.cuda.matmul)]
    for place, _ in kept:
        place.allow_tf32 = False
    yield
    for place, value in kept:
        place.allow_tf32 = value
