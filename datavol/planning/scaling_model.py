"""Images per second of many devices, predicted from one: what each resource allows, and which runs out first.

A step takes what a device needs for its share of the global batch, plus the part of the gradients' all-reduce that the
backward pass does not hide. Loading runs beside it in worker processes, so that the slowest of step, decoding and disk
sets the pace. Left out: waiting for a rank that is late, the broadcast of batch norm's statistics, the cores that the
ranks themselves take from the workers, and that a worker does not decode while it waits for the disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from datavol.config import check_batch_shares
from datavol.data.workers import loading_workers

BACKWARD_SHARE = 2 / 3  # of a step's computing: a layer's backward pass is two products of its forward pass's size
BUCKET_BYTES = 25 * 2**20  # DistributedDataParallel's bucket_cap_mb, which Lightning leaves at its default


@dataclass(frozen=True)
class DeviceSpeed:
    """One device and the data, each alone.

    Attributes:
        step_seconds: The part of a step's computing that is the same for any batch.
        image_seconds: What each image adds to it.
        decode_per_core: Images per second that one core loads and augments; infinite where it is not known.
        bytes_per_image: Read from the disk; 0 for images in memory.
        gradient_bytes: What the ranks exchange after each step.
    """

    step_seconds: float
    image_seconds: float
    decode_per_core: float = math.inf
    bytes_per_image: float = 0.0
    gradient_bytes: float = 0.0


@dataclass(frozen=True)
class Link:
    """A connection between neighbours in the ring: bytes per second each way, and seconds until the first arrives."""

    bytes_per_second: float
    latency_seconds: float = 0.0


@dataclass(frozen=True)
class Node:
    """A machine; all are alike.

    Attributes:
        devices: How many it has.
        cores: Its CPU cores, which load images.
        disk_bytes_per_second: What it reads; of a disk that nodes share, its part.
        link: Between its devices.
        network: Between nodes.
        workers: Loading processes of each device; None for datavol's choice, 0 to load within the step.
    """

    devices: int
    cores: int
    disk_bytes_per_second: float
    link: Link
    network: Link
    workers: int | None = None


@dataclass(frozen=True)
class Prediction:
    """The pace of some devices.

    Attributes:
        devices: How many.
        images_per_second: All together.
        efficiency: That, as a share of so many times the pace of one device with the whole batch.
        limits: Images per second that each resource would allow if the others took no time.
        limiting: The resource that sets the pace.
    """

    devices: int
    images_per_second: float
    efficiency: float
    limits: dict[str, float]
    limiting: str


def predict_speed(measured: DeviceSpeed, node: Node, batch_size: int, devices: int) -> Prediction:
    """Predict the pace of `devices` devices that share global batches, filled node by node.

    Raises:
        ConfigError: If the batch does not divide evenly.
    """
    check_batch_shares(batch_size, devices)
    share, here = batch_size // devices, min(devices, node.devices)
    workers = loading_workers(node.cores, here) if node.workers is None else node.workers
    compute = measured.step_seconds + share * measured.image_seconds
    link = node.link if devices <= node.devices else node.network
    limits = {
        "compute": batch_size / compute,
        "all-reduce": _per(batch_size, _all_reduce_alone(measured.gradient_bytes, devices, link)),
        "decode": devices / here * min(max(workers, 1) * here, node.cores) * measured.decode_per_core,
        "disk": _per(devices / here * node.disk_bytes_per_second, measured.bytes_per_image),
    }
    step = compute + exposed_seconds(measured.gradient_bytes, devices, link, BACKWARD_SHARE * compute)
    beside, within = ["decode", "disk"], ["compute", "all-reduce"]
    if workers == 0:  # every batch is loaded before its step
        step += batch_size / limits["decode"]
        beside, within = ["disk"], [*within, "decode"]
    slowest = min(beside, key=limits.__getitem__)
    if limits[slowest] < batch_size / step:
        pace, limiting = limits[slowest], slowest
    else:
        pace, limiting = batch_size / step, min(within, key=limits.__getitem__)
    alone = pace if devices == 1 else predict_speed(measured, node, batch_size, 1).images_per_second
    return Prediction(devices, pace, pace / (devices * alone), limits, limiting)


def all_reduce_seconds(size: float, devices: int, link: Link) -> float:
    """A ring all-reduce of `size` bytes: 2 (n - 1) rounds in which every device passes on an n-th.

    Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009. Over several nodes
    the network between them is the slowest link of the ring, and sets its pace. `link` takes the busbw of nccl-tests.
    """
    rounds = 2 * (devices - 1)
    return rounds * (size / devices / link.bytes_per_second + link.latency_seconds)


def exposed_seconds(size: float, devices: int, link: Link, backward_seconds: float) -> float:
    """How long a step waits for the all-reduce of `size` bytes after its backward pass.

    DistributedDataParallel exchanges gradients in buckets as the backward pass completes them, one after the other (Li
    et al., *PyTorch Distributed*, 2020). Here all are equal, are ready at even intervals, and exchanging them slows
    nothing down; the last is ready when the backward pass ends, so that it is never hidden.
    """
    buckets = _buckets(size)
    exchange = all_reduce_seconds(size / buckets, devices, link)
    return exchange + (buckets - 1) * max(0.0, exchange - backward_seconds / buckets)


def step_line(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float]:
    """The seconds of a step that do not depend on its images, and those per image, from (images, seconds) of two steps.

    Neither is negative: noise that would make one so is the other's. Equal steps tell seconds per image alone.

    >>> step_line((8, 3.0), (32, 6.0))
    (2.0, 0.125)
    """
    (few, short), (many, long) = small, large
    if few == many:
        return 0.0, long / many
    per_image = min(max(0.0, (long - short) / (many - few)), long / many)
    return long - per_image * many, per_image


def _all_reduce_alone(size: float, devices: int, link: Link) -> float:
    return _buckets(size) * all_reduce_seconds(size / _buckets(size), devices, link)


def _buckets(size: float) -> int:
    return max(1, math.ceil(size / BUCKET_BYTES))


def _per(amount: float, cost: float) -> float:
    return amount / cost if cost else math.inf
