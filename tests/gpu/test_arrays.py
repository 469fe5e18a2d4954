"""Array images that the device crops, flips, erases, normalises and mixes, beside what the host makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from datavol.config.compose import compose
from datavol.data.arrays_on_device import ArrayBatch, ArrayViews
from datavol.data.augment.device import DeviceTransform, mixing
from datavol.data.augment.random_boxes import CHANCES, random_crops
from datavol.data.augment.transforms import Augmentation, evaluation_view
from datavol.data.images.dataset import ArrayReader, Batch
from datavol.data.prepare import prepare
from datavol.data.sources.arrays import ArraySplit
from datavol.runs.randomness import uniforms
from datavol.training.trainer import build_data

pytestmark = pytest.mark.quick
SHAPES = [(28, 28), (32, 32, 3), (20, 30, 3), (8, 8)]


def data_of(*overrides: str, shape: tuple[int, ...]):
    """Build loaders of made-up images, and the configuration."""
    config = compose(["logger=csv", "evaluate_train=true", *overrides])[0].config
    prepared, rng = prepare(config), np.random.default_rng(0)
    parts = {
        name: ArraySplit(rng.integers(0, 256, (len(part), *shape), dtype=np.uint8), part.labels)
        for name, part in (("train", prepared.source.train), ("val", prepared.source.val))
    }
    return build_data(config, replace(prepared, source=replace(prepared.source, **parts))), config.recipe


def on(device: str, drawn: ArrayBatch, data) -> Batch:
    moved = (one.to(device) if isinstance(one, torch.Tensor) else one for one in drawn)
    return data.on_after_batch_transfer(ArrayBatch(*moved), 0)


def levels_apart(device: str, ours: torch.Tensor, theirs: torch.Tensor) -> int:
    """The largest difference; at most a hundredth of the pixels may be at a border of rounding."""
    apart = (ours.cpu().int() - theirs.cpu().int()).abs()
    assert device == "cpu" or (apart > 0).float().mean() < 0.01
    return int(apart.max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [16, 32])
def test_the_device_crops_and_flips_as_the_host_does(shape, size, device):
    chosen = ["recipe.augment.erase=0.5", "recipe.augment.flip=0.5", f"data.image_size={size}"]
    data, recipe = data_of("recipe=plain", *chosen, shape=shape)
    pairs = [(k, 7 * k % 1438) for k in range(1000, 1100)]
    samples, positions = np.array(pairs).T
    batch = on(device, data.training_images.__getitems__(pairs), data)

    host = ArrayReader(data.source.train).read(positions)
    views, erased = Augmentation(recipe.augment, 0)(host, samples)
    assert (batch.images.device.type, batch.images.dtype) == (device, torch.uint8)
    assert levels_apart(device, batch.images, views) <= (device == "cuda")  # to the bit on a CPU
    assert np.array_equal(batch.erased, erased)
    assert batch.labels.tolist() == data.source.train.labels[positions].tolist()
    # and as torchvision does one by one, in double precision, what the same numbers draw
    chances = uniforms(samples, 2 * CHANCES + 2, "augment", 0)
    sides = (np.full(100, side) for side in shape[:2])
    boxes = random_crops(chances[:, :CHANCES], *sides, recipe.augment.crop_scale)
    for view, image, box, chance in zip(batch.images.cpu(), host, boxes.tolist(), chances[:, CHANCES], strict=True):
        exact = F.resized_crop(image.double(), *box, [size, size], antialias=True)
        assert (view - (exact.flip(2) if chance < 0.5 else exact)).abs().max() < 0.501


@pytest.mark.parametrize("shape", SHAPES)
def test_the_device_evaluates_what_the_host_does(shape, device):
    data, recipe = data_of("data.image_size=24", "data.resize=28", shape=shape)
    for images, split in ((data.validation_images, data.source.val), (data.clean_images, data.source.train)):
        batch = on(device, images.__getitems__([(k, 3 * k) for k in range(100)]), data)
        views = evaluation_view(ArrayReader(split).read(np.arange(0, 300, 3)), recipe.evaluate)
        # torch resizes bytes in whole numbers on a CPU, and in real ones elsewhere
        assert (batch.images.cpu().int() - views.int()).abs().max() <= (device == "cuda")
        assert batch.samples.tolist() == list(range(100))


def test_resizing_in_real_numbers_moves_an_evaluation_by_one_level_at_most(device):
    """What a device without resizing of bytes computes, computed here."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 3, 28, 28), dtype=np.uint8)).to(device)
    bytes_, real = F.resize(images, [32], antialias=True), F.resize(images.float(), [32], antialias=True)
    assert (bytes_.float() - real.round().clamp(0, 255)).abs().max() <= 1


def test_positions_and_parts_alone_travel_to_the_device(device):
    data, _ = data_of("recipe=plain", shape=(32, 32, 3))
    drawn = data.training_images.__getitems__([(k, k) for k in range(128)])
    sent = sum(one.numel() * one.element_size() for one in drawn if isinstance(one, torch.Tensor))
    assert sent <= 128 * 5 * 8
    first, second = (on(device, drawn, data).images for _ in range(2))
    assert torch.equal(first, second)
    assert len(data.arrays) == 1  # sent once
    data.teardown("fit")
    assert not data.arrays


@pytest.mark.parametrize(
    ("overrides", "shape", "trains", "evaluates"),
    [
        ([], (28, 28), True, True),
        (["recipe.augment.auto=ta_wide"], (28, 28), False, True),  # Pillow's
        ([], (65, 28), False, False),  # its tables would be large
    ],
)
def test_which_batches_a_device_makes(overrides, shape, trains, evaluates):
    data, _ = data_of(*overrides, shape=shape)
    assert isinstance(data.training_images, ArrayViews) == trains
    assert isinstance(data.validation_images, ArrayViews) == isinstance(data.clean_images, ArrayViews) == evaluates


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_device_normalises_and_erases_as_the_host_does(layout, device):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (8, 3, 24, 24), dtype=np.uint8)).to(memory_format=layout)
    boxes = rng.integers(0, 12, (8, 4))
    finish = DeviceTransform((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
    expected = finish(images, boxes)
    ours = finish.to(device)(images.to(device), boxes)
    assert ours.is_contiguous(memory_format=layout)
    assert torch.allclose(ours.cpu(), expected, atol=1e-6)
    for image, (top, left, height, width) in zip(ours, boxes.tolist(), strict=True):
        assert not image[:, top : top + height, left : left + width].any()


def test_the_device_mixes_as_the_host_does(device):
    augment = compose(["recipe=thesis_resnet50"])[0].config.recipe.augment
    mix = mixing(augment, 10)
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8)
    for seed in range(10):
        torch.manual_seed(seed)
        expected = mix(images, labels)
        torch.manual_seed(seed)
        for ours, theirs in zip(mix(images.to(device), labels.to(device)), expected, strict=True):
            assert ours.device.type == device
            assert torch.allclose(ours.cpu(), theirs, atol=1e-6)
