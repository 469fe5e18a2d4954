import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datavol.config.compose import compose
from datavol.data.augment.device import DeviceTransform, mixing
from datavol.data.augment.random_boxes import CHANCES, random_crops
from datavol.data.augment.transforms import Augmentation, evaluation_view, resized_crops, shrink
from datavol.data.images.dataset import ArrayReader, EvaluationImages, FileReader, TrainingImages
from datavol.data.images.decode import decode_file
from datavol.data.prepare import prepare
from datavol.data.sources.files.file_table import DamagedImage
from datavol.data.sources.open import open_source
from datavol.runs.randomness import seed_for

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def folder(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    return compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=8"])[0].config


def as_they_are(images, samples) -> tuple[torch.Tensor, np.ndarray]:
    return torch.stack(list(images)), np.zeros((len(samples), 4))


@pytest.mark.parametrize("damaged", [[0], [3, 4], [11], [0, 11], list(range(11))])
def test_the_next_sound_image_of_the_class_in_the_subset_takes_its_place(damaged, folder, photos):
    for i in damaged:
        (photos / f"train/cat/{i:02d}.png").write_bytes(b"x")
    source = open_source(folder.data)
    subset = np.array([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 20])  # without 6: it must never stand in
    images = TrainingImages(FileReader(source.train), subset, as_they_are, replace=True)
    cats = [i for i in subset.tolist() if i < 12]
    for position in cats:
        after = [*cats[cats.index(position) :], *cats[: cats.index(position)]]
        sound = [i for i in after if i not in damaged]
        skipped = after[: after.index(sound[0])]
        batch = images.__getitems__([(0, 12), (1, position), (2, 20)])
        expected = torch.stack([decode_file(source.train, i) for i in (12, sound[0], 20)])
        assert torch.equal(batch.images, expected)
        assert batch.labels.tolist() == [1, 0, 1]
        assert batch.damaged == tuple(f"cat/{i:02d}.png" for i in skipped)


def test_a_class_without_a_sound_image_stops(folder, photos):
    for i in range(12):
        (photos / f"train/cat/{i:02d}.png").write_bytes(b"x")
    reader = FileReader(open_source(folder.data).train)
    images = TrainingImages(reader, np.arange(27), as_they_are, replace=True)
    with pytest.raises(
        DamagedImage, match=r"got a class without: 'cat/00.png' and the 11 others of it are damaged; mend them"
    ):
        images.__getitems__([(0, 0)])


def test_an_evaluation_leaves_damaged_images_out_without_a_gap(folder, photos):
    (photos / "val/dog/01.png").write_bytes(b"x")
    reader, evaluate = FileReader(open_source(folder.data).val), folder.recipe.evaluate
    images = EvaluationImages(reader, evaluate, skip=True)
    batch = images.__getitems__([(i, i) for i in range(12)])
    assert (len(batch.images), batch.labels.tolist()) == (11, [0] * 4 + [1] * 3 + [2] * 4)
    assert batch.samples.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert batch.damaged == ("dog/01.png",)
    assert len(images.__getitems__([(5, 5)]).images) == 0
    with pytest.raises(DamagedImage, match=r"val/dog/01.png"):
        EvaluationImages(reader, evaluate, skip=False).__getitems__([(5, 5)])


@pytest.mark.parametrize("source", ["files", "arrays"])
def test_augmentation_depends_on_seed_and_sample_alone(source, folder):
    recipe = compose(["recipe=thesis_resnet50"])[0].config.recipe
    augment = recipe.augment.model_copy(update={"crop_size": 16, "erase": 0.5})
    prepared = prepare(folder if source == "files" else compose(["logger=csv"])[0].config)
    split = prepared.source.train
    reader = FileReader(split) if source == "files" else ArrayReader(split)
    samples = [(k, k % 27) for k in range(5, 45)]

    def seen(order_seed: int, workers: int, noise: int, batch: int = 8) -> tuple[torch.Tensor, np.ndarray]:
        torch.manual_seed(noise)
        images = TrainingImages(reader, prepared.subset.indices, Augmentation(augment, order_seed), False)
        loader = DataLoader(images, batch, sampler=samples, num_workers=workers, collate_fn=lambda batch: batch)
        batches = list(loader)
        return torch.cat([one.images for one in batches]), np.concatenate([one.erased for one in batches])

    first, erased = seen(0, 0, 0)
    for again in (seen(0, 2, 1), seen(0, 0, 0, batch=11)):
        assert torch.equal(first, again[0])
        assert np.array_equal(erased, again[1])
    assert not torch.equal(first, seen(1, 0, 0)[0])
    assert not torch.equal(first[0], first[27])  # the same image as another sample of the run
    assert 0 < (erased[:, 2] > 0).sum() < 40


def test_the_evaluation_transform_is_the_reference_preset_s(photos):
    image = Image.open(photos / "val/owl/00.png").resize((400, 300))
    evaluate = compose(["data=imagenet", "data.root=x", "recipe=thesis_resnet50"])[0].config.recipe.evaluate
    reference = v1.Compose([v1.Resize(256), v1.CenterCrop(224), v1.ToTensor(), v1.Normalize(MEAN, STD)])
    view = evaluation_view([F.pil_to_tensor(image)], evaluate)
    assert view.is_contiguous(memory_format=torch.channels_last)  # which `DeviceTransform` is fast with
    # torch and Pillow round the resized bytes differently at times, by one level
    assert torch.allclose(DeviceTransform(MEAN, STD)(view)[0], reference(image), atol=1.01 / 255 / min(STD))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_device_s_part_is_the_reference_preset_s(rng, layout):
    images = torch.from_numpy(rng.integers(0, 256, (3, 3, 8, 6), dtype=np.uint8)).to(memory_format=layout)
    reference = v1.Normalize(MEAN, STD)(images.float() / 255)
    finished = DeviceTransform(MEAN, STD)(images)
    assert torch.allclose(finished, reference, atol=1e-6)
    assert finished.is_contiguous(memory_format=layout)  # else the network's first layer has to turn it round
    gray = images[:, :1]
    assert torch.equal(DeviceTransform(MEAN, STD)(gray), DeviceTransform(MEAN, STD)(gray.expand(-1, 3, -1, -1)))
    boxes = np.array([[0, 0, 0, 0], [2, 1, 5, 4], [0, 0, 8, 6]])
    erased = DeviceTransform(MEAN, STD)(images, boxes)
    for ours, image, box in zip(erased, reference, boxes.tolist(), strict=True):
        assert torch.allclose(ours, F.erase(image, *box, torch.tensor(0.0)), atol=1e-6)


def test_arrays_and_files_are_cropped_alike(rng):
    images = torch.from_numpy(rng.integers(0, 256, (40, 3, 20, 30), dtype=np.uint8))
    for size in (8, 16, 24, 40):  # smaller and larger than the crops
        boxes = random_crops(rng.random((40, CHANCES)), np.full(40, 20), np.full(40, 30), 0.08)
        flips = rng.random(40) < 0.5
        at_once, one_by_one = (resized_crops(kind, boxes, flips, size) for kind in (images, list(images)))
        assert one_by_one.is_contiguous(memory_format=torch.channels_last)  # which `DeviceTransform` is fast with
        assert (at_once.int() - one_by_one.int()).abs().max() <= 1  # torch rounds between rows and columns too
        for view, image, box, flip in zip(at_once, images, boxes.tolist(), flips, strict=True):
            exact = F.resized_crop(image.double(), *box, [size, size], antialias=True)
            exact = exact.flip(2) if flip else exact
            assert (view - exact).abs().max() < 0.5001


def augmented(augment, images, first: int = 3) -> torch.Tensor:
    return Augmentation(augment, 0)(images, np.arange(first, first + len(images)))[0]


@pytest.fixture
def plain():
    """Augment nothing: only the whole has all of a square's area."""
    augment = compose(["recipe=plain"])[0].config.recipe.augment
    return augment.model_copy(update={"crop_size": 16, "crop_scale": 1.0, "flip": 0.0})


def test_flips_come_as_often_as_asked(plain, rng):
    images = torch.from_numpy(rng.integers(0, 256, (400, 3, 16, 16), dtype=np.uint8))
    for kind in (images, list(images)):
        assert torch.equal(augmented(plain, kind), images)
        assert torch.equal(augmented(plain.model_copy(update={"flip": 1.0}), kind), images.flip(3))
        half = augmented(plain.model_copy(update={"flip": 0.5}), kind)
        mirrored = (half == images.flip(3)).flatten(1).all(1)
        assert torch.equal(half, torch.where(mirrored[:, None, None, None], images.flip(3), images))
        assert 160 < mirrored.sum() < 240


def test_trivial_augment_is_torchvision_s_on_pillow_s_images_after_crop_and_flip(plain, rng):
    images = torch.from_numpy(rng.integers(0, 256, (40, 3, 16, 16), dtype=np.uint8))
    with_crop = plain.model_copy(update={"crop_scale": 0.3, "flip": 0.5})
    before = augmented(with_crop, images)
    state = torch.get_rng_state()
    after = augmented(with_crop.model_copy(update={"auto": "ta_wide"}), images)
    assert torch.equal(torch.get_rng_state(), state)
    for sample, (view, ours) in enumerate(zip(before, after, strict=True), start=3):
        torch.manual_seed(seed_for("augment", 0, sample))
        assert torch.equal(ours, F.pil_to_tensor(v2.TrivialAugmentWide()(F.to_pil_image(view))))
    assert not torch.equal(before, after)


def test_mixing_chooses_mixup_or_cutmix_per_batch():
    augment = compose(["recipe=thesis_resnet50"])[0].config.recipe.augment
    mix = mixing(augment, 10)
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8)
    kinds = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, shares = mix(images, labels)
        assert torch.allclose(shares.sum(1), torch.ones(8))
        own_pixels = (mixed == images).all(1) | (mixed == images.roll(1, 0)).all(1)
        kinds.add("cutmix" if own_pixels.all() else "mixup")
    assert kinds == {"mixup", "cutmix"}
    assert mixing(augment.model_copy(update={"mixup_alpha": 0.0, "cutmix_alpha": 0.0}), 10) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(2, 60), st.integers(0, 99))
def test_shrinking_leaves_the_short_side_and_does_not_depend_on_the_layout(height, width, side, seed):
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))
    small = shrink(image, side)
    if min(height, width) <= side:
        assert small is image
        return
    scale = side / min(height, width)
    assert min(small.shape[1:]) == side
    assert small.shape[1:] == (max(side, int(scale * height + 1e-9)), max(side, int(scale * width + 1e-9)))
    assert torch.equal(shrink(image.permute(1, 2, 0).contiguous().permute(2, 0, 1), side), small)
    by_pillow = F.pil_to_tensor(F.to_pil_image(image).resize((small.shape[2], small.shape[1]), Image.BILINEAR))
    assert (small.int() - by_pillow.int()).abs().max() <= 1
