"""The shortest loop in plain PyTorch that does what a run of datavol by its plain recipe does."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import transforms as T

from benchmarks.peers.job import autocast, batches_of, datasets, epoch_done, laid_out
from benchmarks.presets import MEAN, STD


def bare_loop(job: argparse.Namespace) -> None:
    """Train on normalised tensors in the device's memory, augmented as batches; sums are read once an epoch."""
    (images, labels), (val_images, val_labels) = (_tensors(job, part) for part in datasets(job))
    without = {"dropout": 0.0} if job.model == "mobilenet_v2" else {}
    network = torchvision.models.get_model(job.model, weights=None, num_classes=10, **without).to(job.device)
    if job.channels_last:
        network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=job.lr, momentum=0.9, fused=True)
    iterations = len(labels) // job.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=job.epochs * iterations)
    for epoch in range(job.epochs):
        network.train()
        seen, right = torch.zeros((), device=job.device), torch.zeros((), dtype=torch.int64, device=job.device)
        order = torch.randperm(len(labels), device=job.device)[: iterations * job.batch_size].split(job.batch_size)
        for chosen in batches_of(job, order, epoch):
            batch = crop_and_flip(images[chosen])
            with autocast(job):
                logits = network(laid_out(job, batch))
                loss = F.cross_entropy(logits, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            seen += loss.detach()
            right += (logits.detach().argmax(dim=1) == labels[chosen]).sum()
        top1 = _evaluate(job, network, val_images, val_labels)
        torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict()}, "last.pth")
        print(f"training loss {float(seen) / iterations:.3f}, top-1 {int(right) / (iterations * job.batch_size):.3f}")
        epoch_done(job, epoch, top1)


@torch.inference_mode()
def _evaluate(job: argparse.Namespace, network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=job.device)
    for chosen in torch.arange(len(labels), device=job.device).split(job.batch_size):
        with autocast(job):
            logits = network(laid_out(job, images[chosen]))
        right += (logits.argmax(dim=1) == labels[chosen]).sum()
    return 100 * int(right) / len(labels)


def _tensors(job: argparse.Namespace, part: Any) -> tuple[Tensor, Tensor]:
    """Normalised images (n, 3, size, size) and labels (n,), on the device."""
    part.transform = T.Compose([T.Resize(job.resize), T.CenterCrop(job.size), T.ToTensor(), T.Normalize(MEAN, STD)])
    images, labels = zip(*(part[place] for place in range(len(part))), strict=True)
    return torch.stack(images).to(job.device), torch.tensor(labels, device=job.device)


def crop_and_flip(images: Tensor, smallest: float = 0.6) -> Tensor:
    """Each image (B, 3, H, W) cropped to 60-100 % of its area at ratios of 3/4 to 4/3, resized back, maybe flipped."""
    count, device = len(images), images.device
    area = torch.empty(count, device=device).uniform_(smallest, 1)
    ratio = torch.empty(count, device=device).uniform_(-1, 1).mul(np.log(4 / 3)).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    flip = torch.randint(0, 2, (count,), device=device) * 2 - 1
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = width * flip, height
    theta[:, 0, 2], theta[:, 1, 2] = (
        torch.empty(count, device=device).uniform_(-1, 1) * (1 - side) for side in (width, height)
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
