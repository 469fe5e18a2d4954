"""The cores and memory that a process may use."""

import os

import joblib
import pytest
import torch

from datavol.runs import provenance
from datavol.runs.provenance import cores, memory_bytes, processor
from datavol.training.callbacks import monitoring
from datavol.training.callbacks.monitoring import set_threads


@pytest.fixture
def counted(monkeypatch):
    """Sets what affinity and quota allow, and SLURM's number per task."""

    def count(allowed: int, slurm: str | None = None) -> int:
        monkeypatch.setattr(joblib, "cpu_count", lambda: allowed)
        monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
        if slurm is not None:
            monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
        cores.cache_clear()
        return cores()

    yield count
    cores.cache_clear()


@pytest.mark.parametrize(("slurm", "expected"), [(None, 8), ("3", 3), ("12", 8), ("0", 8), ("", 8)])
def test_cores_are_those_that_are_allowed(slurm, expected, counted):
    assert counted(8, slurm) == expected


def test_affinity_counts(counted):
    cores.cache_clear()
    everything = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everything)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, everything)


@pytest.mark.parametrize(
    ("threads", "allowed", "ranks", "expected"),
    [("auto", 8, 1, 4), ("auto", 3, 1, 3), ("auto", 8, 4, 2), ("auto", 1, 4, 1), (5, 1, 4, 5)],
)
def test_auto_is_torch_s_number_within_what_is_allowed(threads, allowed, ranks, expected, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(monitoring, "cores", lambda: allowed)
    set_threads(threads, ranks)
    assert chosen == [expected]


def test_ranks_of_srun_have_cores_of_their_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(monitoring, "cores", lambda: 4)
    monkeypatch.setattr(monitoring.SLURMEnvironment, "detect", lambda: True)
    set_threads("auto", 4)
    assert chosen == [4]


def test_a_container_s_limit_of_memory_counts(tmp_path, monkeypatch):
    real = memory_bytes()
    monkeypatch.setattr(provenance, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_bytes() >= real
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory_bytes() == 1e6


def test_the_processor_is_named():
    assert len(processor()) > len("x86_64")
