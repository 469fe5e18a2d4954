"""Whole runs on the device: beside the CPU's, stopped and resumed, compiled, in every precision, one after another."""

import gc
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from factories.dying import die
from factories.small_runs import HANG, timeless

from datavol.data.prepare import prepare
from datavol.errors import RunError
from datavol.runs.folder import RunFolder, runs_of
from datavol.training.callbacks.monitoring import Progress
from datavol.training.trainer import train

MIXED = ["recipe.augment.mixup_alpha=1", "recipe.augment.cutmix_alpha=1", "recipe.augment.erase=0.5"]
# No batch norm, which makes a pixel's last bit a loss's second digit; no dropout, which each device draws for itself
SMOOTH = ["model=timm", "model.name=test_convnext", "recipe.dropout=0", "recipe.optimiser.name=sgd"]
SMOOTH += [
    "recipe.optimiser.lr=0.01",
    "data.image_size=32",
    "data.resize=32",
    "data.images=384",
    "recipe.batch_size=32",
]
SMOOTH += ["epochs=1", "fraction=1", *MIXED]
LOSSES = ("train/loss", "val/loss")


def on(device: str) -> list[str]:
    return [f"trainer.accelerator={device}", "trainer.devices=1", "trainer.threads=1"]


def trained(run) -> RunFolder:
    train(run, prepare(run.config))
    return RunFolder(run.folder)


def weights(folder: RunFolder) -> list[torch.Tensor]:
    return list(torch.load(folder.checkpoint("last"), weights_only=True, map_location="cpu")["state_dict"].values())


def assert_same(first: RunFolder, second: RunFolder) -> None:
    assert timeless(first.rows) == timeless(second.rows)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@contextmanager
def deterministic():
    """Algorithms with a fixed order of sums; `make test-gpu` gives cuBLAS the workspace that they need."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# Largest difference of a loss, each about 2.3, after 12 iterations
TOLERANCES = {"64": 1e-6, "32": 1e-3, "bf16-mixed": 3e-2, "16-mixed": 1e-2}


@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_run_on_the_device_is_that_on_the_cpu(precision, device, tiny, elsewhere):
    if (device, precision) == ("cpu", "16-mixed"):
        pytest.skip("half precision on a CPU is refused")
    plain = trained(tiny(*SMOOTH, *on("cpu"), "trainer.precision=64", "study=plain"))
    ours = trained(tiny(*SMOOTH, *on(device), f"trainer.precision={precision}"))
    for row, expected in zip(ours.rows, plain.rows, strict=True):
        assert {name: row[name] for name in LOSSES} == pytest.approx(
            {name: expected[name] for name in LOSSES}, abs=TOLERANCES[precision]
        )
        assert row["lr"] == expected["lr"]
    assert ours.record["sessions"][0]["devices"] == [torch.cuda.get_device_name() if device == "cuda" else "cpu"]


@pytest.mark.parametrize(
    "options",
    [
        ["trainer.compile=true"],
        ["trainer.memory_format=channels_last", "trainer.cudnn_benchmark=true"],
        ["trainer.memory_format=contiguous", "trainer.cudnn_benchmark=false"],
    ],
    ids=["compiled", "channels_last", "contiguous"],
)
def test_no_option_of_a_step_changes_more_than_rounding(options, device, tiny, elsewhere):
    plain = trained(tiny(*SMOOTH, *on(device), "trainer.precision=32", "study=plain"))
    other = trained(tiny(*SMOOTH, *on(device), "trainer.precision=32", *options))
    for name in LOSSES:
        assert other.rows[0][name] == pytest.approx(plain.rows[0][name], abs=1e-3)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_a_stopped_run_goes_on_bit_for_bit_with_deterministic_algorithms(precision, device, little, elsewhere):
    options = [*MIXED, *on(device), f"trainer.precision={precision}", "check_every=5", "trainer.cudnn_benchmark=false"]
    options += ["checkpoint.every_minutes=1e-9"]
    with deterministic():
        whole = trained(little("study=whole", *options))
        run = little("study=stopped", *options)
        die(lambda: trained(run), iteration=22)
        assert_same(whole, trained(run))


def held(device: str) -> int:
    """Bytes of all tensors on the device."""
    gc.collect()
    if device == "cuda":
        return torch.cuda.memory_allocated()
    tensors = [one for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter)]
    return sum(one.untyped_storage().nbytes() for one in tensors)


def test_a_run_leaves_no_memory_behind_whether_it_ends_or_fails(device, little, elsewhere, monkeypatch):
    trained(little(*on(device), "study=warm", "epochs=1"))  # cuBLAS keeps a workspace from its first call on
    before = held(device)
    trained(little(*on(device), "study=ends", "epochs=1"))
    assert held(device) - before < 100_000

    def failing(self, *_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Progress, "on_train_batch_end", failing)
    with pytest.raises(RunError, match="must leave room") as kept:
        trained(little(*on(device), "study=fails", "epochs=1"))
    # An error that is kept, as a notebook keeps it, holds the network, which Lightning has moved to the host
    assert held(device) - before < (100_000 if device == "cuda" else 3_000_000)
    assert kept.value.__cause__ is not None


@pytest.mark.gpu
def test_a_batch_that_is_too_large_is_one_line(tiny, elsewhere):
    total = torch.cuda.get_device_properties(0).total_memory
    run = tiny(*on("cuda"), "data.image_size=224", "data.resize=224", "recipe.batch_size=1024", "epochs=1")
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2e9 / total))
    try:
        with pytest.raises(RunError, match=r"^recipe.batch_size must leave room .*; try recipe.batch_size=512"):
            trained(run)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@pytest.mark.gpu
def test_the_host_does_not_wait_for_the_gpu_between_iterations(little, elsewhere):
    def waits(size: int) -> int:
        run = little(*on("cuda"), *MIXED, "epochs=1", f"recipe.batch_size={size}", f"study=of{size}")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")  # a second warning of a line as well
            torch.cuda.set_sync_debug_mode("warn")
            try:
                trained(run)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(one.message) for one in said)

    waits(120)  # what is searched and allocated once
    few, many = waits(240), waits(60)  # 5 and 23 iterations, and 2 and 6 batches of the evaluation
    assert few == many


def test_two_runs_at_once_share_the_device(device, command, elsewhere):
    options = ["data.image_size=16", "data.resize=16", "recipe.batch_size=128", "logger=csv", "epochs=1", *on(device)]
    ended = command("run", "-m", *options, "sweep.parallel=2", "fraction=0.1,0.25", "study=pair")
    assert ended.returncode == 0, ended.stderr
    assert [folder.state for folder in runs_of(elsewhere / "studies/pair")] == ["finished"] * 2


def test_one_rank_of_a_process_group_is_a_run_without(device, command, elsewhere):
    """NCCL on a GPU, gloo on a CPU."""
    options = ["logger=csv", *SMOOTH, *on(device), "trainer.precision=64"]
    folders = []
    for strategy in ("auto", "ddp"):
        ended = command("run", *options, f"trainer.strategy={strategy}", f"study={strategy}")
        assert ended.returncode == 0, ended.stderr
        folders.append(runs_of(elsewhere / "studies" / strategy)[0])
    (alone,), (group,) = (folder.rows for folder in folders)
    assert group["train/loss"] == pytest.approx(alone["train/loss"], abs=1e-9)


# Two "nodes" of one GPU each, that are the same GPU: NCCL refuses that, gloo does not
TWO_RANKS = """
import sys
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from datavol.config.compose import compose
from datavol.sweep.job import train_run
StrategyRegistry.register("ddp_gloo", DDPStrategy, process_group_backend="gloo")
train_run(compose(sys.argv[1:])[0])
"""


@pytest.fixture
def two_ranks(elsewhere: Path) -> Callable[..., RunFolder]:
    """Trains a run by two processes on one device."""

    def run(*overrides: str) -> RunFolder:
        with socket.socket() as place:
            place.bind(("127.0.0.1", 0))
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(place.getsockname()[1])}
        line = [sys.executable, "-c", TWO_RANKS, *overrides, "trainer.num_nodes=2", "trainer.strategy=ddp_gloo"]
        ranks = [
            subprocess.Popen(
                line, env=os.environ | address | {"NODE_RANK": str(rank)}, stderr=subprocess.PIPE, text=True
            )
            for rank in range(2)
        ]
        for rank in ranks:
            _, said = rank.communicate(timeout=HANG)
            assert rank.returncode == 0, said
        return runs_of(elsewhere / "studies/two")[0]

    return run


def test_two_ranks_on_one_device_train_what_one_does(device, two_ranks, tiny, elsewhere):
    options = [one for one in [*SMOOTH, *on(device), "trainer.precision=64"] if one not in MIXED]
    together = two_ranks("logger=csv", *options, "study=two")
    alone = trained(tiny(*options, "study=one"))
    assert together.record["world_size"] == 2
    for name in LOSSES:
        assert together.rows[0][name] == pytest.approx(alone.rows[0][name], abs=1e-6)
