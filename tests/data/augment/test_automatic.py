"""Automatic augmentations against torchvision's own, and transforms of a user's."""

import random
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from datavol.config.compose import compose
from datavol.data.augment.automatic import PixelChanges, check_pixel_changes
from datavol.errors import ConfigError
from datavol.runs.randomness import seed_for

CROPS = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SAMPLES = np.array([5, 2, 900])
OWN = """
import random
import numpy as np
import torch
from PIL import Image

class Noise:
    def __init__(self, size=3):
        self.size = size

    def __call__(self, image):
        noise = np.random.randint(self.size, size=3) + random.randint(0, 9) + int(torch.randint(9, (1,)))
        return Image.fromarray((np.asarray(image) // 2 + noise).astype(np.uint8))

def gray(image):
    return image.convert("L")

def smaller(image):
    return image.resize((3, 3))

def failing(image):
    raise ValueError("no way")

def make(name):
    return globals()[name]
"""


def augment_of(**keys: object):
    own = ("auto", "_target_")
    overrides = [f"{'' if name in own else '+'}recipe.augment.{name}={value}" for name, value in keys.items()]
    return compose(["recipe=plain", *overrides])[0].config.recipe.augment


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_transforms.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_transforms", None)


@pytest.mark.parametrize(
    ("keys", "theirs"),
    [
        ({"auto": "ta_wide"}, v2.TrivialAugmentWide()),
        ({"auto": "randaugment"}, v2.RandAugment()),
        ({"auto": "randaugment", "magnitude": 15, "num_ops": 1}, v2.RandAugment(num_ops=1, magnitude=15)),
        ({"auto": "autoaugment"}, v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET)),
        ({"auto": "autoaugment_cifar10"}, v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)),
        ({"auto": "augmix", "severity": 5}, v2.AugMix(severity=5)),
    ],
)
def test_pixels_are_torchvision_s_by_order_seed_and_sample(keys, theirs):
    ours = PixelChanges(augment_of(**keys), 7)(CROPS, SAMPLES)
    for crop, sample, changed in zip(CROPS, SAMPLES.tolist(), ours, strict=True):
        torch.manual_seed(seed_for("augment", 7, sample))
        expected = theirs(Image.fromarray(crop.permute(1, 2, 0).numpy()))
        np.testing.assert_array_equal(changed.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_a_transform_of_the_user_s_is_a_function_of_the_sample_and_leaves_no_trace(own):
    augment = augment_of(_target_="my_transforms.Noise", size=100)
    together = PixelChanges(augment, 7)(CROPS, SAMPLES)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    alone = [PixelChanges(augment, 7)(CROPS[i : i + 1], SAMPLES[i : i + 1]) for i in (2, 0, 1)]
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert torch.equal(together[[2, 0, 1]], torch.cat(alone))
    assert not torch.equal(together, PixelChanges(augment, 8)(CROPS, SAMPLES))
    equal = PixelChanges(augment, 7)(CROPS[:1].repeat(2, 1, 1, 1), SAMPLES[:2])  # one crop as two samples
    assert not torch.equal(equal[0], equal[1])


MAKE = {"_target_": "my_transforms.make"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            MAKE | {"name": "smaller"},
            "must give an image of 8 bits and the size that it took, 32 x 32 pixels, got uint8",
        ),
        (MAKE | {"name": "failing"}, "must change every image, got my_transforms.make with ValueError: no way; mend"),
        ({"auto": "randaugment", "magnitude": 99}, "recipe.augment must be what randaugment takes, got IndexError: "),
        ({"auto": "randaugment", "magnitud": 9}, "recipe.augment must be what randaugment takes, got TypeError: "),
    ],
)
def test_a_transform_that_fails_is_one_line_before_anything_is_trained(keys, said, own):
    with pytest.raises(ConfigError, match=said) as raised:
        check_pixel_changes(augment_of(**keys))
    assert "\n" not in str(raised.value)


def test_a_transform_may_give_gray_images(own):
    made = PixelChanges(augment_of(**MAKE, name="gray"), 0)(CROPS, SAMPLES)
    assert torch.equal(made[:, 0], made[:, 2])
