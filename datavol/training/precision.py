"""Chooses precision, memory format, compilation and cuDNN's search by timing steps.

No choice is the fastest for every network, image size and machine, so a few real steps of each decide.
"""

import importlib.util
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from datavol.config.run import Config
from datavol.config.trainer import TrainerConfig
from datavol.training.networks import build_network
from datavol.training.optimisation import build_optimiser

AUTO = "auto"
LOWER_MUST_GAIN = 1.1  # lower precision changes results, so it is chosen only where it is at least 10 % faster
COMPILED_MUST_GAIN = 1.1
COMPILE_FROM_SECONDS = 3600.0  # of training: compiling takes a minute or two of every run
HOPELESS = 3.0  # options this many times slower than the fastest are not timed again
STEPS = 5  # timed per options, after one to warm up
CPU_PIXELS = 64 * 32 * 32  # of a timed batch on a CPU: ratios hold, and large images take seconds each
FEWEST_IMAGES = 8
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class StepOptions:
    """Holds the options of a training step, shared by a study's runs."""

    precision: str
    memory_format: str
    compile: bool
    cudnn_benchmark: bool

    def __str__(self) -> str:
        parts = [self.precision, self.memory_format]
        parts += [word for word, on in (("compiled", self.compile), ("cudnn search", self.cudnn_benchmark)) if on]
        return " ".join(parts)


Step = Callable[[StepOptions], float]
"""Takes one step and returns its seconds."""


def choose(
    trainer: TrainerConfig,
    device: torch.device,
    iterations: int,
    step: Step,
    can_compile: bool = importlib.util.find_spec("triton") is not None,  # torch.compile's code generator for GPUs
) -> tuple[StepOptions, dict[StepOptions, float]]:
    """Choose the fastest options among those that `trainer` leaves to `auto`.

    Returns:
        The choice, and the seconds per step of all timed options; none where nothing is left to `auto`.
    """
    seconds: dict[StepOptions, float] = {}

    def time_and_choose(candidates: Sequence[StepOptions]) -> StepOptions:
        # In turns (A B C D, A B C D, ...), so that a burst of other work on the machine slows all of them; and the
        # fastest step of each, since noise only ever adds time.
        for turn in range(1 + STEPS):
            for options in candidates:
                if turn == 0 or seconds[options] < HOPELESS * min(seconds.values()):
                    taken = step(options)
                    # turn 0 warms up (allocation, cuDNN's search, compilation), and turn 1 overwrites it
                    seconds[options] = taken if turn < 2 else min(taken, seconds[options])
        return min(seconds, key=lambda options: seconds[options] * _handicap(options))  # of this and earlier calls

    gpu = device.type == "cuda"
    given = StepOptions(
        trainer.precision,
        trainer.memory_format,
        trainer.compile is True,
        gpu if trainer.cudnn_benchmark == AUTO else trainer.cudnn_benchmark is True,
    )
    formats = list(MEMORY_FORMATS) if trainer.memory_format == AUTO else [trainer.memory_format]
    precisions = _precisions(device) if trainer.precision == AUTO else [trainer.precision]
    candidates = [
        replace(given, precision=precision, memory_format=memory_format)
        for precision, memory_format in itertools.product(precisions, formats)
    ]
    # Greedily, at most 4 + 1 + 1 options instead of all 16: precision and memory format first, with cuDNN's search on;
    # then the best of those without the search; then the best of those compiled. A GPU always times its first options,
    # since the later two decisions need their seconds.
    best = time_and_choose(candidates) if len(candidates) > 1 or gpu else given
    if gpu and trainer.cudnn_benchmark == AUTO:
        best = time_and_choose([replace(best, cudnn_benchmark=False)])
    if gpu and trainer.compile == AUTO and can_compile and iterations * seconds[best] > COMPILE_FROM_SECONDS:
        best = time_and_choose([replace(best, compile=True)])
    return best, seconds


def _handicap(options: StepOptions) -> float:
    return (LOWER_MUST_GAIN if options.precision != "32" else 1.0) * (COMPILED_MUST_GAIN if options.compile else 1.0)


def _precisions(device: torch.device) -> list[str]:
    # GPUs before Ampere emulate bfloat16 in single precision, slowly, but have half precision in hardware
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return ["32", "16-mixed"]
    return ["32", "bf16-mixed"]


class StepTimer:
    """Times steps of a run's network and optimiser on random images.

    A batch has `share` images, one device's part of a global batch, and on a CPU no more than `CPU_PIXELS` pixels.
    """

    def __init__(self, config: Config, classes: int, share: int, device: torch.device) -> None:
        size = config.recipe.augment.crop_size
        images = share if device.type == "cuda" else min(share, max(FEWEST_IMAGES, CPU_PIXELS // size**2))
        self.config, self.classes, self.device = config, classes, device
        self.images = torch.zeros(images, 3, size, size, device=device).uniform_(-2, 2)
        self.labels = torch.arange(images, device=device) % classes
        self.steps: dict[StepOptions, Callable[[], None]] = {}

    def __call__(self, options: StepOptions) -> float:
        """Take a step and return its seconds."""
        if options not in self.steps:
            self.steps[options] = self._step(options)  # keeps network and optimiser for the later turns
        torch.backends.cudnn.benchmark = options.cudnn_benchmark
        began = time.perf_counter()
        self.steps[options]()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # kernels are only queued when the step returns
        return time.perf_counter() - began

    def _step(self, options: StepOptions) -> Callable[[], None]:
        memory_format = MEMORY_FORMATS[options.memory_format]
        network: nn.Module = build_network(self.config.model, self.classes, self.config.recipe.dropout, 0)
        network = network.to(self.device).to(memory_format=memory_format)
        if options.compile:
            network.compile()
        images = self.images.to(memory_format=memory_format)
        optimiser = build_optimiser(network.parameters(), self.config.recipe.optimiser)
        lower = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(options.precision)

        def step() -> None:
            optimiser.zero_grad()
            # as Lightning's mixed precision does, without the gradient scaler of 16-mixed, which costs little
            with torch.autocast(self.device.type, lower, enabled=lower is not None):
                loss = F.cross_entropy(network(images), self.labels)
            loss.backward()
            optimiser.step()

        return step
