"""A machine is divided among the runs that train at once."""

import pytest

from datavol.config.compose import compose
from datavol.sweep.devices import run_environments, visible_gpus


def cpu_shares(monkeypatch, *overrides, cores=4, gigabytes=64, runs=8):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("datavol.sweep.devices.cores", lambda: cores)
    monkeypatch.setattr("datavol.sweep.devices.memory_bytes", lambda: gigabytes * 1e9)
    config = compose(["trainer=cpu", *overrides])[0].config
    shares = run_environments("auto", [config] * runs)
    return len(shares), shares[0].get("OMP_NUM_THREADS")


def test_small_batches_share_a_cpu_as_far_as_cores_runs_and_memory_go(monkeypatch):
    assert cpu_shares(monkeypatch) == (4, "1")
    assert cpu_shares(monkeypatch, runs=2) == (2, "2")
    assert cpu_shares(monkeypatch, runs=1) == (1, None)
    assert cpu_shares(monkeypatch, gigabytes=7) == (2, "2")
    assert cpu_shares(monkeypatch, gigabytes=1) == (1, None)
    assert cpu_shares(monkeypatch, "trainer.devices=2") == (2, "1")
    assert cpu_shares(monkeypatch, "data.image_size=224", "data.resize=224") == (1, None)


def test_gpus_are_shared_out_without_overlap(monkeypatch):
    configs = [compose(["trainer.devices=2", "recipe.batch_size=32"])[0].config] * 9
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,5")
    assert run_environments("auto", configs) == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,5"}]
    assert run_environments(1, configs) == [{}]
    with pytest.raises(ValueError, match=r"sweep\.parallel must be at most the 2 times .*, got 3"):
        run_environments(3, configs)
    whole = [compose(["trainer=auto"])[0].config] * 9  # its devices are all that are here, or that it is given
    assert run_environments("auto", whole) == [{}]
    assert run_environments(2, whole) == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,5"}]


@pytest.mark.parametrize("trainer", ["auto", "gpu"])
def test_more_runs_than_gpus_share_them(trainer, monkeypatch):
    configs = [compose([f"trainer={trainer}"])[0].config] * 9
    for named, expected in {"3": ["3", "3", "3"], "GPU-8932f9, 1": ["GPU-8932f9", "1", "GPU-8932f9"]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert [one["CUDA_VISIBLE_DEVICES"] for one in run_environments(3, configs)] == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")  # a process sees one of them
    assert [one["CUDA_VISIBLE_DEVICES"] for one in run_environments("auto", configs)] == ["MIG-a", "MIG-b"]


NVIDIA_SMI = """#!/bin/sh
echo "$SAID"; exit $ENDED"""


@pytest.mark.parametrize(
    ("named", "said", "ended", "expected"),
    [
        ("0, 2", "", 0, ["0", "2"]),
        ("0,-1,1", "", 0, ["0"]),
        ("NoDevFiles", "0", 0, []),
        ("", "0", 0, []),
        (None, "0\n1", 0, ["0", "1"]),
        (None, "No devices were found", 0, []),
        (None, "NVIDIA-SMI has failed", 9, ["0", "1", "2"]),  # then what device files say
    ],
)
def test_gpus_are_those_that_cuda_would_show(named, said, ended, expected, tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text(NVIDIA_SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    for name, value in {"PATH": str(tmp_path), "SAID": said, "ENDED": str(ended)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr("datavol.sweep.devices.glob", lambda _: ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2"])
    assert visible_gpus() == expected
