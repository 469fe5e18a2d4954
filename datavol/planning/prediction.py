"""Predicts the speed of any number of devices from one device."""

import math
from dataclasses import dataclass

import numpy as np

from datavol.config.data import FilesConfig
from datavol.config.plan import NodeConfig
from datavol.config.run import Config, check_batch_shares
from datavol.config.trainer import TrainerConfig
from datavol.data.prepare import Prepared
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.split import Split
from datavol.errors import ConfigError
from datavol.planning.network_sizes import count_parameters
from datavol.planning.scaling_model import DeviceSpeed, Link, Node, Prediction, predict_speed, step_line
from datavol.runs.provenance import cores
from datavol.sweep.devices import visible_gpus

LINK_LATENCY, NETWORK_LATENCY = 10e-6, 50e-6  # assumed seconds of a ring's round, inside a machine and over Ethernet
COUNTS = (1, 2, 4, 8, 16, 32, 64)
FILES_WEIGHED = 1000

Steps = list[tuple[int, float]]
"""(images, seconds) of steps of one device."""


@dataclass(frozen=True)
class Scaling:
    """Holds the predictions for a run on several numbers of devices."""

    title: str
    planned: Prediction  # for the trainer's devices
    others: list[Prediction]  # for 1, 2, 4 ... 64 devices, as far as a batch divides evenly
    assumed: str  # a sentence for people


def is_predicted(config: Config) -> bool:
    """Return whether the speed is predicted rather than timed on all devices."""
    trainer = config.trainer
    if config.plan.device_images_per_second is not None or trainer.num_nodes > 1:
        return True
    here = cores() if on_cpu(trainer) else len(visible_gpus())
    return isinstance(trainer.devices, int) and trainer.devices > max(1, here)


def given_steps(config: Config) -> Steps | None:
    """Convert `plan.device_images_per_second` to a step; None where not given."""
    pace = config.plan.device_images_per_second
    return None if pace is None else [(_share(config), _share(config) / pace)]


def one_device(config: Config) -> Config:
    """Reduce a run to one device with its share of a batch.

    Raises:
        ConfigError: If that device is a GPU and none is here, or the batch does not divide evenly.
    """
    trainer, threads = config.trainer, config.trainer.threads
    if trainer.accelerator in ("gpu", "cuda") and not visible_gpus():
        raise ConfigError(
            "plan.timing must have a GPU here to predict several from, got none; "
            "try plan.device_images_per_second=400 (what one does), or plan.timing=false"
        )
    if on_cpu(trainer) and threads == "auto":
        threads = max(1, cores() // _per_node(trainer))  # what Lightning leaves each rank
    alone = trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto", "threads": threads})
    micro = _share(config) // config.recipe.accumulate  # what the device holds at once
    return with_batch(config.model_copy(update={"trainer": alone}), micro)


def with_batch(config: Config, batch_size: int) -> Config:
    """Replace the batch size of a run, in one part."""
    changed = {"batch_size": batch_size, "accumulate": 1}
    return config.model_copy(update={"recipe": config.recipe.model_copy(update=changed)})


def scale(config: Config, prepared: Prepared, steps: Steps, decode_per_core: float | None) -> Scaling:
    """Predict the speed of the trainer's and other numbers of devices.

    Args:
        config: The run.
        prepared: Its data.
        steps: Of one device; two at different batch sizes separate the fixed part of a step from that per image.
        decode_per_core: Images per second that one core loads, or None if not known.

    Raises:
        ConfigError: If the batch does not divide evenly among the devices, or a file is missing.
    """
    size = 1000 * config.plan.image_kb if config.plan.image_kb else mean_image_bytes(prepared.source.train)
    measured = DeviceSpeed(
        *step_line(min(steps), max(steps)),
        decode_per_core or math.inf,
        size or 0.0,
        4.0 * count_parameters(config.model, len(prepared.source.classes)),  # single precision, under autocast as well
    )
    node = _node(config)
    batch, count = config.recipe.batch_size, device_count(config.trainer)
    unknown = ["plan.decode_per_core"] if decode_per_core is None else []
    unknown += ["plan.image_kb"] if size is None and isinstance(config.data, FilesConfig) else []
    return Scaling(
        f"{config.model.name} on {count} device{'s' * (count > 1)}, {node.devices} per node",
        predict_speed(measured, node, batch, count),
        [predict_speed(measured, node, batch, other) for other in COUNTS if batch % other == 0],
        _assumed(config.plan.node, node, unknown),
    )


def _node(config: Config) -> Node:
    node, workers = config.plan.node, config.data.workers
    # No loading processes (0) for images in memory, as in training, nor beside a CPU's ranks, whose cores they would
    # share; None for as many as training starts
    within = on_cpu(config.trainer) or (workers == "auto" and not isinstance(config.data, FilesConfig))
    return Node(
        _per_node(config.trainer),
        cores() if node.cores == "auto" else node.cores,
        node.disk_gb_s * 1e9,
        Link(node.link_gb_s * 1e9, LINK_LATENCY),
        Link(node.network_gb_s * 1e9, NETWORK_LATENCY),
        0 if within else None if workers == "auto" else workers,
    )


def _assumed(given: NodeConfig, node: Node, unknown: list[str]) -> str:
    text = (
        f"assumed of a node (plan.node): {_cores_text(given, node)}, {given.disk_gb_s:g} GB/s from the disk, "
        f"{given.link_gb_s:g} GB/s between devices, {given.network_gb_s:g} GB/s between nodes"
    )
    resources = {"plan.decode_per_core": "decode", "plan.image_kb": "disk"}
    for key in unknown:
        text += f"; {resources[key]} is not known and left out (try {key}=...)"
    return text


def _cores_text(given: NodeConfig, node: Node) -> str:
    if given.cores == "auto":
        return f"{node.cores} cores as this machine has, which yours may not have (try plan.node.cores=64)"
    return f"{node.cores} cores"


def mean_image_bytes(split: Split) -> float | None:
    """Measure files' mean size; None for images in memory."""
    if isinstance(split, ArraySplit):
        return None
    # evenly spread, since files lie in the order of classes
    positions = np.linspace(0, len(split) - 1, min(len(split), FILES_WEIGHED)).astype(int)
    sizes = []
    for position in positions.tolist():
        if (stamp := split.stamp(position)) is None:
            raise ConfigError(f"an image must be readable, got {split.path(position)!r}; check data.root")
        sizes.append(stamp[0])
    return float(np.mean(sizes))


def on_cpu(trainer: TrainerConfig) -> bool:
    """Return whether a trainer has no GPU, by what this machine shows."""
    return trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not visible_gpus())


def _per_node(trainer: TrainerConfig) -> int:
    return trainer.devices if isinstance(trainer.devices, int) else max(1, len(visible_gpus()))


def device_count(trainer: TrainerConfig) -> int:
    """Count the devices of one run, on all its nodes."""
    return _per_node(trainer) * trainer.num_nodes


def _share(config: Config) -> int:
    check_batch_shares(config.recipe.batch_size, device_count(config.trainer), config.recipe.accumulate)
    return config.recipe.batch_size // device_count(config.trainer)
