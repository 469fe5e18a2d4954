"""What happens to an image on its way to the network, as torchvision's transforms v2.

Training follows the reference presets behind the thesis: random resized crop, flip, automatic augmentation, normalise,
random erasing; evaluation resizes the short side and crops the centre. Mixup and CutMix act on whole batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from datavol.config import AugmentConfig, EvaluateConfig

Transform = Callable[..., Tensor]


def training_transform(augment: AugmentConfig, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """A PIL image to a normalised float tensor (3, crop, crop), augmented with torch's global generator."""
    steps: list[nn.Module] = [v2.RandomResizedCrop(augment.crop_size, scale=(augment.crop_scale, 1.0), antialias=True)]
    if augment.flip > 0:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    if augment.auto == "ta_wide":
        steps.append(v2.TrivialAugmentWide())
    steps += _to_tensor(mean, std)
    if augment.erase > 0:
        steps.append(v2.RandomErasing(augment.erase))
    return v2.Compose(steps)


def evaluation_transform(evaluate: EvaluateConfig, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """A PIL image to a normalised float tensor (3, crop, crop), without chance."""
    crop = [v2.Resize(evaluate.resize, antialias=True), v2.CenterCrop(evaluate.crop_size)]
    return v2.Compose([*crop, *_to_tensor(mean, std)])


def _to_tensor(mean: Sequence[float], std: Sequence[float]) -> list[nn.Module]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]


def mixing(augment: AugmentConfig, classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """One of mixup and CutMix, chosen at random per batch, as the thesis's reference code does; None without either.

    Takes images (B, 3, H, W) and labels (B,), gives mixed images and label shares (B, classes).
    """
    choices: list[nn.Module] = []
    if augment.mixup_alpha > 0:
        choices.append(v2.MixUp(alpha=augment.mixup_alpha, num_classes=classes))
    if augment.cutmix_alpha > 0:
        choices.append(v2.CutMix(alpha=augment.cutmix_alpha, num_classes=classes))
    return v2.RandomChoice(choices) if choices else None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run with torch's CPU generator at `seed`, and put its state back afterwards.

    The generator is seeded directly: `torch.manual_seed` would queue a call for CUDA at every image in a worker.
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
