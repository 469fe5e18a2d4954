"""What a run keeps of each validation image."""

import os

import numpy as np
import pytest

from datavol.config.trainer import CheckpointConfig
from datavol.data.prepare import prepare
from datavol.runs.files import write_whole
from datavol.runs.folder import RunFolder, runs_of
from datavol.training.callbacks.checkpoints import RunWriter
from datavol.training.callbacks.signals import Signals
from datavol.training.trainer import train


def metrics_of(predictions) -> dict[str, float]:
    """The metrics that `metrics.csv` holds, an image at a time."""
    top = np.exp(predictions.log_probabilities.astype(np.float64))
    hits = predictions.classes == predictions.labels[:, None]
    margins = (top[:, 0] - top[:, 1]) / top[:, 0]
    bins = np.clip(np.ceil(top[:, 0] * 15).astype(int) - 1, 0, 14)
    gaps = [abs(np.sum(hits[bins == b, 0]) - np.sum(top[bins == b, 0])) for b in range(15)]
    return {
        "val/margin_correct": margins[hits[:, 0]].mean(),
        "val/margin_incorrect": margins[~hits[:, 0]].mean(),
        "val/calibration_error": sum(gaps) / len(top),
    }


def check(folder: RunFolder) -> None:
    predictions, row = folder.predictions(), folder.rows[-1]
    assert predictions is not None
    hits = predictions.classes == predictions.labels[:, None]
    assert (hits[:, 0].mean(), hits.any(1).mean()) == (row["val/top1"], row["val/top5"])
    for name, value in metrics_of(predictions).items():
        assert value == pytest.approx(row[name], abs=1e-6), name


def test_predictions_give_back_the_metrics_of_the_last_evaluation(little, elsewhere):
    run = little("predictions=all", "epochs=2")
    prepared = prepare(run.config)
    train(run, prepared)
    folder = RunFolder(run.folder)
    check(folder)
    last, first = folder.predictions(), folder.predictions("budget_epoch_0001")
    np.testing.assert_array_equal(last.labels, prepared.source.val.labels)
    np.testing.assert_array_equal(last.classes, folder.predictions("budget_epoch_0002").classes)
    assert (first.classes != last.classes).any()


def test_predictions_are_kept_only_if_asked(little, elsewhere):
    run = little("predictions=none", "epochs=1")
    train(run, prepare(run.config))
    assert RunFolder(run.folder).predictions() is None


def test_ranks_keep_one_list_in_the_order_of_the_validation_set(command, elsewhere, tiny):
    ranks = ["trainer.accelerator=cpu", "trainer.devices=3", "trainer.strategy=ddp"]
    size = ["data.image_size=16", "data.resize=16", "recipe.batch_size=96", "fraction=0.25", "trainer.threads=1"]
    answer = command("run", "logger=csv", "epochs=1", *size, *ranks)
    assert answer.returncode == 0, answer.stderr
    (folder,) = runs_of(elsewhere / "studies/digits")
    check(folder)
    np.testing.assert_array_equal(folder.predictions().labels, prepare(tiny().config).source.val.labels)


@pytest.fixture
def keeper(tmp_path) -> RunWriter:
    (tmp_path / "checkpoints").mkdir()
    settings = CheckpointConfig(keep="last_and_best", every_minutes=0)
    return RunWriter(RunFolder(tmp_path), settings, 1, [], Signals(), send=lambda row: None)


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "a file system without"])
def test_the_best_checkpoint_stays_when_the_last_is_replaced(links, keeper, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: forbidden())
    last, best = keeper.folder.checkpoint("last"), keeper.folder.checkpoint("best")
    write_whole(last, b"first")
    for _ in range(2):  # a run that goes on does it again
        keeper.copy_last("best")
        assert best.samefile(last) is links
        assert best.read_bytes() == b"first"
        assert sorted(file.name for file in last.parent.iterdir()) == [best.name, last.name]
    write_whole(last, b"second")
    assert best.read_bytes() == b"first"
    keeper.copy_last("best")
    assert best.read_bytes() == b"second"


def forbidden() -> None:
    raise PermissionError(1, "Operation not permitted")
