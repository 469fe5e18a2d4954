"""Divides a machine among the runs that train at once."""

import os
import subprocess

from datavol.config.trainer import TrainerConfig
from datavol.errors import ConfigError
from datavol.runs.provenance import cores


def run_environments(parallel: int | str, trainer: TrainerConfig, runs: int) -> list[dict[str, str]]:
    """Return an environment for each of the runs that train at once.

    They get disjoint GPUs, or equal shares of the CPU's threads. `parallel` is how many train at once; `auto` means one
    per `trainer.devices` GPUs, or one per core.

    Raises:
        ConfigError: If there are too few GPUs.
    """
    gpus = [] if trainer.accelerator == "cpu" else visible_gpus()
    devices = trainer.devices if isinstance(trainer.devices, int) else 1
    if parallel == "auto":
        parallel = max(1, len(gpus) // devices) if gpus else cores()
    places = max(1, min(int(parallel), runs))
    if places == 1:
        return [{}]  # the whole machine
    if not gpus:
        return [{"OMP_NUM_THREADS": str(max(1, cores() // (places * devices)))}] * places
    each = len(gpus) // places  # GPUs of a run
    if each < devices:
        raise ConfigError(
            f"sweep.parallel must be at most the {len(gpus) // devices} times that {devices} of this machine's "
            f"{len(gpus)} GPUs go, got {places}; try sweep.parallel=auto"
        )
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[place * each : (place + 1) * each])} for place in range(places)]


def visible_gpus() -> list[str]:
    """List the GPUs that CUDA would show, without importing torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu not in ("", "-1")]  # indices or UUIDs; -1 hides all GPUs
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []  # no driver, no GPU
    return listed.stdout.split()
