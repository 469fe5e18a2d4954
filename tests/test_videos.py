"""Frames of one clip on both sides of a split flatter; a small version of `python -m benchmarks.videos`."""

import numpy as np
import pytest
import torch

from benchmarks.videos import NETWORK, nearest_neighbour, write_clips
from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.load.study import load_study
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.tables.summaries import learning_curve_points, volume_table
from datavol.training.trainer import train


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    return write_clips(tmp_path / "clips", clips_per_class=6, frames=5)


def train_small(*overrides):
    torch.set_num_threads(1)
    small = ["logger=csv", "data=table", *NETWORK, "epochs=1", *overrides]
    (run,) = compose(small)
    prepared = prepare(run.config)
    train(run, prepared)
    return RunFolder(run.folder), prepared


def test_a_random_split_of_frames_flatters_a_nearest_neighbour(tmp_path):
    right = nearest_neighbour(write_clips(tmp_path, clips_per_class=12), splits=3)
    assert right["random"] > right["clips"] + 0.05


def test_runs_by_groups_and_by_items_are_two_curves_of_one_study(clips):
    table = [
        f"data.table={clips}/clips.csv",
        "data.val_fraction=0.34",
        "data.group=clip",
        "fraction=0.5",
        "study=clips",
    ]
    by_groups, prepared = train_small(*table, "draw_by=groups")
    by_items, _ = train_small(*table)
    groups, of_val = prepared.source.train.groups, prepared.source.val.groups
    assert not set(groups) & set(of_val)
    for folder, drawn in ((by_groups, 20), (by_items, 40)):
        held = set(groups[folder.indices].tolist())
        assert (folder.manifest["size"], folder.manifest["groups"]["drawn"], len(held)) == (100, drawn, drawn)
        assert folder.manifest["groups"]["train"] == 40
        assert np.array_equal(folder.predictions().groups, of_val)
    study = load_study("studies/clips")
    assert [finding.name for finding in audit(study) if finding.severity == "major"] == []
    by_name = {curve.name: curve for curve in curves_of_study(study)}
    assert [name.rpartition("(")[2] for name in by_name] == ["whole groups)", "images of all groups)"]
    for curve in by_name.values():
        assert str(curve.grouped).startswith("100 validation images of 20 groups count as ")
        assert curve.test_size <= curve.test_images
    table = volume_table(study.runs)
    assert table[["drawn", "groups"]].to_numpy().tolist() == [["whole groups", 20], ["images of all groups", 40]]
    points = learning_curve_points(study.runs)
    assert points["label"].str.endswith(", whole groups").sum() == 1
    size = curve.grouped.effective
    p = points["accuracy"]
    assert (points["high"] - points["low"] >= (p * (1 - p) / size) ** 0.5).all()  # wider than for 100 images


def test_a_random_split_is_a_major_finding(clips):
    folder, prepared = train_small(f"data.table={clips}/random.csv", "data.group=clip", "fraction=1", "study=random")
    assert prepared.source.lines[-1].startswith("warning: ")
    assert f"{folder.manifest['groups']['shared']} groups lie in train and in val (clip" in prepared.source.lines[-1]
    (finding,) = (one for one in audit(load_study("studies/random")) if one.name == "shared_groups")
    assert finding.severity == "major"
    seen = np.isin(prepared.source.val.groups, prepared.source.train.groups).mean()
    assert f"with {100 * seen:.3g} % of the validation images" in finding.what
