"""Chooses precision, memory format, compilation and cuDNN's search, by rules.

They change a run's arithmetic, so the same command must choose the same on an idle and on a busy machine. One thing has
to be timed: whether bfloat16 pays on a CPU that has units for it, which depends on network and image size.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from datavol.config.run import Config
from datavol.training.networks.build import build_network
from datavol.training.optimisation.optimiser import build_optimiser

MUST_GAIN = 1.25  # bfloat16 changes results; measured gains are 0.4 to 1.13 (does not pay) and 1.5 to 2.5 (pays)
HOPELESS = 3.0  # times slower in its first step
SECONDS = 10.0  # of timing in all
PIXELS = 64 * 32 * 32  # of a timed batch: ratios hold, and large images take seconds each
FEWEST_IMAGES = 4
LOWER = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Choice:
    """Holds a precision and why it was chosen."""

    precision: str
    why: str


def choose_precision(device: torch.device, time_step: Callable[[str], float]) -> Choice:
    """Choose `trainer.precision=auto` for a device.

    `time_step` gives the seconds of a step in a precision.
    """
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bf16-mixed", "the GPU has bfloat16 units")
        if torch.cuda.get_device_capability(device) >= (7, 0):
            return Choice("16-mixed", "the GPU has half-precision units and none for bfloat16")
        return Choice("32", "the GPU has no units for lower precision")
    if not has_bf16_units():
        return Choice("32", "the CPU has no units for bfloat16")
    return time_bf16(time_step)


def choose_memory_format(device: torch.device, precision: str) -> str:
    """Choose `trainer.memory_format=auto`."""
    # oneDNN computes with channels last, so that other tensors are reordered around each operation; tensor cores want
    # them last as well, and cuDNN's kernels for single precision do not
    return "channels_last" if device.type == "cpu" or precision in LOWER else "contiguous"


def has_bf16_units() -> bool:
    """Return whether the CPU computes in bfloat16 rather than emulating it."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def time_bf16(time_step: Callable[[str], float], clock: Callable[[], float] = time.monotonic) -> Choice:
    """Choose between 32 and bf16-mixed by pairs of steps, one of each.

    It is clear after two pairs on one side of `MUST_GAIN`; otherwise the pairs go on until all of them together fill
    `SECONDS`, and precision stays 32.
    """
    began = clock()
    first = {name: time_step(name) for name in ("32", "bf16-mixed")}  # also warms up: kernels are generated for shapes
    if first["bf16-mixed"] > HOPELESS * first["32"]:
        return Choice("32", f"bf16-mixed took {first['bf16-mixed'] / first['32']:.1f} times as long in its first step")
    gains: list[float] = []
    while clock() - began < SECONDS:
        gains.append(time_step("32") / time_step("bf16-mixed"))
        if len(gains) > 1 and (min(gains) > MUST_GAIN or max(gains) < MUST_GAIN):
            precision = "bf16-mixed" if min(gains) > MUST_GAIN else "32"
            return Choice(precision, f"bf16-mixed was {min(gains):.2f} to {max(gains):.2f} times as fast as 32")
    spread = f"{min(gains):.2f} to {max(gains):.2f}" if gains else "not measured"
    return Choice("32", f"it was not clear in {SECONDS:g} s whether bf16-mixed pays (gain {spread})")


class StepTimer:
    """Times steps of a run's network and optimiser on one CPU thread.

    The images are random. The seconds are those that the thread computed: other work on the machine makes it wait, but
    not compute longer.
    """

    def __init__(self, config: Config, classes: int, share: int) -> None:
        size = config.recipe.augment.crop_size
        self.config, self.classes = config, classes
        self.images = torch.zeros(min(share, max(FEWEST_IMAGES, PIXELS // size**2)), 3, size, size).uniform_(-2, 2)
        self.labels = torch.arange(len(self.images)) % classes
        self.memory_format = MEMORY_FORMATS[choose_memory_format(torch.device("cpu"), "32")]
        self.network = build_network(config.model, classes, config.recipe.dropout, 0)
        self.network = self.network.to(memory_format=self.memory_format)
        self.optimiser = build_optimiser(self.network.parameters(), config.recipe.optimiser)

    def __call__(self, precision: str) -> float:
        """Take a step and return its seconds."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            began = time.thread_time()
            self._step(LOWER.get(precision))
            return time.thread_time() - began
        finally:
            torch.set_num_threads(threads)

    def _step(self, lower: torch.dtype | None) -> None:
        self.optimiser.zero_grad()
        with torch.autocast("cpu", lower, enabled=lower is not None):  # as Lightning's mixed precision does
            images = self.images.to(memory_format=self.memory_format)
            loss = F.cross_entropy(self.network(images), self.labels)
        loss.backward()
        self.optimiser.step()
