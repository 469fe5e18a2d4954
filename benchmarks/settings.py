"""What the benchmarks are told on their command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How much is measured, and on what.

    Attributes:
        scratch: A folder that is removed afterwards: generated images, datavol's caches and runs.
        repeats: Samples per side of a throughput.
        seeds: Runs per side of an accuracy.
        smoke: Whether the least that goes through is enough; the figures then mean nothing.
        fashion_mnist: The folder of the four idx files.
        torchvision_checkout: A checkout of torchvision whose train.py is driven on JPEG folders, instead of our loop.
        timm_checkout: The same for timm.
    """

    scratch: Path
    repeats: int
    seeds: int
    smoke: bool
    fashion_mnist: Path
    torchvision_checkout: Path | None
    timm_checkout: Path | None

    def say(self, text: str) -> None:
        """Show how it goes."""
        print(text, file=sys.stderr, flush=True)
