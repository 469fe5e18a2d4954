"""What is said before a training: once for each data set and each network."""

import json

from datavol.config.compose import compose
from datavol.data.prepare import prepare_all
from datavol.training.opening import opening


def lines_of(*overrides: str) -> list[str]:
    runs = compose(overrides, multirun=True)
    return opening(runs, prepare_all([run.config for run in runs]))


def test_a_sweep_over_fractions_and_seeds_has_the_lines_of_one_run():
    lines = lines_of("fraction=0.1,0.2", "seed=0,1", "trainer.precision=32")
    assert lines[:-1] == [
        "digits: 10 classes (0, 1, 2, 3, 4 and 5 more)",
        "train: 1,438 images, 139 (8) to 146 of a class, median 144.5",
        "val is 0.2 of it, drawn: 359 images, 35 (2) to 37 of a class, median 36",
    ]
    assert lines[-1] == "trains mobilenet_v2 from scratch, recipe small: 180 iterations of 32 images, precision 32"


def test_weights_and_budget_are_said_as_they_are(tmp_path):
    weights, start = "model.weights=/w.pth", "start_from=/c.ckpt"
    assert "trains mobilenet_v2 from the weights /w.pth, recipe small" in lines_of(weights)[-1]
    assert "trains mobilenet_v2 from ImageNet weights" in lines_of("model.weights=imagenet")[-1]
    assert "trains mobilenet_v2 from /c.ckpt" in lines_of(weights, start)[-1]
    assert ": 7 passes of 32 images" in lines_of("budget=epochs", "epochs=7", "fraction=0.1,0.5")[-1]


def test_the_precision_is_the_one_that_the_study_has_chosen(elsewhere):
    assert lines_of()[-1].endswith("precision auto, which the first run settles")
    (elsewhere / "studies/digits").mkdir(parents=True)
    size = compose([])[0].config.recipe.augment.crop_size
    chosen = {f"mobilenet_v2, {size} px": {"precision": "bf16-mixed"}}
    (elsewhere / "studies/digits/autotune.json").write_text(json.dumps(chosen))
    assert lines_of()[-1].endswith("precision bf16-mixed")


def test_of_many_networks_the_first_are_named():
    lines = lines_of("recipe.batch_size=1,2,4,8,16")
    assert sum(line.startswith("trains ") for line in lines) == 3
    assert lines[-1] == "and 2 more networks or recipes"
