"""What a run keeps of each validation image."""

import os
from unittest.mock import Mock

import numpy as np
import pytest
from factories.metrics import metrics_by_hand

from datavol.config.trainer import CheckpointConfig
from datavol.data.prepare import prepare
from datavol.runs.files import write_whole
from datavol.runs.folder import RunFolder, runs_of
from datavol.training.callbacks.checkpoints import RunWriter
from datavol.training.callbacks.signals import Signals
from datavol.training.trainer import train


def check(folder: RunFolder) -> None:
    predictions, row = folder.predictions(), folder.rows[-1]
    assert predictions is not None
    shares = np.exp(predictions.log_probabilities.astype(np.float64))
    expected = metrics_by_hand(shares, predictions.classes, predictions.labels)
    assert (expected["top1"], expected["top5"]) == (row["val/top1"], row["val/top5"])
    assert expected == pytest.approx({name: row[f"val/{name}"] for name in expected}, abs=1e-6)


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


@pytest.mark.slow
def test_ranks_keep_one_list_in_the_order_of_the_validation_set(command, elsewhere, tiny):
    ranks = ["trainer.accelerator=cpu", "trainer.devices=3", "trainer.strategy=ddp"]
    size = ["data.image_size=16", "data.resize=16", "recipe.batch_size=96", "fraction=0.25", "trainer.threads=1"]
    answer = command("run", "logger=csv", "epochs=1", *size, *ranks)
    assert answer.returncode == 0, answer.stderr
    (folder,) = runs_of(elsewhere / "studies/digits")
    check(folder)
    np.testing.assert_array_equal(folder.predictions().labels, prepare(tiny().config).source.val.labels)


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "a file system without"])
def test_the_best_checkpoint_stays_when_the_last_is_replaced(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError(1, "Operation not permitted")))
    (tmp_path / "checkpoints").mkdir()
    settings = CheckpointConfig(keep="last_and_best", every_minutes=0, trunk=False)
    keeper = RunWriter(RunFolder(tmp_path), settings, 1, [], Signals(), send=lambda row: None)
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
