"""The transforms of torchvision's reference presets for classification: v1, on PIL images, at their defaults."""

from __future__ import annotations

import torch
from torchvision import transforms as T

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def training_preset(size: int, trivial_augment: bool = False, erase: float = 0.0) -> T.Compose:
    """Random resized crop and flip; on demand TrivialAugmentWide and random erasing with probability `erase`."""
    steps = [T.RandomResizedCrop(size), T.RandomHorizontalFlip()]
    if trivial_augment:
        steps.append(T.TrivialAugmentWide(interpolation=T.InterpolationMode.BILINEAR))
    steps += _to_tensor()
    if erase > 0:
        steps.append(T.RandomErasing(p=erase))
    return T.Compose(steps)


def evaluation_preset(size: int, resize: int) -> T.Compose:
    """The short side resized, the centre cropped."""
    return T.Compose([T.Resize(resize), T.CenterCrop(size), *_to_tensor()])


def _to_tensor() -> list[object]:
    return [T.PILToTensor(), T.ConvertImageDtype(torch.float), T.Normalize(MEAN, STD)]
