"""The steps of torchvision's reference train.py for classification."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict, deque
from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from benchmarks.peers.job import batches_of, datasets, epoch_done, on_device
from benchmarks.presets import evaluation_preset, training_preset

PRINT_EVERY = 10


class Meters:
    """Running values of torchvision's kind: every update is a number on the host, every line shows the medians."""

    def __init__(self) -> None:
        self.recent: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=20))
        self.totals: dict[str, float] = defaultdict(float)
        self.count = 0

    def update(self, images: int, **values: float) -> None:
        """Add an iteration's values, weighted by its images."""
        self.count += images
        for name, value in values.items():
            self.recent[name].append(value)
            self.totals[name] += value * images

    def mean(self, name: str) -> float:
        """Over all images."""
        return self.totals[name] / self.count

    def show(self, place: str) -> None:
        """A line with medians and means."""
        medians = {name: torch.tensor(list(values)).median().item() for name, values in self.recent.items()}
        print(place, "  ".join(f"{name}: {value:.4f} ({self.mean(name):.4f})" for name, value in medians.items()))


def accuracy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Top-1 and top-5 in per cent."""
    with torch.inference_mode():
        hits = logits.topk(5, dim=1).indices.eq(labels[:, None])
        return tuple(hits[:, :k].any(dim=1).float().mean() * 100 for k in (1, 5))  # type: ignore[return-value]


def torchvision_loop(job: argparse.Namespace) -> None:
    """Train at train.py's defaults: transforms v1 on PIL images, every value read at once, two files an epoch."""
    train, val = datasets(job)
    train.transform, val.transform = training_preset(job.size), evaluation_preset(job.size, job.resize)
    loader = partial(DataLoader, batch_size=job.batch_size, num_workers=job.workers, pin_memory=True)
    train_loader, val_loader = loader(train, sampler=RandomSampler(train)), loader(val, sampler=SequentialSampler(val))
    model = torchvision.models.get_model(job.model, weights=None, num_classes=10).to(job.device)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.0)
    optimiser = torch.optim.SGD(model.parameters(), lr=job.lr, momentum=0.9, weight_decay=job.weight_decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=job.lr_step_size, gamma=job.lr_gamma)
    for epoch in range(job.epochs):
        _train(job, model, criterion, optimiser, train_loader, epoch)
        schedule.step()
        top1 = _evaluate(job, model, criterion, val_loader)
        state = {
            "model": model.state_dict(),
            "optimizer": optimiser.state_dict(),
            "lr_scheduler": schedule.state_dict(),
        }
        torch.save(state, f"model_{epoch}.pth")
        torch.save(state, "checkpoint.pth")
        epoch_done(job, epoch, top1)


def _train(job: argparse.Namespace, model: Any, criterion: Any, optimiser: Any, loader: Any, epoch: int) -> None:
    model.train()
    meters = Meters()
    for number, batch in enumerate(batches_of(job, loader, epoch)):
        began = time.time()
        images, labels = on_device(job, *batch)
        logits = model(images)
        loss = criterion(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        top1, top5 = accuracy(logits, labels)
        values = {"loss": loss.item(), "lr": optimiser.param_groups[0]["lr"], "top1": top1.item(), "top5": top5.item()}
        meters.update(len(images), **values, images_per_second=len(images) / (time.time() - began))
        if number % PRINT_EVERY == 0:
            meters.show(f"Epoch: [{epoch}] [{number}/{len(loader)}]")


def _evaluate(job: argparse.Namespace, model: Any, criterion: Any, loader: Any) -> float:
    model.eval()
    meters = Meters()
    with torch.inference_mode():
        for batch in loader:
            images, labels = on_device(job, *batch)
            logits = model(images)
            loss = criterion(logits, labels)
            top1, top5 = accuracy(logits, labels)
            meters.update(len(images), loss=loss.item(), top1=top1.item(), top5=top5.item())
    return meters.mean("top1")
