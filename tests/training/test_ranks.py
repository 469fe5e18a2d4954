"""One rank against two and three, as real processes over gloo."""

import csv
import itertools

import pytest
import torch
from factories.metrics import metrics_by_hand
from factories.small_runs import SMALL
from torch.nn import functional as F

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.data.sampler import BudgetSampler
from datavol.runs.folder import RunFolder
from datavol.training.evaluation import load_weights
from datavol.training.trainer import build_data, build_module

OPTIONS = [*SMALL, "logger=csv", "recipe.batch_size=96", "fraction=0.25", "trainer.threads=1"]


def on_ranks(count: int) -> list[str]:
    return ["trainer.accelerator=cpu", f"trainer.devices={count}", "trainer.strategy=auto"]


def test_an_evaluation_does_not_depend_on_the_number_of_ranks(command, elsewhere):
    """359 validation images: a prime. Counts are equal, the rest within 1e-6, and NumPy in float64 agrees."""
    assert command("run", *OPTIONS, "epochs=2").returncode == 0
    (checkpoint,) = elsewhere.glob("studies/digits/*/checkpoints/last.ckpt")
    rows = {1: RunFolder(checkpoint.parent.parent).rows[-1]}  # trained and evaluated on one
    for count in (2, 3):  # on three ranks, one has a batch less than the others
        answer = command("evaluate", str(checkpoint), *on_ranks(count), "recipe.batch_size=21", "--csv", f"{count}.csv")
        assert answer.returncode == 0, answer.stderr
        (row,) = csv.DictReader((elsewhere / f"{count}.csv").open())
        rows[count] = {name: float(value) for name, value in row.items() if name.startswith("val/")}
    rows[1] = {name: rows[1][name] for name in rows[2]}

    for count in (2, 3):
        for name in ("val/top1", "val/top5"):
            assert round(rows[count][name] * 359) == round(rows[1][name] * 359)
            assert rows[count][name] * 359 == pytest.approx(round(rows[count][name] * 359), abs=1e-9)
        assert rows[count] == pytest.approx(rows[1], abs=1e-6)
    assert rows[1] == pytest.approx(evaluated_by_hand(checkpoint), abs=1e-6)


def evaluated_by_hand(checkpoint) -> dict[str, float]:
    """The checkpoint's network on the validation images in one batch, its metrics in float64."""
    config = compose([*OPTIONS, "epochs=2"])[0].config
    prepared = prepare(config)
    module = build_module(config, prepared).eval()
    load_weights(module, checkpoint)
    data = build_data(config, prepared)
    images = data.on_after_batch_transfer(data.validation_images.__getitems__([(i, i) for i in range(359)]), 0).images
    labels = prepared.source.val.labels
    with torch.no_grad():
        logits = module(module.finish(images)).double()
    shares, classes = logits.softmax(1).sort(descending=True)
    metrics = {"images": 359, "loss": F.cross_entropy(logits, torch.from_numpy(labels)).item()}
    metrics |= metrics_by_hand(shares.numpy(), classes.numpy(), labels)
    return {f"val/{name}": value for name, value in metrics.items()}


@pytest.mark.slow
def test_training_on_two_ranks_is_training_on_one_without_batch_norm(command, elsewhere):
    """ConvNeXt has no batch norm; dropout and mixing are off, so the ranks share exactly one batch's work."""
    network = ["model=timm", "model.name=convnext_atto", "data.image_size=32", "data.resize=32", "recipe.dropout=0"]
    options = [*OPTIONS, *network, "recipe.batch_size=32", "fraction=0.5", "epochs=1", "recipe.optimiser.name=sgd"]
    # in single precision the order of the sums alone makes 1e-4 of a margin; in double it is slow, hence few images
    options += ["recipe.optimiser.lr=0.001", "trainer.precision=64", "data.images=256"]
    folders = []
    for count in (1, 2):
        answer = command("run", *options, *on_ranks(count), f"study=ranks{count}")
        assert answer.returncode == 0, answer.stderr
        (path,) = elsewhere.glob(f"studies/ranks{count}/*pct*")
        folders.append(RunFolder(path))

    one, two = folders
    assert (one.record["world_size"], two.record["world_size"]) == (1, 2)
    assert one.path.name == two.path.name
    assert len(list(elsewhere.glob("studies/*/*pct*"))) == 2
    for alone, together in itertools.zip_longest(one.rows, two.rows):
        metrics = [name for name in alone if name.startswith(("train/", "val/")) or name in ("lr", "iteration")]
        expected = {name: pytest.approx(alone[name], rel=1e-5) for name in metrics}
        assert {name: together[name] for name in metrics} == expected


@pytest.mark.slow
def test_the_rank_that_failed_first_has_the_say(command, elsewhere, photos):
    """The damaged image is in rank 1's share of the first batch; rank 0 only sees the connection go."""
    options = ["data=image_folder", f"data.root={photos}", "recipe=plain", "data.image_size=16", "data.resize=16"]
    options += ["recipe.batch_size=26", "epochs=1", "logger=csv", "data.workers=0"]
    prepared = prepare(compose(options)[0].config)
    (_, position) = next(iter(BudgetSampler(prepared.subset.indices, prepared.budget, 0, 1, 2)))
    key = prepared.source.train.key(position)
    (photos / "train" / key).write_bytes(b"x")

    answer = command("run", *options, *on_ranks(2))

    (path,) = elsewhere.glob("studies/image_folder/*pct*")
    assert answer.returncode != 0
    assert RunFolder(path).record["state"] == "failed"
    assert key in RunFolder(path).record["reason"]
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_resume_with_another_world_size_is_refused_in_one_line(command, elsewhere):
    options = [*OPTIONS, "epochs=2"]
    assert command("run", *options).returncode == 0
    (path,) = elsewhere.glob("studies/digits/*pct*")
    RunFolder(path).update(state="failed", reason="a test")
    before = (path / "metrics.csv").read_bytes()

    answer = command("run", *options, *on_ranks(2))

    assert answer.returncode == 2
    assert "datavol: trainer.devices must stay what the run started with (1 ranks), got 2" in answer.stderr
    assert (path / "metrics.csv").read_bytes() == before
