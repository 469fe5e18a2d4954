from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import transforms as v1

from datavol.composition import compose
from datavol.data.images import EvaluationImages, TrainingImages, collate
from datavol.data.preparation import prepare
from datavol.data.sources import DamagedImage, open_source
from datavol.data.transforms import evaluation_transform, mixing, seeded, training_transform

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def folder(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    return compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=8"])[0].config


def to_array(image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy())


@pytest.mark.parametrize("damaged", [[0], [3, 4], [11], [0, 11], list(range(11))])
def test_the_next_sound_image_of_the_class_in_the_subset_takes_its_place(damaged, folder, photos):
    for i in damaged:
        (photos / f"train/cat/{i:02d}.png").write_bytes(b"x")
    source = open_source(folder.data)
    subset = np.array([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 20])  # without 6: it must never stand in
    images = TrainingImages(source.train, subset, to_array, 0, replace=True)
    cats = [i for i in subset.tolist() if i < 12]
    for position in cats:
        after = [*cats[cats.index(position) :], *cats[: cats.index(position)]]
        sound = [i for i in after if i not in damaged]
        skipped = after[: after.index(sound[0])] if sound else after
        if not sound:
            continue
        sample = images[0, position]
        assert torch.equal(sample.image, to_array(source.train.image(sound[0])))
        assert sample.damaged == tuple(f"cat/{i:02d}.png" for i in skipped)


def test_a_class_without_a_sound_image_stops(folder, photos):
    for i in range(12):
        (photos / f"train/cat/{i:02d}.png").write_bytes(b"x")
    source = open_source(folder.data)
    images = TrainingImages(source.train, np.arange(27), to_array, 0, replace=True)
    with pytest.raises(DamagedImage, match=r"every image of a class of the subset is damaged, cat/00.png among them"):
        images[0, 0]


def test_an_evaluation_leaves_damaged_images_out_without_a_gap(folder, photos):
    (photos / "val/dog/01.png").write_bytes(b"x")
    source = open_source(folder.data)
    images = EvaluationImages(source.val, lambda image: to_array(image).permute(2, 0, 1), skip=True)
    batch = collate([images[i, i] for i in range(12)])
    assert (len(batch.images), batch.labels.tolist()) == (11, [0] * 4 + [1] * 3 + [2] * 4)
    assert batch.damaged == ("dog/01.png",)
    assert len(collate([images[5, 5]]).images) == 0
    with pytest.raises(DamagedImage, match=r"val/dog/01.png"):
        EvaluationImages(source.val, to_array, skip=False)[5, 5]


def test_augmentation_depends_on_seed_and_place_alone(folder):
    recipe = compose(["recipe=thesis_resnet50"])[0].config.recipe
    augment = recipe.augment.model_copy(update={"crop_size": 16, "erase": 0.5})
    prepared = prepare(folder)
    samples = [(k, k % 27) for k in range(40)]

    def seen(order_seed: int, workers: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        transform = training_transform(augment, MEAN, STD)
        images = TrainingImages(prepared.source.train, prepared.subset.indices, transform, order_seed, False)
        loader = DataLoader(images, batch_size=8, sampler=samples, num_workers=workers, collate_fn=collate)
        return torch.cat([batch.images for batch in loader])

    first = seen(0, 0, 0)
    assert torch.equal(first, seen(0, 2, 1))
    assert not torch.equal(first, seen(1, 0, 0))
    assert not torch.equal(first[0], first[27])  # the same image at another place of the run


def test_seeded_leaves_the_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)


def test_the_evaluation_transform_is_the_reference_preset_s(photos):
    from PIL import Image

    image = Image.open(photos / "val/owl/00.png").resize((400, 300))
    evaluate = compose(["data=imagenet", "data.root=x", "recipe=thesis_resnet50"])[0].config.recipe.evaluate
    reference = v1.Compose([v1.Resize(256), v1.CenterCrop(224), v1.ToTensor(), v1.Normalize(MEAN, STD)])
    assert torch.allclose(evaluation_transform(evaluate, MEAN, STD)(image), reference(image), atol=1e-6)


def test_the_training_transform_has_the_thesis_s_steps_in_the_reference_s_order():
    def steps(recipe: str) -> list[str]:
        data = ["data=digits"] if recipe == "small" else ["data=imagenet", "data.root=x"]
        augment = compose([*data, f"recipe={recipe}"])[0].config.recipe.augment
        return [type(step).__name__ for step in training_transform(augment, MEAN, STD).transforms]

    tensor = ["PILToTensor", "ToDtype", "Normalize"]
    assert steps("thesis_mobilenet_v2") == ["RandomResizedCrop", "RandomHorizontalFlip", *tensor]
    assert steps("thesis_resnet50") == [
        "RandomResizedCrop", "RandomHorizontalFlip", "TrivialAugmentWide", *tensor, "RandomErasing",
    ]  # fmt: skip
    assert "RandomHorizontalFlip" not in steps("small")  # digits: a mirrored digit is another sign


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
