"""The steps of timm's train.py."""

from __future__ import annotations

import argparse
import time
from typing import Any

import timm
import timm.utils
import torch
from timm.data import create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter
from torch import nn

from benchmarks.peers.job import autocast, batches_of, datasets, epoch_done, laid_out
from benchmarks.presets import MEAN, STD

LOG_EVERY = 50
NAMES = {"mobilenet_v2": "mobilenetv2_100", "resnet50": "resnet50"}


def timm_loop(job: argparse.Namespace) -> None:
    """Train as train.py does with `--color-jitter 0 --smoothing 0 --train-interpolation bilinear -j 2`."""
    train, val = datasets(job)
    device = torch.device(job.device)
    shared = {"batch_size": job.batch_size, "num_workers": job.workers, "device": device, "mean": MEAN, "std": STD}
    shared["pin_memory"] = device.type == "cuda"
    size = (3, job.size, job.size)
    train_loader = create_loader(
        train, size, is_training=True, color_jitter=0.0, interpolation="bilinear", re_mode="pixel", **shared
    )
    val_loader = create_loader(val, size, interpolation="bilinear", crop_pct=job.size / job.resize, **shared)
    model = timm.create_model(NAMES[job.model], num_classes=10).to(device)
    if job.channels_last:
        model.to(memory_format=torch.channels_last)
    lr = 0.1 * job.batch_size / 256
    optimiser = create_optimizer_v2(model, opt="sgd", lr=lr, momentum=0.9, weight_decay=2e-5)
    schedule, _ = create_scheduler_v2(
        optimiser, "cosine", num_epochs=job.epochs, warmup_epochs=0, updates_per_epoch=len(train_loader)
    )
    saver = timm.utils.CheckpointSaver(model, optimiser, checkpoint_dir=".", recovery_dir=".")
    for epoch in range(job.epochs):
        _train(job, model, optimiser, schedule, train_loader, epoch)
        top1 = _evaluate(job, model, val_loader)
        schedule.step(epoch + 1, top1)
        saver.save_checkpoint(epoch, metric=top1)
        epoch_done(job, epoch, top1)


def _train(job: argparse.Namespace, model: Any, optimiser: Any, schedule: Any, loader: Any, epoch: int) -> None:
    losses, seconds, waited = AverageMeter(), AverageMeter(), AverageMeter()
    model.train()
    criterion = nn.CrossEntropyLoss()
    optimiser.zero_grad()
    began = time.time()
    for number, (raw, labels) in enumerate(batches_of(job, loader, epoch)):
        images = laid_out(job, raw)
        waited.update(time.time() - began)
        with autocast(job):
            loss = criterion(model(images), labels)
        loss.backward()
        optimiser.step()
        losses.update(loss.item(), len(images))
        optimiser.zero_grad()
        seconds.update(time.time() - began)
        if number % LOG_EVERY == 0 or number == len(loader) - 1:
            print(f"Train: {epoch} [{number}/{len(loader)}] {losses.avg:.3f} {seconds.avg:.3f} {waited.avg:.3f}")
        schedule.step_update(num_updates=epoch * len(loader) + number + 1, metric=losses.avg)
        began = time.time()


def _evaluate(job: argparse.Namespace, model: Any, loader: Any) -> float:
    losses, top1_mean, top5_mean = AverageMeter(), AverageMeter(), AverageMeter()
    model.eval()
    criterion = nn.CrossEntropyLoss()
    with torch.inference_mode():
        for images, labels in loader:
            with autocast(job):
                logits = model(laid_out(job, images))
                loss = criterion(logits, labels)
            top1, top5 = timm.utils.accuracy(logits, labels, topk=(1, 5))
            losses.update(loss.item(), len(images))
            top1_mean.update(top1.item(), len(images))
            top5_mean.update(top5.item(), len(images))
    return float(top1_mean.avg)
