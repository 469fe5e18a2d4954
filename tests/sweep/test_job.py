from dataclasses import replace

import numpy as np
import pytest

from datavol.config.compose import compose
from datavol.data.prepare import prepare, prepare_run, with_subset
from datavol.errors import ConfigError
from datavol.sweep.job import read_job, write_job


@pytest.fixture
def carried(tmp_path):
    """A run as its process reads it, with the subset that was drawn before."""
    (run,) = compose(["fraction=0.1", "seed=2"])
    write_job(tmp_path / "job.json", with_subset(run, prepare(run.config)))
    assert read_job(tmp_path / "job.json") == run
    return read_job(tmp_path / "job.json")


def test_a_run_survives_the_file_between_launcher_and_process(tmp_path):
    (run,) = compose(["fraction=0.125", "data=fashion_mnist", "logger.tags=[a,b]", "recipe=thesis_resnet50"])
    write_job(tmp_path / "job.json", run)
    assert read_job(tmp_path / "job.json") == run


def test_a_job_trains_on_the_subset_that_it_carries_and_draws_none(carried, monkeypatch):
    drawn = prepare(carried.config)
    monkeypatch.setattr("datavol.data.prepare.draw_subset", lambda *_: pytest.fail("a subset was drawn"))
    prepared = prepare_run(carried)
    assert np.array_equal(prepared.subset.indices, drawn.subset.indices)
    assert prepared.manifest == drawn.manifest


def test_a_job_refuses_other_data_and_another_list(carried):
    with pytest.raises(ConfigError, match="data must stay as they were when the run was checked"):
        prepare_run(replace(carried, manifest={**carried.manifest, "fingerprint": "f" * 64}))
    with pytest.raises(ConfigError, match="a subset must be the one of its manifest"):
        prepare_run(replace(carried, indices=carried.indices[1:]))
