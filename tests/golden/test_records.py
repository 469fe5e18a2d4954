"""Records outlive the code: those of the first release are read, evaluated, reported and resumed by today's."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from datavol.config.compose import check
from datavol.config.run import Run
from datavol.data.prepare import prepare_run
from datavol.evaluate import find
from datavol.report import report
from datavol.runs.folder import RunFolder, runs_of
from datavol.study.load.run_data import source_of
from datavol.study.load.study import load_study
from datavol.study.tables.overlap import overlap_per_class
from datavol.sweep.job import read_job, write_job
from datavol.training.evaluation import evaluate
from datavol.training.hardware.autotune import recorded_auto
from datavol.training.trainer import build_module, train

HERE = Path(__file__).parent
FROZEN = HERE / "records"
PUBLISHED = HERE.parents[1] / "examples" / "fashion_mnist"
RECORDS = [run.path for study in (PUBLISHED, *sorted(FROZEN.iterdir())) for run in runs_of(study)]
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
needs_fashion_mnist = pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="apt-get install dataset-fashion-mnist")


@pytest.fixture
def frozen(elsewhere, photos) -> Path:
    """A copy of the frozen studies in the working directory, beside the photographs that one was trained on."""
    shutil.copytree(FROZEN, elsewhere / "studies")
    shutil.copytree(photos, elsewhere / "photos")
    return elsewhere / "studies"


def put_checkpoint(folder: RunFolder) -> None:
    """A checkpoint as Lightning writes it, of a network with first weights."""
    config = recorded_auto(check(folder.values), folder.record)
    module = build_module(config, prepare_run(read_back(folder)))
    content = {"state_dict": module.state_dict(), "epoch": 1, "global_step": folder.record["budget"]["iterations"]}
    folder.checkpoint("last").parent.mkdir(exist_ok=True)
    torch.save(content, folder.checkpoint("last"))


def read_back(folder: RunFolder) -> Run:
    """The run as a job's process gets it, from the values that were recorded."""
    values = folder.values
    return Run((), values, check(values), folder.path, manifest=folder.manifest, indices=folder.indices)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_every_record_gives_its_hash_and_name(path):
    folder = RunFolder(path)
    for values in (folder.values, folder.record["config"]):
        config = check(values)
        assert config.run_hash == folder.record["hash"]
        assert config.run_name == folder.record["name"] == path.name


@pytest.mark.parametrize("study", ["digits_records", "photos_records"])
def test_frozen_runs_are_evaluated_once_a_checkpoint_is_there(frozen, study):
    folder = runs_of(frozen / study)[0]
    put_checkpoint(folder)
    config, checkpoints, found = find(folder.path, [])
    (row,) = evaluate(config, checkpoints, found.record).rows
    assert row["val/images"] == folder.record["validation_images"]
    assert (row["budget_epoch"], row["iteration"]) == (2, folder.record["budget"]["iterations"])


@needs_fashion_mnist
def test_every_published_run_can_be_evaluated(tmp_path):
    for folder in runs_of(PUBLISHED):
        copy = RunFolder(tmp_path / folder.path.name)
        shutil.copytree(folder.path, copy.path)
        copy.checkpoint("last").parent.mkdir()
        copy.checkpoint("last").touch()
        config, checkpoints, _ = find(copy.path, [])
        assert checkpoints == [copy.checkpoint("last")]
        assert config.run_hash == folder.record["hash"]


@needs_fashion_mnist
@pytest.mark.slow
def test_a_published_run_is_evaluated(tmp_path):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(RECORDS[0], folder.path)
    put_checkpoint(folder)
    config, checkpoints, found = find(folder.path, [])
    (row,) = evaluate(config, checkpoints, found.record).rows
    assert row["val/images"] == 10_000


@pytest.mark.parametrize("study", ["digits_records", "photos_records"])
def test_frozen_studies_are_reported(frozen, study, capsys):
    report([frozen / study])
    assert (frozen / study / "report.html").stat().st_size > 50_000
    assert "how much training data is enough?" in capsys.readouterr().out


@needs_fashion_mnist
def test_published_subsets_overlap_class_by_class():
    runs = load_study(PUBLISHED).finished
    some = runs[(runs["fraction"] == 0.05) & (runs["recipe"] == "small") & (runs["model"] == "mobilenet_v2")]
    source = source_of(some["folder"].iloc[0])
    assert source.fingerprint == some["fingerprint"].iloc[0]
    shared = overlap_per_class(some, source.train.labels)
    assert len(shared) == 3 * 10  # three pairs of seeds, ten classes


def test_a_killed_run_resumes_in_the_middle_of_a_budget_epoch(frozen):
    (folder,) = runs_of(frozen / "killed_records")
    run = read_back(folder)
    write_job(frozen / "job.json", run)
    run = read_job(frozen / "job.json")
    first = json.loads(json.dumps(folder.rows))
    torch.set_num_threads(1)
    train(run, prepare_run(run))
    assert folder.state == "finished"
    assert folder.rows[:1] == first
    with (HERE / "killed_run.csv").open() as lines:  # the same run, never killed, as the first release trained it
        for row, whole in zip(folder.rows, csv.DictReader(lines), strict=True):
            assert row["iteration"] == int(whole["iteration"])
            for name in ("lr", "train/loss", "train/top1", "train/margin_correct"):
                assert np.isclose(row[name], float(whole[name]), atol=2e-3), name
