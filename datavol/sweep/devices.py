"""Divides a machine among the runs that train at once."""

import os
import subprocess
from collections.abc import Sequence
from glob import glob
from itertools import takewhile

from datavol.config.run import Config
from datavol.errors import ConfigError
from datavol.runs.provenance import cores, memory_bytes

SMALL_BATCH = (
    64 * 64 * 64
)  # pixels; threads have little to share in its steps, and two runs at once nearly double a sweep
MEMORY_OF_A_RUN = 3e9  # bytes, of small batches, with room


def run_environments(parallel: int | str, configs: Sequence[Config]) -> list[dict[str, str]]:
    """Return an environment for each of the runs that train at once.

    They get disjoint GPUs, or equal shares of the CPU's threads, by all runs of the sweep, finished ones included: the
    threads of a run show in the last digits of its results. More runs of one GPU each than there are GPUs share them.

    Args:
        parallel: How many train at once. `auto` means one per `trainer.devices` GPUs; on a CPU one per core, where all
            train in small batches, for which the memory is enough, and else one.
        configs: Of the runs.

    Raises:
        ConfigError: If there are too few GPUs.
    """
    trainer = configs[0].trainer
    gpus = [] if trainer.accelerator == "cpu" else visible_gpus()
    fixed = isinstance(trainer.devices, int)
    # CUDA shows a process one instance of a divided GPU, however many are named
    together = 1 if any(gpu.startswith("MIG-") for gpu in gpus) else max(1, len(gpus))
    devices = int(trainer.devices) if fixed else together
    if parallel == "auto":
        parallel = max(1, len(gpus) // devices) if gpus else _packed(configs) // devices
    places = max(1, min(int(parallel), len(configs)))
    if places == 1:
        return [{}]  # the whole machine
    if not gpus:
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // (places * devices)))
        return [{"OMP_NUM_THREADS": threads}] * places
    each, needed = len(gpus) // places, devices if fixed else 1  # GPUs that a run gets, and needs
    if each < needed == 1:  # small networks fill no GPU
        return [{"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} for place in range(places)]
    if each < needed:
        raise ConfigError(
            f"sweep.parallel must be at most the {len(gpus) // devices} times that {devices} of this machine's "
            f"{len(gpus)} GPUs go, got {places}; try sweep.parallel=auto"
        )
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[place * each : (place + 1) * each])} for place in range(places)]


def _packed(configs: Sequence[Config]) -> int:
    """Count the runs that should share a CPU."""
    if any(config.recipe.batch_size * config.recipe.augment.crop_size**2 > SMALL_BATCH for config in configs):
        return 1
    return max(1, min(cores(), int(memory_bytes() // MEMORY_OF_A_RUN)))


def visible_gpus() -> list[str]:
    """List the GPUs that CUDA would show, without importing torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:  # as CUDA reads it: what is neither index nor UUID ends the list (-1, SLURM's NoDevFiles)
        parts = (part.strip() for part in named.split(","))
        return list(takewhile(lambda part: part.isdigit() or part.startswith(("GPU-", "MIG-")), parts))
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return [line for line in listed.stdout.split() if line.isdigit()]  # else it says that it found none
    except (OSError, subprocess.SubprocessError):  # no driver; or a container without this command
        return [str(number) for number in range(len(glob("/dev/nvidia[0-9]*")))]
