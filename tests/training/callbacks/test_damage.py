"""Counts damaged images over ranks, evaluations and resumes."""

from types import SimpleNamespace

import pytest

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import RunError
from datavol.runs.folder import RunFolder
from datavol.training.callbacks import damage
from datavol.training.callbacks.damage import Damage

FIRST = SimpleNamespace(is_global_zero=True)


@pytest.fixture
def source(photos, elsewhere):
    return prepare(compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=8"])[0].config).source


@pytest.fixture
def folder(elsewhere):
    folder = RunFolder(elsewhere / "run")
    folder.path.mkdir()
    (folder.path / "run.json").write_text("{}")
    return folder


def meet(callback: Damage, split: str, *keys: str) -> None:
    if split == "train":
        callback.on_train_batch_end(FIRST, None, {"damaged": keys}, None, 0)
    else:
        callback.on_validation_batch_end(FIRST, None, {"damaged": keys}, None, 0, 0)


def evaluate(callback: Damage, *val: str) -> None:
    callback.on_validation_start(FIRST, None)
    meet(callback, "val", *val)
    callback.on_validation_end(FIRST, None)


def test_the_first_is_told_at_once_all_at_evaluations_and_at_the_end(source, folder, capsys):
    callback = Damage(folder, source)
    meet(callback, "train")
    assert capsys.readouterr().err == ""
    meet(callback, "train", "cat/03.png", "cat/04.png")
    meet(callback, "train", "cat/03.png")
    assert capsys.readouterr().err == (
        "datavol: warning: damaged images are replaced, the first is cat/03.png; all are counted at evaluations\n"
    )
    counted = "datavol: warning: 2 damaged training images replaced (2 of 12 of cat)"
    evaluate(callback)
    assert capsys.readouterr().err == f"{counted}\n"
    evaluate(callback, "owl/01.png")
    last = f"{counted}; 1 damaged validation image left out (1 of 4 of owl)\n"
    assert capsys.readouterr().err == last
    evaluate(callback, "owl/01.png")
    callback.on_fit_end(FIRST, None)
    assert capsys.readouterr().err == last
    assert folder.record["damaged"]["train"]["classes"] == {"cat": {"damaged": 2, "of": 12}}


def test_a_run_without_damage_says_nothing(source, folder, capsys):
    callback = Damage(folder, source)
    evaluate(callback)
    callback.on_fit_end(FIRST, None)
    assert capsys.readouterr().err == ""
    assert folder.record["damaged"]["val"] == {"count": 0, "images": [], "classes": {}}


def test_ranks_count_together_and_one_writes(source, folder, monkeypatch, capsys):
    ranks = [Damage(folder, source) for _ in range(2)]
    meet(ranks[0], "train", "cat/03.png")
    meet(ranks[1], "train", "cat/03.png", "dog/00.png")
    sets = [{split: set(one.found[split]) for split in ("train", "val")} for one in ranks]
    sets[1]["val"] = {"owl/02.png"}
    order = iter([split for _ in ranks for split in ("train", "val")])
    monkeypatch.setattr(damage, "gather_objects", lambda keys: [one[split] for split in [next(order)] for one in sets])
    for rank, callback in enumerate(ranks):
        callback.on_validation_end(SimpleNamespace(is_global_zero=rank == 0), None)
    found = folder.record["damaged"]
    assert found["train"]["images"] == ["cat/03.png", "dog/00.png"]
    assert found["val"]["images"] == ["owl/02.png"]
    assert capsys.readouterr().err.count("2 damaged training images") == 1


def test_a_resumed_run_knows_what_was_met_before(source, folder):
    first = Damage(folder, source)
    meet(first, "train", "cat/03.png")
    evaluate(first)
    again = Damage(folder, source)
    evaluate(again)
    assert folder.record["damaged"]["train"]["images"] == ["cat/03.png"]
    within = Damage(RunFolder(folder.path / "another"), source)  # of a checkpoint inside a budget epoch
    within.load_state_dict({"found": {"train": ["dog/01.png"], "val": []}})
    assert within.found["train"] == {"dog/01.png"}


def test_a_class_whose_validation_images_are_all_damaged_stops(source, folder):
    callback = Damage(folder, source)
    with pytest.raises(RunError, match=r"got none whole of the 4 of owl"):
        evaluate(callback, *(f"owl/{i:02d}.png" for i in range(4)))
