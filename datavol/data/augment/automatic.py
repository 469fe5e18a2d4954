"""Changes the pixels of crops by torchvision's automatic augmentations, or the user's transform."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import AutoAugmentPolicy

from datavol.config.objects import build_object
from datavol.config.recipe import AugmentConfig
from datavol.errors import ConfigError, RunError, flat
from datavol.runs.randomness import seed_for

Change = Callable[[Image.Image], Any]
Pixels = NDArray[np.uint8]

KINDS: dict[str, Callable[..., Change]] = {
    "ta_wide": v2.TrivialAugmentWide,
    "randaugment": v2.RandAugment,
    "autoaugment": partial(v2.AutoAugment, AutoAugmentPolicy.IMAGENET),
    "autoaugment_cifar10": partial(v2.AutoAugment, AutoAugmentPolicy.CIFAR10),
    "autoaugment_svhn": partial(v2.AutoAugment, AutoAugmentPolicy.SVHN),
    "augmix": v2.AugMix,
}


class PixelChanges:
    """Changes crops one by one, as Pillow images where that is faster.

    Chance is torch's, and for a transform of the user's Python's and NumPy's as well: seeded by (order_seed, sample).
    """

    def __init__(self, augment: AugmentConfig, order_seed: int) -> None:
        self.order_seed, self.target = order_seed, augment.target
        if augment.target is not None:
            self.change: Change = build_object("recipe.augment", augment.target, augment.options)
            self.chance: Callable[[], Any] = _python_and_numpy
        else:
            self.change, self.chance = _automatic(augment), nullcontext

    def __call__(self, views: Tensor, samples: NDArray[np.int64]) -> Tensor:
        """Change crops (B, 1 or 3, H, W) by their samples' numbers."""
        pixels = views.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (B, H, W, 3); gray is replicated
        changed = np.empty_like(pixels, order="C")
        # The generators are seeded per sample, and put back after the batch. Seeding torch's directly avoids
        # `torch.manual_seed`, which would queue a call for CUDA at every image in a worker.
        with torch.random.fork_rng(devices=[]), self.chance():
            for i, sample in enumerate(samples.tolist()):
                seed = seed_for("augment", self.order_seed, sample)
                torch.default_generator.manual_seed(seed)
                changed[i] = self._own(pixels[i], seed) if self.target else self.change(Image.fromarray(pixels[i]))
        return torch.from_numpy(changed).permute(0, 3, 1, 2)

    def _own(self, pixels: Pixels, seed: int) -> Pixels:
        """Change an image (H, W, 3) by the user's transform."""
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            made = self.change(Image.fromarray(pixels))
            if isinstance(made, Image.Image):
                made = made.convert("RGB")
            found = made.permute(1, 2, 0).numpy() if isinstance(made, Tensor) else np.asarray(made)
        except Exception as error:  # the user's class may raise anything
            raise RunError(
                f"recipe.augment._target_ must change every image, got {self.target} with {type(error).__name__}: "
                f"{flat(error)[:200]}; mend it"
            ) from None
        if found.shape != pixels.shape or found.dtype != np.uint8:
            raise RunError(
                f"recipe.augment._target_ must give an image of 8 bits and the size that it took, {pixels.shape[1]} x "
                f"{pixels.shape[0]} pixels, got {found.dtype} of shape {found.shape} of {self.target}; mend it"
            )
        return found


def _automatic(augment: AugmentConfig) -> Change:
    kind = KINDS[str(augment.auto)]
    try:
        return kind(**augment.options)
    except Exception as error:  # torchvision's classes check little, and raise anything
        raise ConfigError(
            f"recipe.augment must be what {augment.auto} takes, got {type(error).__name__}: {flat(error)[:200]}; "
            "check the keys of recipe.augment"
        ) from None


@contextmanager
def _python_and_numpy() -> Iterator[None]:
    """Put the generators of Python and NumPy back afterwards."""
    before = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def check_pixel_changes(augment: AugmentConfig) -> None:
    """Change a few made-up crops.

    Raises:
        ConfigError: If that fails.
    """
    size = augment.crop_size
    crops = torch.arange(4 * 3 * size * size).reshape(4, 3, size, size).remainder(256).to(torch.uint8)
    changes = PixelChanges(augment, 0)
    try:
        changes(crops, np.arange(4))
    except RunError as error:
        raise ConfigError(str(error)) from None
    except Exception as error:  # a magnitude that torchvision does not have, for one
        raise ConfigError(
            f"recipe.augment must be what {augment.auto} takes, got {type(error).__name__}: {flat(error)[:200]}; "
            "check the keys of recipe.augment"
        ) from None
