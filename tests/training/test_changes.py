"""Notices data and weights that changed under the names of a finished run."""

import json
import os
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

from datavol.config.compose import compose
from datavol.config.run import Run
from datavol.data.prepare import prepare, prepare_run, with_subset
from datavol.data.sources.files import content
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.training.changes import weights_sha256
from datavol.training.evaluation import _check_files
from datavol.training.preflight import check_runs

NETWORK = ["model=timm", "model.name=test_efficientnet", "logger=csv"]


@pytest.fixture
def run_on(photos, elsewhere):
    """Composes runs on the photos."""
    size = ["data.image_size=16", "data.resize=16", "recipe=plain", "recipe.batch_size=8"]
    return lambda *more: compose(["data=image_folder", f"data.root={photos}", *size, *NETWORK, "study=s", *more])[0]


def finish(run: Run, **facts: object) -> RunFolder:
    folder, prepared = RunFolder(run.folder), prepare(run.config)
    folder.start(run.values, run.overrides, prepared.manifest, prepared.subset.indices)
    folder.update(state="finished", config=run.values, **facts)
    return folder


def overwrite(photos: Path) -> None:
    for image in photos.rglob("*.png"):
        Image.new("RGB", (32, 24), "gray").save(image)


@pytest.mark.parametrize("next_run", [["seed=0"], ["seed=1"], ["fraction=0.5"]], ids=["same", "new", "other subset"])
def test_changed_pixels_are_warned_of_when_a_run_of_the_study_starts(next_run, run_on, photos, capsys):
    folder = finish(run_on("seed=0"))
    check_runs([run_on(*next_run)])
    assert capsys.readouterr().err == ""
    overwrite(photos)
    check_runs([run_on(*next_run), run_on("seed=7")])
    assert capsys.readouterr().err == (
        "datavol: warning: files of data=image_folder have changed under the same names since runs of studies/s were "
        f"trained ({folder.path.name}); bring them back, or try sweep.rerun=true or another study=...\n"
    )
    for remedy in ("study=another", "sweep.rerun=true"):
        check_runs([run_on("seed=0", remedy)])
    assert capsys.readouterr().err == ""


def test_records_of_earlier_versions_have_nothing_to_compare(run_on, photos, capsys):
    folder = finish(run_on())
    manifest = folder.manifest
    del manifest["content"]
    (folder.path / "subset.json").write_text(json.dumps(manifest))
    overwrite(photos)
    check_runs([run_on()])
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # the check of sizes needs no numbers
def test_weights_replaced_under_their_name_stop(run_on, tmp_path):
    weights = tmp_path / "w.pt"
    network = timm.create_model("test_efficientnet")
    torch.save(network.state_dict(), weights)
    run = run_on(f"model.weights={weights}")
    before = weights_sha256(run.config.model)
    finish(run, weights_sha256=before)
    check_runs([run])
    torch.nn.init.zeros_(network.classifier.weight)
    torch.save(network.state_dict(), weights)
    after = weights_sha256(run.config.model)
    with pytest.raises(ConfigError) as caught:
        check_runs([run])
    assert str(caught.value) == (
        f"model.weights must be the file that {run.folder} was started from (sha256 {before[:12]}), got {after[:12]} "
        f"in {weights}; bring it back, or try sweep.rerun=true or another study=..."
    )
    check_runs([run_on(f"model.weights={weights}", "sweep.rerun=true")])
    check_runs([run_on(f"model.weights={weights}", "study=another")])


def test_runs_without_a_file_of_weights_have_no_hash(run_on):
    assert weights_sha256(run_on().config.model) is None


def nudge(photos: Path) -> None:
    """Change one byte of one training image, beyond the files that are sampled."""
    file = photos / "train/dog/03.png"
    content, times = bytearray(file.read_bytes()), file.stat()
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("next_run", [["seed=0"], ["fraction=0.5"]], ids=["same", "new"])
def test_verified_files_that_changed_are_refused(next_run, run_on, photos, monkeypatch):
    monkeypatch.setattr(content, "READ", 0)
    finish(run_on("seed=0", "data.verify=true"))
    check_runs([run_on(*next_run, "data.verify=true")])
    nudge(photos)
    check_runs([run_on(*next_run)])  # the sample does not see it
    with pytest.raises(ConfigError, match=r"must be those that runs of studies/s were trained on, as data.verify=true"):
        check_runs([run_on(*next_run, "data.verify=true")])
    for remedy in ("study=another", "sweep.rerun=true"):
        check_runs([run_on("seed=0", "data.verify=true", remedy)])


def test_a_run_checked_with_other_bytes_is_not_trained(run_on, photos):
    run = run_on("data.verify=true")
    checked = with_subset(run, prepare(run.config))
    prepare_run(checked)
    nudge(photos)
    with pytest.raises(ConfigError, match=r"data must stay as they were when the run was checked \(content_sha256 "):
        prepare_run(checked)


def test_an_evaluation_of_changed_files_is_refused_if_verified(run_on, photos):
    run = run_on("data.verify=true")
    manifest = prepare(run.config).manifest
    _check_files(manifest, prepare(run.config))
    nudge(photos)
    with pytest.raises(ConfigError, match=r"files must be those that the run was trained on"):
        _check_files(manifest, prepare(run.config))
    _check_files(manifest, prepare(run_on().config))
