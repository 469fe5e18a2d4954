"""Tests what is chosen where a command line says no more than `data.root`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datavol.config.compose import compose
from datavol.errors import ConfigError
from datavol.runs.folder import runs_of
from datavol.study.load.study import load_study
from datavol.training.networks.pretrained import URLS
from datavol.training.own_images import compose_own, overrides_in

TINY = ["model=timm", "model.name=test_efficientnet", "logger=csv", "data.audit=false"]


@pytest.fixture
def shapes(tmp_path: Path):
    """Writes photographs in five classes that differ in colour and stripes."""

    def write(each: int, side: int = 40) -> list[str]:
        root, rng = tmp_path / "shapes", np.random.default_rng(0)
        for label in range(5):
            (root / f"class {label}").mkdir(parents=True)
            for i in range(each):
                pixels = rng.integers(0, 120, (side, side + i % 3, 3))
                pixels[:: label + 2, :, label % 3] += 110
                Image.fromarray(pixels.astype(np.uint8)).save(root / f"class {label}" / f"{i}.jpg")
        return ["data=image_folder", f"data.root={root}"]

    return write


def chosen(overrides: list[str], multirun: bool = True) -> list[str]:
    """List what is chosen for a line."""
    return overrides_in(compose_own(overrides, multirun=multirun)[1])


def keys(overrides: list[str]) -> list[str]:
    return [one.partition("=")[0] for one in overrides]


SCRATCH = ["data.val_fraction=0.2", "recipe=small", "data.image_size=64", "data.resize=72", "recipe.batch_size=16",
           "epochs=8", "fraction=0.25,0.5,1", "seed=0,1,2"]  # fmt: skip


def test_data_root_alone_is_enough_and_says_what_was_chosen_and_why(shapes, elsewhere):
    line = shapes(60)
    assert chosen(line) == SCRATCH

    runs, choices = compose_own(line, multirun=True)

    assert [run.config for run in runs] == [run.config for run in compose([*line, *SCRATCH], multirun=True)]
    said = "\n".join(map(str, choices))
    assert all(one in said for one in SCRATCH)
    assert "from scratch, as the ImageNet weights of mobilenet_v2 of torchvision are not in " in said
    assert "model.weights=imagenet" in said
    assert f"curl -L --create-dirs -o {elsewhere.parent}/home/.cache/torch" in said


@pytest.mark.parametrize(
    "given",
    [["recipe=plain", "recipe.batch_size=16", "fraction=0.5,1", "data.val_fraction=0.3"],
     ["recipe=thesis_resnet50", "recipe.batch_size=16", "data.val_fraction=0.2", "seed=0,1"]],
)  # fmt: skip
def test_what_is_given_stays(shapes, elsewhere, given):
    assert chosen([*shapes(15), *given]) == []


@pytest.mark.parametrize(("each", "batch", "fractions"), [(12, 8, "0.25,0.5,1"), (3, 8, "0.6,0.8,1"), (2, None, None)])
def test_batch_and_fractions_fit_the_fewest_images(shapes, elsewhere, each, batch, fractions):
    line = shapes(each)
    given = dict(one.split("=") for one in chosen(line))
    if batch is not None:
        assert (int(given["recipe.batch_size"]), given["fraction"]) == (batch, fractions)
    from datavol.data.prepare import prepare_all

    for one in prepare_all([run.config for run in compose_own(line, multirun=True)[0]]):
        assert min(one.subset.images_per_class) >= 1
        assert one.budget.batch_size <= one.subset.full_size


def test_weights_at_hand_are_fine_tuned(shapes, elsewhere):
    file = elsewhere.parent / "home/.cache/torch/hub/checkpoints" / URLS["mobilenet_v2"].rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.touch()
    overrides = chosen(line := shapes(20))
    assert "recipe=fine_tune" in overrides
    assert "data.image_size" not in keys(overrides)  # a pretrained network keeps the size that it knows
    (config,) = {run.config.model.weights for run in compose([*line, *overrides], multirun=True)}
    assert config == "imagenet"
    assert "recipe=small" in chosen([*line, "model.weights=null"])


def test_the_urls_are_those_that_torchvision_calls_default():
    from torchvision.models import MobileNet_V2_Weights, ResNet50_Weights

    assert {"mobilenet_v2": MobileNet_V2_Weights.DEFAULT.url, "resnet50": ResNet50_Weights.DEFAULT.url} == URLS


def test_validation_images_beside_train_are_not_held_out_once_more(shapes, elsewhere):
    root = Path(shapes(4)[1].partition("=")[2])
    both = root.parent / "both"
    for part in ("train", "val"):
        shutil.copytree(root, both / part)
    assert "data.val_fraction" not in keys(chosen(["data=image_folder", f"data.root={both}"]))
    with pytest.raises(ConfigError, match="which holds val beside train"):
        chosen(["data=image_folder", f"data.root={both / 'train'}"])


def test_frozen_features_and_folds_make_one_row_of_a_study(shapes, elsewhere, command):
    from datavol.training.networks.build import build_network

    line = [*shapes(8), *TINY, "data.image_size=32", "data.resize=32", "data.folds=2", "fraction=1"]
    import torch

    network = build_network(compose([*TINY[:3], "recipe=plain"])[0].config.model, 7, None, 0)
    torch.save(network.state_dict(), elsewhere / "weights.pth")
    line += ["recipe=frozen", "model.weights=weights.pth", "epochs=20", "study=mine"]

    answer = command("run", "-m", *line)

    assert answer.returncode == 0, answer.stderr
    assert "data.fold=0,1, so that every image is validated on once" in answer.stderr
    assert answer.stdout.count("extracting the features of 20 images") + answer.stderr.count("extracting") <= 4
    folders = runs_of(elsewhere / "studies/mine")
    assert [folder.state for folder in folders] == ["finished"] * 2
    study = load_study("studies/mine")
    (row,) = study.runs.to_dict("records")
    accuracies = [folder.record["last"]["val/top1"] for folder in folders]
    assert (row["validation_images"], row["top1"]) == (40, pytest.approx(np.mean(accuracies)))
    assert row["top1"] > 0.4  # guessing gives 0.2

    folders[0].update(state="failed", reason="by hand")
    assert sorted(load_study("studies/mine").runs["state"]) == ["failed", "incomplete"]


@pytest.mark.slow
@pytest.mark.parametrize(("each", "more"), [(60, []), (20, ["data.folds=5"])])
def test_300_photographs_or_100_in_folds_are_learned_from_as_typed(shapes, command, elsewhere, each, more):
    answer = command("run", "-m", *shapes(each), *more, "logger=csv", "study=mine")

    assert answer.returncode == 0, answer.stderr
    runs = load_study("studies/mine").finished
    assert len(runs) == (3 if more else 9)
    whole = runs[runs["fraction"] == 1]
    assert (whole["top1"] > whole["guess_top1"] + 0.1).all()
