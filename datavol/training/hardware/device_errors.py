"""Says in one line why a device is not there, or failed."""

import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob

import torch

from datavol.config.recipe import RecipeConfig
from datavol.errors import RunError, flat

DEVICE_FILES = "/dev/nvidia[0-9]*"  # one per NVIDIA GPU that this machine or container has
# How torch, cuDNN, cuBLAS and NCCL begin their messages; most come as plain RuntimeErrors
OF_A_GPU = ("CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS", "CUDNN_STATUS", "NCCL", "HIP error")
OF_MEMORY = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def why_no_gpu() -> str | None:
    """Say why torch sees no GPU; None if it sees one."""
    with warnings.catch_warnings(record=True) as said:  # of a driver that is too old, or broken
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built without CUDA; https://pytorch.org/get-started/locally has others"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={hidden} shows torch none; try unset CUDA_VISIBLE_DEVICES"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return flat(error)
    return flat(said[0].message) if said else "torch counts 0 of them"


def unused_gpu() -> str | None:
    """Say why torch sees no GPU on a machine that has one.

    None if it has none, or `CUDA_VISIBLE_DEVICES` chooses among them.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ or not glob(DEVICE_FILES):
        return None
    return why_no_gpu()


@contextmanager
def device_errors(device: torch.device, ranks: int, recipe: RecipeConfig) -> Iterator[None]:
    """Turn a device's errors into one line.

    Raises:
        RunError: If the memory was too small, the device or its libraries failed, or a network does not compile.
    """
    try:
        yield
    except Exception as error:
        line = device_line(error, device, ranks, recipe)
        if line is None:
            raise
        # The frames of the failed step hold its tensors as long as somebody holds the error: a notebook does
        traceback.clear_frames(error.__traceback__)
        raise RunError(line) from error


def device_line(error: Exception, device: torch.device, ranks: int, recipe: RecipeConfig) -> str | None:
    """Describe an error of a device or of compilation; None for others."""
    text = flat(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _has(error, OF_MEMORY):
        return _memory_line(text, device, ranks, recipe)
    if "TorchDynamoException" in (kind.__name__ for kind in type(error).__mro__):  # importing it takes a second
        return f"trainer.compile must be possible for this network, got {text[:160]}; try trainer.compile=false"
    if isinstance(error, (torch.AcceleratorError, torch.distributed.DistBackendError)) or _has(error, OF_A_GPU):
        how = "NCCL_DEBUG=INFO" if "NCCL" in text else "CUDA_LAUNCH_BLOCKING=1"
        return (
            f"{_name(device)} must work until the run ends, got {text[:160]}; what was kept stays: try the same "
            f"command again, with {how} in front if it fails again"
        )
    return None


def _has(error: Exception, parts: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(part in str(error) for part in parts)


def _memory_line(text: str, device: torch.device, ranks: int, recipe: RecipeConfig) -> str:
    share = recipe.batch_size // ranks // recipe.accumulate
    if share > 1:
        remedies = [f"recipe.batch_size={ranks * recipe.accumulate * (share // 2)}"]
        remedies += [f"recipe.accumulate={2 * recipe.accumulate}"] if share % 2 == 0 else []
    else:
        remedies = [f"data.image_size={max(8, recipe.augment.crop_size // 2)}"]
    more = torch.cuda.device_count() if device.type == "cuda" else ranks
    if more > ranks and recipe.batch_size % more == 0:
        remedies.append(f"trainer.devices={more}")
    return (
        f"recipe.batch_size must leave room in the memory of {_name(device)}, got {share} images of it at once and "
        f"{text[:160]}; try {' or '.join(remedies)}"
    )


def _name(device: torch.device) -> str:
    if device.type != "cuda":
        return "this machine"
    try:
        return torch.cuda.get_device_name(device)
    except RuntimeError:  # after some errors CUDA answers nothing more
        return str(device)
