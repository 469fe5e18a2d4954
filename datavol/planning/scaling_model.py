"""Models the training speed of many devices from one device's, by resource.

A step takes what a device needs for its share of the global batch, plus the part of the gradients' all-reduce that the
backward pass does not hide. Loading runs beside it in worker processes, so that the slowest of step, decoding and disk
sets the pace. Left out: waiting for a rank that is late, the broadcast of batch norm's statistics, the cores that the
ranks themselves take from the workers, and that a worker does not decode while it waits for the disk.
"""

import math
from dataclasses import dataclass

from datavol.config.run import check_batch_shares
from datavol.data.workers import loading_workers

BACKWARD_SHARE = 2 / 3  # of a step's computing: a layer's backward pass is two products of its forward pass's size
BUCKET_BYTES = 25 * 2**20  # DistributedDataParallel's bucket_cap_mb, which Lightning leaves at its default


@dataclass(frozen=True)
class DeviceSpeed:
    """Holds the speed of one device and of its data, each alone."""

    step_seconds: float  # part of a step's computing that is the same for any batch
    image_seconds: float  # part that each image adds
    decode_per_core: float = math.inf  # images per second that one core loads and augments; infinite if not known
    bytes_per_image: float = 0.0  # read from the disk; 0 for images in memory
    gradient_bytes: float = 0.0  # exchanged by the ranks in each step


@dataclass(frozen=True)
class Link:
    """Describes a connection between neighbours in the ring."""

    bytes_per_second: float  # each way
    latency_seconds: float = 0.0  # until the first byte arrives


@dataclass(frozen=True)
class Node:
    """Describes a machine; all are alike."""

    devices: int
    cores: int  # of the CPU, which load images
    disk_bytes_per_second: float  # of a disk that nodes share, one node's part
    link: Link  # between its devices
    network: Link  # between nodes
    workers: int | None = None  # loading processes of each device; None for datavol's choice, 0 to load in the step


@dataclass(frozen=True)
class Prediction:
    """Holds the predicted speed of `devices` devices."""

    devices: int
    images_per_second: float  # all together
    efficiency: float  # that, divided by `devices` times the speed of one device with the whole batch
    limits: dict[str, float]  # images per second that each resource would allow if the others took no time
    limiting: str  # the resource that sets the pace


def predict_speed(measured: DeviceSpeed, node: Node, batch_size: int, devices: int) -> Prediction:
    """Predict the speed of devices that share global batches, node by node.

    Raises:
        ConfigError: If the batch does not divide evenly.
    """
    check_batch_shares(batch_size, devices)
    share, here = batch_size // devices, min(devices, node.devices)  # images of a device; devices in use of a node
    workers = loading_workers(node.cores, here) if node.workers is None else node.workers
    compute = measured.step_seconds + share * measured.image_seconds
    link = node.link if devices <= node.devices else node.network  # a ring is as fast as its slowest link
    buckets = max(1, math.ceil(measured.gradient_bytes / BUCKET_BYTES))
    exchange = all_reduce_seconds(measured.gradient_bytes / buckets, devices, link)  # of one bucket
    limits = {
        "compute": batch_size / compute,
        "all-reduce": _per(batch_size, buckets * exchange),
        # devices / here nodes, each of which loads on as many cores as it has processes, or on all
        "decode": devices / here * min(max(workers, 1) * here, node.cores) * measured.decode_per_core,
        "disk": _per(devices / here * node.disk_bytes_per_second, measured.bytes_per_image),
    }
    step = compute + exposed_seconds(buckets, exchange, BACKWARD_SHARE * compute)
    # times `within` a step add up; what runs `beside` it does so at the same time, and the slowest sets the pace
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
    """Compute the time of a ring all-reduce of `size` bytes.

    Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009. Over several nodes
    the network between them is the slowest link of the ring, and sets its pace. `link` takes the busbw of nccl-tests.
    """
    # The data are n chunks, n the number of devices, and in every round each device passes a chunk on to its neighbour:
    # after n - 1 rounds each chunk is summed up on one device, after another n - 1 all devices have all sums.
    rounds = 2 * (devices - 1)
    return rounds * (size / devices / link.bytes_per_second + link.latency_seconds)


def exposed_seconds(buckets: int, exchange_seconds: float, backward_seconds: float) -> float:
    """Compute how long a step waits for all-reduces after its backward pass.

    DistributedDataParallel exchanges gradients in buckets as the backward pass completes them, one after the other (Li
    et al., *PyTorch Distributed*, 2020). Here all are equal, are ready at even intervals, and exchanging them slows
    nothing down.
    """
    # The last bucket is ready when the backward pass ends, so its exchange is never hidden. The others hide in the
    # interval until the next bucket is ready; where an exchange takes longer, the rest delays all that follow.
    return exchange_seconds + (buckets - 1) * max(0.0, exchange_seconds - backward_seconds / buckets)


def step_line(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float]:
    """Fit fixed seconds and seconds per image to two steps.

    A step is (images, seconds). Neither result is negative: noise that would make one so is the other's. Equal steps
    give seconds per image alone.

    >>> step_line((8, 3.0), (32, 6.0))
    (2.0, 0.125)
    """
    (few, short), (many, long) = small, large
    if few == many:
        return 0.0, long / many
    per_image = min(max(0.0, (long - short) / (many - few)), long / many)  # the slope; at most `long` in all
    return long - per_image * many, per_image


def _per(amount: float, cost: float) -> float:
    return amount / cost if cost else math.inf
