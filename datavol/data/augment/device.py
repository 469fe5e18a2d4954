"""Finishes batches on the device: normalises, erases, mixes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from datavol.config.recipe import AugmentConfig
from datavol.data.augment.random_boxes import Boxes


class DeviceTransform(nn.Module):
    """Normalises batches of bytes on the device and zeroes the erased boxes."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # (x / 255 - mean) / std as (x - 255 mean) * 1 / (255 std), one pass less over the batch; both (C, 1, 1)
        for name, values in (("mean", 255 * torch.tensor(mean)), ("scale", 1 / (255 * torch.tensor(std)))):
            self.register_buffer(name, values[:, None, None], persistent=False)  # constants: not in checkpoints

    def forward(self, images: Tensor, erased: Boxes | None = None) -> Tensor:
        """Normalise and erase a batch.

        Gives (B, 3, H, W) of images (B, 1 or 3, H, W) uint8 and boxes to erase, (B, 4).
        """
        if images.is_contiguous(memory_format=torch.channels_last) and images.shape[1] == 3:
            numbers = self._normalise_rows(images)
        else:  # one gray channel becomes three here, by broadcasting
            numbers = images.to(self.mean.dtype).sub(self.mean).mul_(self.scale)
        for image, (top, left, height, width) in enumerate([] if erased is None else erased.tolist()):
            if height:  # 0 where nothing is erased; zero is the mean colour after normalisation
                numbers[image, :, top : top + height, left : left + width].zero_()
        return numbers

    def _normalise_rows(self, images: Tensor) -> Tensor:
        """Normalise channels-last images as rows of 3 W numbers.

        Broadcasting three numbers over the innermost axis is slow in torch, which cannot vectorise so short a loop.
        """
        rows = images.permute(0, 2, 3, 1).flatten(2).to(self.mean.dtype)  # (B, H, 3 W), no copy but the cast
        mean, scale = (numbers.flatten().repeat(images.shape[3]) for numbers in (self.mean, self.scale))  # (3 W,)
        return rows.sub_(mean).mul_(scale).unflatten(2, (-1, 3)).permute(0, 3, 1, 2)  # channels last as before


def mixing(augment: AugmentConfig, classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """Build mixup or CutMix, chosen at random per batch; None without either.

    Takes images (B, 3, H, W) and labels (B,), gives mixed images and label shares (B, classes), as the thesis's
    reference code does.
    """
    choices: list[nn.Module] = []
    if augment.mixup_alpha > 0:
        choices.append(v2.MixUp(alpha=augment.mixup_alpha, num_classes=classes))
    if augment.cutmix_alpha > 0:
        choices.append(v2.CutMix(alpha=augment.cutmix_alpha, num_classes=classes))
    return v2.RandomChoice(choices) if choices else None
