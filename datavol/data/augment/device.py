"""Finishes batches on the device: normalises, erases, mixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from datavol.config import AugmentConfig
from datavol.data.augment.random_boxes import Boxes


class DeviceTransform(nn.Module):
    """The rest, on the device and a batch at once: bytes to normalised numbers, and erased boxes to zero."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", 255 * torch.tensor(mean)), ("scale", 1 / (255 * torch.tensor(std)))):
            self.register_buffer(name, values[:, None, None], persistent=False)

    def forward(self, images: Tensor, erased: Boxes | None = None) -> Tensor:
        """Normalised images (B, 3, H, W) of images (B, 1 or 3, H, W) uint8, with boxes (B, 4) to erase in them."""
        if images.is_contiguous(memory_format=torch.channels_last) and images.shape[1] == 3:
            numbers = self._normalised_rows(images)
        else:
            numbers = images.to(self.mean.dtype).sub(self.mean).mul_(self.scale)
        for image, (top, left, height, width) in enumerate([] if erased is None else erased.tolist()):
            if height:
                numbers[image, :, top : top + height, left : left + width] = 0.0
        return numbers

    def _normalised_rows(self, images: Tensor) -> Tensor:
        """The same for images whose bytes lie pixel by pixel, row by row: torch is slow where three numbers repeat."""
        rows = images.permute(0, 2, 3, 1).flatten(2).to(self.mean.dtype)
        mean, scale = (numbers.flatten().repeat(images.shape[3]) for numbers in (self.mean, self.scale))
        return rows.sub_(mean).mul_(scale).unflatten(2, (-1, 3)).permute(0, 3, 1, 2)


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
