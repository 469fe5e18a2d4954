"""How a training step is computed: precision, memory format, and on GPUs compilation and cuDNN's search.

No choice is the fastest for every network, image size and machine, so a few real steps of each decide.
"""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from datavol.config import Config, TrainerConfig
from datavol.training.networks import build_network
from datavol.training.optimisation import build_optimiser

AUTO = "auto"
LOWER_MUST_GAIN = 1.1  # another precision than 32 changes what is computed, so it has to pay
COMPILED_MUST_GAIN = 1.1
COMPILE_FROM_SECONDS = 3600.0  # compiling takes a minute or two of every run
HOPELESS = 3.0  # what is this many times slower than the best is timed no further
STEPS = 5
CPU_PIXELS = 64 * 32 * 32  # of a timed batch on a CPU: ratios hold, and large images take seconds each
FEWEST_IMAGES = 8
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class StepOptions:
    """What is the same for all runs of a study, whichever machine they are on."""

    precision: str
    memory_format: str
    compile: bool
    cudnn_benchmark: bool

    def __str__(self) -> str:
        parts = [self.precision, self.memory_format]
        parts += [word for word, on in (("compiled", self.compile), ("cudnn search", self.cudnn_benchmark)) if on]
        return " ".join(parts)


Step = Callable[[StepOptions], float]
"""Takes one step and gives its seconds."""


def choose(
    trainer: TrainerConfig, device: torch.device, iterations: int, step: Step
) -> tuple[StepOptions, dict[StepOptions, float]]:
    """Time the ways to compute a step that `trainer` leaves open, and choose.

    Args:
        trainer: Keys that are not `auto` stay as they are.
        device: Where training will be.
        iterations: Of the run; a short one is not worth compiling.
        step: Takes a step.

    Returns:
        The choice, and the seconds of a step of each that was timed; none where nothing is open.
    """
    seconds: dict[StepOptions, float] = {}

    def best_of(ways: Sequence[StepOptions]) -> StepOptions:
        """By turns, so that a machine that is busy for a while is so for all of them."""
        for turn in range(1 + STEPS):
            for way in ways:
                if turn == 0 or seconds[way] < HOPELESS * min(seconds.values()):
                    took = step(way)
                    seconds[way] = took if turn < 2 else min(took, seconds[way])  # the first only warms up
        return min(seconds, key=lambda way: seconds[way] * _handicap(way))

    gpu = device.type == "cuda"
    fixed = StepOptions(
        trainer.precision,
        trainer.memory_format,
        trainer.compile is True,
        gpu if trainer.cudnn_benchmark == AUTO else trainer.cudnn_benchmark is True,
    )
    formats = list(MEMORY_FORMATS) if trainer.memory_format == AUTO else [trainer.memory_format]
    precisions = _precisions(device) if trainer.precision == AUTO else [trainer.precision]
    open_ways = [
        replace(fixed, precision=precision, memory_format=form)
        for precision, form in itertools.product(precisions, formats)
    ]
    best = best_of(open_ways) if len(open_ways) > 1 or gpu else fixed
    if gpu and trainer.cudnn_benchmark == AUTO:
        best = best_of([replace(best, cudnn_benchmark=False)])
    if gpu and trainer.compile == AUTO and _can_compile() and iterations * seconds[best] > COMPILE_FROM_SECONDS:
        best = best_of([replace(best, compile=True)])
    return best, seconds


def _handicap(way: StepOptions) -> float:
    lower = LOWER_MUST_GAIN if way.precision != "32" else 1.0
    return lower * (COMPILED_MUST_GAIN if way.compile else 1.0)


def _precisions(device: torch.device) -> list[str]:
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return ["32", "16-mixed"]
    return ["32", "bf16-mixed"]


def _can_compile() -> bool:
    return importlib.util.find_spec("triton") is not None


class StepTimer:
    """Times real steps of a run's network and optimiser on one device, on random images."""

    def __init__(self, config: Config, classes: int, share: int, device: torch.device) -> None:
        size = config.recipe.augment.crop_size
        images = share if device.type == "cuda" else min(share, max(FEWEST_IMAGES, CPU_PIXELS // size**2))
        self.config, self.classes, self.device = config, classes, device
        self.images = torch.zeros(images, 3, size, size, device=device).uniform_(-2, 2)
        self.labels = torch.arange(images, device=device) % classes
        self.steps: dict[StepOptions, Callable[[], None]] = {}

    def __call__(self, way: StepOptions) -> float:
        """Take a step; gives its seconds."""
        if way not in self.steps:
            self.steps[way] = self._step(way)
        torch.backends.cudnn.benchmark = way.cudnn_benchmark
        began = time.perf_counter()
        self.steps[way]()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - began

    def _step(self, way: StepOptions) -> Callable[[], None]:
        form = MEMORY_FORMATS[way.memory_format]
        network: nn.Module = build_network(self.config.model, self.classes, self.config.recipe.dropout, 0)
        network = network.to(self.device).to(memory_format=form)
        if way.compile:
            network.compile()
        images = self.images.to(memory_format=form)
        optimiser = build_optimiser(network.parameters(), self.config.recipe.optimiser)
        lower = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(way.precision)

        def step() -> None:
            optimiser.zero_grad()
            with torch.autocast(self.device.type, lower, enabled=lower is not None):
                loss = F.cross_entropy(network(images), self.labels)
            loss.backward()
            optimiser.step()

        return step
