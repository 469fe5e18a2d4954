"""What a peer is told, the images it reads, and the line by which it is timed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from datavol.data.sources.arrays import ArraySplit, fashion_mnist

MODELS = ("mobilenet_v2", "resnet50")


class InMemory(Dataset[Any]):
    """PIL images held in memory, gray ones as RGB, of which a stratified fraction is used."""

    def __init__(self, split: ArraySplit, fraction: float, transform: Any = None) -> None:
        places = np.arange(len(split))
        members = [places[split.labels == label] for label in np.unique(split.labels)]
        chosen = np.concatenate([own[: round(len(own) * fraction)] for own in members])
        self.images = [pillow(split, int(place)) for place in chosen]
        self.labels = [int(split.labels[place]) for place in chosen]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        return self.transform(self.images[place]), self.labels[place]


def pillow(split: ArraySplit, place: int) -> Image.Image:
    """An image in RGB."""
    return Image.fromarray(split.images[place]).convert("RGB")


def in_memory(job: argparse.Namespace) -> tuple[ArraySplit, ArraySplit] | None:
    """The splits of Fashion-MNIST, where these are the data."""
    if (job.data / "train").is_dir():
        return None
    _, train, val = fashion_mnist(str(job.data), download=False)
    return train, val


def datasets(job: argparse.Namespace) -> tuple[Any, Any]:
    """Training and validation images as PIL, without a transform."""
    splits = in_memory(job)
    if splits is not None:
        return InMemory(splits[0], job.fraction), InMemory(splits[1], 1.0)
    train, val = (torchvision.datasets.ImageFolder(str(job.data / part)) for part in ("train", "val"))
    return train, val


def batches_of(job: argparse.Namespace, batches: Iterable[Any], epoch: int) -> Iterable[Any]:
    """All batches of the last epoch; of those before it only as many as warm up, where that is asked for."""
    return batches if epoch == job.epochs - 1 else islice(batches, job.warm_up)


def epoch_done(job: argparse.Namespace, epoch: int, top1: float) -> None:
    """The line that times a peer."""
    print(f"epoch {epoch + 1}/{job.epochs} done, top-1 {top1:.1f} %", flush=True)


def autocast(job: argparse.Namespace) -> Any:
    """Autocast to bfloat16, where that is asked for."""
    return torch.autocast(job.device, torch.bfloat16) if job.bf16 else nullcontext()


def laid_out(job: argparse.Namespace, images: Tensor) -> Tensor:
    """The images in the memory format that is asked for."""
    return images.contiguous(memory_format=torch.channels_last) if job.channels_last else images


def on_device(job: argparse.Namespace, *tensors: Tensor) -> list[Tensor]:
    """The tensors on the device that is asked for; a pinned one is copied while the host goes on."""
    return [tensor.to(job.device, non_blocking=True) for tensor in tensors]
