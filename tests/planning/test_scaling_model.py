"""The closed form against a simulation, event by event, and against a ring of arrays."""

import importlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data import datamodule
from datavol.errors import ConfigError
from datavol.planning.scaling_model import (
    BUCKET_BYTES,
    DeviceSpeed,
    Link,
    Node,
    all_reduce_seconds,
    loading_workers,
    predict_speed,
    step_line,
)

MEASURED = DeviceSpeed(0.01, image_seconds=0.002, decode_per_core=500, bytes_per_image=1e5, gradient_bytes=1e8)
NODE = Node(devices=4, cores=32, disk_bytes_per_second=2e9, link=Link(1e10, 1e-5), network=Link(1.1e9, 5e-5))


def simulated(measured: DeviceSpeed, node: Node, batch_size: int, devices: int, steps: int = 400) -> float:
    """Images per second of ranks that load, compute and pass gradients on, one event after another."""
    share, here = batch_size // devices, min(devices, node.devices)
    workers = max(1, min(8, node.cores // here)) if node.workers is None else node.workers
    load = share / measured.decode_per_core * max(1.0, max(workers, 1) * here / node.cores)
    read = share * measured.bytes_per_image / node.disk_bytes_per_second
    forward = (measured.step_seconds + share * measured.image_seconds) / 3
    buckets = max(1, math.ceil(measured.gradient_bytes / BUCKET_BYTES))
    link = node.link if devices <= node.devices else node.network
    disk = [0.0] * math.ceil(devices / node.devices)
    free = [[0.0] * max(workers, 1) for _ in range(devices)]
    taken: list[list[float]] = [[] for _ in range(devices)]  # when a rank took each of its batches
    ends = [0.0]

    def loaded(rank: int, step: int, earliest: float) -> float:
        place = rank // node.devices
        worker = step % max(workers, 1)
        begins = max(free[rank][worker], disk[place], earliest)
        disk[place] = begins + read
        free[rank][worker] = begins + read + load
        return free[rank][worker]

    for step in range(steps):
        ready = []
        for rank in range(devices):
            ahead = step - 2 * workers  # a worker has two batches waiting at most
            earliest = ends[-1] if workers == 0 else taken[rank][ahead] if ahead >= 0 else 0.0
            begins = max(ends[-1], loaded(rank, step, earliest))
            taken[rank].append(begins)
            ready.append([begins + forward + 2 * forward * (k + 1) / buckets for k in range(buckets)])
        wire = 0.0
        for k in range(buckets):
            wire = max(wire, max(times[k] for times in ready))
            for _ in range(2 * (devices - 1)):
                wire += link.latency_seconds + measured.gradient_bytes / buckets / devices / link.bytes_per_second
        ends.append(max(wire, max(times[-1] for times in ready)))
    half = steps // 2
    return batch_size * (steps - half) / (ends[-1] - ends[half])


IN_MEMORY = replace(MEASURED, bytes_per_image=0)
CASES = {
    "compute": (IN_MEMORY, NODE),
    "one bucket, which nothing hides": (replace(IN_MEMORY, gradient_bytes=1.4e7), NODE),
    "exchange longer than backward": (replace(IN_MEMORY, image_seconds=1e-4), replace(NODE, network=Link(3e8, 1e-3))),
    "decode": (replace(IN_MEMORY, decode_per_core=60), NODE),
    "fewer cores than ranks": (replace(IN_MEMORY, decode_per_core=400), replace(NODE, cores=3)),
    "files": (MEASURED, NODE),
    "disk": (MEASURED, replace(NODE, disk_bytes_per_second=5e7)),
    "loading within the step": (IN_MEMORY, replace(NODE, workers=0)),
}


@pytest.mark.parametrize("devices", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("case", CASES)
def test_the_closed_form_is_what_a_simulation_finds(case, devices):
    measured, node = CASES[case]
    tolerance = 0.005 if measured.bytes_per_image == 0 else 0.03  # a worker that waits for the disk does not decode
    pace = simulated(measured, node, 256, devices)
    assert predict_speed(measured, node, 256, devices).images_per_second == pytest.approx(pace, rel=tolerance)


@pytest.mark.parametrize("devices", [2, 3, 4, 7])
def test_a_ring_that_passes_arrays_on_takes_as_long_and_ends_with_the_sum(devices):
    link, rng = Link(1e9, 1e-4), np.random.default_rng(0)
    chunks = [[rng.normal(size=60) for _ in range(devices)] for _ in range(devices)]
    whole = np.sum(chunks, axis=0)
    seconds = 0.0
    for turn in range(2 * (devices - 1)):
        passed = [(rank, (rank - turn) % devices) for rank in range(devices)]
        sent = {(rank + 1) % devices: (k, chunks[rank][k].copy()) for rank, k in passed}
        for rank, (k, content) in sent.items():
            chunks[rank][k] = chunks[rank][k] + content if turn < devices - 1 else content
        seconds += max(link.latency_seconds + content.nbytes / link.bytes_per_second for _, content in sent.values())
    assert all(np.allclose(chunks[rank], whole) for rank in range(devices))
    assert all_reduce_seconds(8 * 60 * devices, devices, link) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("measured", "node", "limiting"),
    [
        (MEASURED, replace(NODE, network=Link(1e11)), "compute"),
        (MEASURED, replace(NODE, network=Link(1e8)), "all-reduce"),
        (replace(MEASURED, decode_per_core=10), NODE, "decode"),
        (MEASURED, replace(NODE, disk_bytes_per_second=1e7), "disk"),
        (replace(MEASURED, decode_per_core=10), replace(NODE, workers=0), "decode"),
    ],
)
def test_the_scarce_resource_is_named_and_more_of_it_helps(measured, node, limiting):
    prediction = predict_speed(measured, node, 256, 8)
    assert prediction.limiting == limiting
    assert min(prediction.limits, key=prediction.limits.get) == limiting
    more = {
        "compute": (replace(measured, step_seconds=0.005, image_seconds=0.001), node),
        "all-reduce": (measured, replace(node, network=Link(2 * node.network.bytes_per_second))),
        "decode": (replace(measured, decode_per_core=2 * measured.decode_per_core), node),
        "disk": (measured, replace(node, disk_bytes_per_second=2e7)),
    }
    faster = {name: predict_speed(*changed, 256, 8).images_per_second for name, changed in more.items()}
    assert max(faster, key=faster.get) == limiting
    assert faster[limiting] > 1.2 * prediction.images_per_second


positive = st.floats(1e-4, 1e4)


@given(
    seconds=st.tuples(positive, positive),
    rates=st.tuples(positive, positive, positive),
    sizes=st.tuples(st.floats(0, 1e4), st.floats(1, 1e9)),
    node=st.tuples(st.integers(1, 8), st.integers(1, 64), st.sampled_from([None, 0, 1, 5])),
    devices=st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
)
def test_more_of_anything_never_slows_down(seconds, rates, sizes, node, devices):
    measured = DeviceSpeed(*seconds, rates[0], *sizes)
    machine = Node(node[0], node[1], 1e3 * rates[1], Link(1e6 * rates[2], 1e-5), Link(1e5 * rates[2], 1e-4), node[2])
    found = predict_speed(measured, machine, 64, devices)
    pace = found.images_per_second * (1 - 1e-9)
    assert 0 < pace <= min(found.limits.values())
    assert 0 < found.efficiency <= 1 + 1e-9
    better = [
        (replace(measured, decode_per_core=2 * rates[0]), machine),
        (replace(measured, image_seconds=seconds[1] / 2), machine),
        (replace(measured, gradient_bytes=sizes[1] / 2), machine),
        (measured, replace(machine, disk_bytes_per_second=2e3 * rates[1])),
        (measured, replace(machine, network=machine.link)),
    ]
    for changed in better:
        assert predict_speed(*changed, 64, devices).images_per_second >= pace


def test_one_device_exchanges_nothing_and_is_all_of_itself():
    prediction = predict_speed(MEASURED, NODE, 256, 1)
    assert prediction.limits["all-reduce"] == math.inf
    assert prediction.efficiency == 1
    assert prediction.images_per_second == pytest.approx(256 / (0.01 + 256 * 0.002))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match=r"recipe\.batch_size must divide evenly among 3 devices, got 256"):
        predict_speed(MEASURED, NODE, 256, 3)


def test_a_step_is_a_line_in_its_images():
    slope, intercept = np.polyfit([8, 32], [0.05, 0.11], 1)
    assert step_line((8, 0.05), (32, 0.11)) == pytest.approx((intercept, slope))
    assert step_line((8, 0.05), (32, 0.04)) == pytest.approx((0.04, 0))  # a large step that was faster: noise
    assert step_line((8, 0.01), (32, 0.08)) == pytest.approx((0, 0.08 / 32))  # no fixed part below 0
    assert step_line((32, 0.08), (32, 0.08)) == pytest.approx((0, 0.08 / 32))


@pytest.mark.parametrize(("count", "devices", "expected"), [(1, 4, 1), (16, 1, 8), (16, 4, 4), (6, 4, 1), (128, 8, 8)])
def test_the_loading_processes_are_those_of_training(monkeypatch, count, devices, expected):
    monkeypatch.setattr(datamodule, "cores", lambda: count)
    trainer, source = SimpleNamespace(num_devices=devices), SimpleNamespace(train=None)
    module = SimpleNamespace(workers="auto", source=source, trainer=trainer)
    assert loading_workers(count, devices) == datamodule.SubsetDataModule._workers(module, None) == expected


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_real_run_on_gloo_ranks_is_near_its_prediction(ranks, elsewhere, monkeypatch):
    """Loosely: other work on the machine goes into either figure. benchmarks/scaling.py measures with repeats."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    scaling = importlib.import_module("benchmarks.scaling")
    options = [*scaling.SHARED, "recipe.batch_size=128", "epochs=3", f"trainer.devices={ranks}"]
    check = scaling.check(options, ranks)
    assert 0.2 < check.predicted.images_per_second / check.measured < 5
