"""The command lines of the real peers, where the user has a checkout of them, on a folder of JPEGs.

Each gives the command and the pattern of the line that ends an evaluation.
"""

from __future__ import annotations

import sys
from pathlib import Path

TIMM_MODELS = {"mobilenet_v2": "mobilenetv2_100", "resnet50": "resnet50"}


def torchvision_command(checkout: Path, data: Path, model: str, batch_size: int) -> tuple[list[str], str]:
    """Drive torchvision's reference train.py at its defaults, with two workers on the CPU."""
    script = checkout.resolve() / "references" / "classification" / "train.py"
    place = ["--data-path", str(data), "--output-dir", ".", "--device", "cpu", "--workers", "2"]
    command = [sys.executable, str(script), *place, "--model", model, "--batch-size", str(batch_size), "--epochs", "2"]
    return command, r"^Test: +Acc@1"


def timm_command(
    checkout: Path, data: Path, model: str, batch_size: int, flags: tuple[str, ...]
) -> tuple[list[str], str]:
    """Drive timm's train.py, augmenting as the others do, with two workers; `flags` are those of benchmarks.peers."""
    speed = [part for flag in flags for part in (["--amp", "--amp-dtype", "bfloat16"] if flag == "--bf16" else [flag])]
    place = ["--data-dir", str(data), "--output", ".", "--device", "cpu", "--workers", "2", "--num-classes", "10"]
    alike = ["--color-jitter", "0", "--smoothing", "0", "--train-interpolation", "bilinear"]
    length = ["--batch-size", str(batch_size), "--epochs", "2", "--warmup-epochs", "0", "--cooldown-epochs", "0"]
    script = str(checkout.resolve() / "train.py")
    command = [sys.executable, script, *place, "--model", TIMM_MODELS[model], *length, *alike, *speed]
    return command, r"Test: \[ *(\d+)/\1\]"
