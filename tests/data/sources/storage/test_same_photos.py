"""The same photographs give the same subsets, pixels and metrics from whatever they lie in."""

import csv
import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from factories.same_photos import FORMS, write_folder

from datavol.config.compose import compose
from datavol.data.images.decode import decode_file
from datavol.data.prepare import Prepared, prepare
from datavol.sweep.job import train_run

OTHERS = [name for name in FORMS if name != "folder"]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the photographs in a form and gives the overrides that open it."""
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    folder = write_folder(tmp_path)

    def write(form: str) -> list[str]:
        place = tmp_path / form
        place.mkdir()
        return FORMS[form](folder, place)

    return write


def prepared(overrides: list[str], *more: str) -> Prepared:
    return prepare(compose([*overrides, "recipe.batch_size=4", *more])[0].config)


def pixels(data: Prepared) -> list[torch.Tensor]:
    return [decode_file(split, i) for split in (data.source.train, data.source.val) for i in range(len(split))]


@pytest.mark.parametrize("form", OTHERS)
def test_subsets_and_pixels_are_those_of_the_folder(form, written):
    folder, other = written("folder"), written(form)
    for fraction in (0.5, 1):
        one, two = (prepared(data, f"fraction={fraction}", "draw_seed=3") for data in (folder, other))
        assert one.subset.manifest("", "") == two.subset.manifest("", "")
        assert one.source.classes == two.source.classes
        for part in ("train", "val"):
            assert np.array_equal(getattr(one.source, part).labels, getattr(two.source, part).labels)
    assert all(torch.equal(*pair) for pair in zip(pixels(one), pixels(two), strict=True))


@pytest.mark.parametrize("form", OTHERS)
def test_workers_read_them(form, written):
    train = prepared(written(form)).source.train
    expected = [train.content(i) for i in range(len(train))]
    assert len(set(expected)) == len(expected)
    assert [one[0] for one in map(train.stamp, range(len(train)))] == [len(content) for content in expected]
    again = pickle.loads(pickle.dumps(train))
    assert [again.content(i) for i in range(len(train))] == expected
    with multiprocessing.get_context("fork").Pool(2) as workers:
        assert workers.map(train.content, range(len(train))) == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("cache", ["off", "disk"])
def test_metrics_are_those_of_the_folder(form, cache, written, elsewhere, tmp_path, little):
    rows = []
    for name in ("folder", form):
        overrides = [
            *written(name),
            f"data.cache={cache}",
            "recipe.batch_size=4",
            f"hydra.run.dir={tmp_path / 'run' / name}",
        ]
        run = little(*overrides, "data.workers=2")
        train_run(run, None)
        with open(run.folder / "metrics.csv", newline="") as file:
            rows.append(
                [
                    {k: v for k, v in row.items() if "seconds" not in k and "second" not in k}
                    for row in csv.DictReader(file)
                ]
            )
    assert rows[0] == rows[1]
    assert len(rows[0]) == 3
