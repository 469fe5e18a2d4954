"""What a run keeps of each validation image."""

from __future__ import annotations

import numpy as np
import pytest

from datavol.data.preparation import prepare
from datavol.records import RunFolder, runs_of
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


def test_predictions_give_back_the_metrics_of_the_last_evaluation(tiny, elsewhere):
    run = tiny("predictions=all", "epochs=2")
    prepared = prepare(run.config)
    train(run, prepared)
    folder = RunFolder(run.folder)
    check(folder)
    last, first = folder.predictions(), folder.predictions("budget_epoch_0001")
    np.testing.assert_array_equal(last.labels, prepared.source.val.labels)
    np.testing.assert_array_equal(last.classes, folder.predictions("budget_epoch_0002").classes)
    assert (first.classes != last.classes).any()


def test_predictions_are_kept_only_if_asked(tiny, elsewhere):
    run = tiny("predictions=none", "epochs=1")
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
