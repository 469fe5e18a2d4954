"""The real commands, as a user types them."""

import json
import re
import time

import numpy as np
import pytest
import torch
import yaml
from factories.small_runs import SMALL
from factories.wandb_file import read_wandb_file

from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.runs.folder import runs_of
from datavol.training.evaluation import load_weights
from datavol.training.trainer import build_module

QUICK = [*SMALL, "epochs=1"]


@pytest.fixture
def on_photos(command, photos):
    """Trains on the photographs, and gives the answer."""
    options = ["data=image_folder", f"data.root={photos}", "recipe=plain", "logger=csv", *QUICK, "recipe.batch_size=9"]
    return lambda: command("run", *options)


def test_a_sweep_trains_each_run_once_and_the_second_time_finds_them_finished(command, elsewhere):
    options = ["-m", "model=timm", "model.name=test_efficientnet,test_byobnet", "fraction=0.25", *QUICK]
    first = command("run", *options)

    assert first.returncode == 0, first.stderr
    finished, *reached, command_line = first.stdout.splitlines()[-4:]
    assert finished == "2 of 2 runs finished"
    names = ["model.name=test_efficientnet: top-1 ", "model.name=test_byobnet: top-1 "]
    assert [line.startswith(name) for line, name in zip(reached, names, strict=True)] == [True, True]
    assert command_line == "next: python -m datavol.report studies/digits"
    folders = runs_of(elsewhere / "studies/digits")
    assert [folder.state for folder in folders] == ["finished"] * 2
    assert len(list(elsewhere.rglob("run-*.wandb"))) == 2  # one W&B run each, offline
    assert [path.name for path in (*elsewhere.iterdir(), *elsewhere.glob("studies/*"))] == ["studies", "digits"]
    ended = [folder.record["ended"] for folder in folders]

    second = command("run", *options)

    assert second.stdout.count("is finished already") == 2
    assert second.returncode == 0
    assert [folder.record["ended"] for folder in folders] == ended

    report = command("report", "studies/digits", "--runs")
    assert report.stdout.count("finished") == 2
    figure = elsewhere / "studies/digits/figures/accuracy_against_volume.png"
    assert "page: studies/digits/report.html\n" in report.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_one_failed_run_does_not_stop_the_others(command, elsewhere):
    options = ["recipe.optimiser.lr=0.001,1e30", "logger=csv", *QUICK, "recipe.optimiser.name=sgd"]
    answer = command("run", "-m", *options)

    assert answer.returncode == 1
    assert "1 of 2 runs finished" in answer.stdout
    assert re.search(r"failed: studies/digits/\S+: the loss was not finite at iteration \d+", answer.stderr)
    assert "again: python -m datavol.run recipe.optimiser.lr=1e+30" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_single_run_says_what_it_does_and_then_that_it_is_done(command, elsewhere):
    options = ["fraction=0.25", "logger=csv", *QUICK, "trainer.precision=auto", "trainer.memory_format=auto"]
    first = command("run", *options)
    (path,) = elsewhere.glob("studies/digits/*pct*")
    ending = (
        r"finished: top-1 \d+\.\d % of 359 validation images, after training on \d+ images \(25 %\); "
        rf"guessing gives 10\.3 %\nrecord: {path.relative_to(elsewhere)}\n"
        r"next, for a curve: python -m datavol.run -m fraction=0\.125,0\.25,0\.5,1 logger=csv .*\n"
    )
    progress = r"mobilenet_v2 25 %: budget epoch 1/1, top-1 \d+\.\d %, 00:00 left\n"
    assert re.fullmatch(progress + ending, first.stdout)
    assert [line.partition(":")[0] for line in first.stderr.replace("datavol: ", "").splitlines()] == [
        "digits",
        "train",
        "val is 0.2 of it, drawn",
        "trains mobilenet_v2 from scratch, recipe small",
    ]
    assert yaml.safe_load((path / ".hydra/overrides.yaml").read_text())[0] == "fraction=0.25"
    again = f"{path.relative_to(elsewhere)} is finished already\n"
    assert re.fullmatch(re.escape(again) + ending, command("run", *options).stdout)
    assert "mobilenet_v2, 16 px" in json.loads((elsewhere / "studies/digits/autotune.json").read_text())


def test_changed_data_are_noticed_before_a_finished_run_is_skipped(on_photos, photos):
    assert on_photos().returncode == 0
    (photos / "train/cat/00.png").rename(photos / "train/cat/99.png")
    answer = on_photos()
    assert answer.returncode == 2
    assert answer.stderr.startswith("datavol: data must be those of the manifest in studies/image_folder/")


def test_the_offline_wandb_file_holds_curves_summary_and_config(command, elsewhere):
    keys = ["logger.tags=[pilot]", "logger.group=first", "trainer.log_every_n_steps=5"]
    answer = command("run", "fraction=0.25", *keys, *QUICK, "epochs=2")
    assert answer.returncode == 0
    ((folder,), (file,)) = runs_of(elsewhere / "studies/digits"), elsewhere.rglob("run-*.wandb")
    wandb = read_wandb_file(file)

    sync = f"`wandb sync {folder.path.relative_to(elsewhere)}/wandb/offline-run-*` sends it"
    assert answer.stderr.count(f"datavol: W&B: offline; {sync}\n") == 1
    points = [(row["iteration"], row["epoch"], "train/loss_step" in row) for row in wandb.rows]
    assert points == [(5, 0, True), (10, 0, True), (12, 0, False), (15, 1, True), (20, 1, True), (24, 1, False)]
    for row, kept in zip(wandb.rows[2::3], folder.rows, strict=True):
        assert {name: row[name] for name in kept} == kept
        assert row["trainer/global_step"] == row["iteration"]
    assert not {"epoch", "trainer/global_step", "train/loss_step"} & set(folder.rows[0])
    summary, last = wandb.summary, folder.record["last"]
    assert {name: summary[name] for name in last} == last
    assert {name: summary[f"best/{name}"] for name in last} == folder.record["best"]
    composed = {name: part for name, part in folder.values.items() if name not in ("plan", "sweep", "schema_version")}
    settled = ("precision", "compile", "cudnn_benchmark")
    composed["trainer"] |= {name: folder.record[name] for name in settled}
    assert {name: wandb.config[name] for name in composed} == composed
    assert not {"plan", "sweep"} & set(wandb.config)
    assert wandb.config["recipe"]["optimiser"]["lr"] == folder.values["recipe"]["optimiser"]["lr"]
    assert wandb.run.run_group == "first"
    assert "pilot" in wandb.run.tags
    assert wandb.run.display_name == folder.path.name


@pytest.mark.slow
def test_a_wandb_server_that_is_not_there_costs_a_warning_and_nothing_else(command, elsewhere, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    answer = command("run", "fraction=0.25", *QUICK, "logger.mode=online")

    assert answer.returncode == 0
    assert answer.stderr.count("W&B") == 1
    assert "wandb sync" in answer.stderr
    assert [run.state for run in runs_of(elsewhere / "studies/digits")] == ["finished"]
    (file,) = elsewhere.rglob("offline-run-*/run-*.wandb")
    assert len(read_wandb_file(file).rows) == 1


def without_cache(stderr: str) -> list[str]:
    """The lines of a command, without those of images that are cached (anew)."""
    return [line.removeprefix("datavol: ") for line in stderr.splitlines() if not line.startswith("image cache: ")]


def test_torchvision_weights_are_evaluated_and_anything_more_is_refused(command, elsewhere):
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    torch.save(mobilenet_v2(num_classes=10).state_dict(), elsewhere / "weights.pth")
    small = ["data.image_size=16", "data.resize=16"]
    answer = command("evaluate", "weights.pth", *small)
    assert answer.returncode == 0
    assert all(text in answer.stdout for text in ("weights", "359 validation images"))

    torch.save({"state_dict": time.sleep}, elsewhere / "unsafe.pth")
    refused = command("evaluate", "unsafe.pth", *small)
    assert refused.returncode == 2
    *found, line = without_cache(refused.stderr)
    assert line.startswith("a checkpoint must hold weights and plain values alone, got ")
    assert len(found) == 3  # the data, train and val
    missing = command("evaluate", "none.pth", *small)
    assert missing.stderr == "datavol: a checkpoint must be a file, got none.pth; check the path\n"


def test_files_that_hold_no_weights_of_the_network_are_refused(tiny, tmp_path):
    run = tiny("model=resnet50")
    module = build_module(run.config, prepare(run.config))
    torch.save({"classifier.1.weight": torch.zeros(10, 1280)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="must be of the configured network"):
        load_weights(module, tmp_path / "weights.pth")
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="must hold weights and plain values alone"):
        load_weights(module, tmp_path / "damaged.pth")


def test_an_evaluation_on_other_data_says_so(command, elsewhere, on_photos, photos):
    assert on_photos().returncode == 0
    (path,) = elsewhere.glob("studies/image_folder/*pct*")
    same = command("evaluate", str(path), "trainer=cpu")
    assert same.returncode == 0
    assert same.stderr.startswith(f"datavol: {photos}: ")
    found = without_cache(same.stderr)
    assert found[0] == f"{photos}: 3 classes (cat, dog, owl)"
    assert found[1:3] == [
        "train is train: 27 images, 6 (owl) to 12 of a class, median 9",
        "val is val: 12 images, 4 of each class",
    ]
    record = json.loads((path / "run.json").read_text())["subset"]["found"]
    assert record["per_class"]["val"]["least"] == 4
    assert [f"warning: {line}" for line in record["warnings"]] == found[3:]
    (photos / "val/cat/00.png").unlink()
    other = command("evaluate", str(path / "checkpoints/last.ckpt"))
    assert other.returncode == 0
    assert "11 validation images" in other.stdout
    *found, note = without_cache(other.stderr)
    assert note == "note: these are other data than those of the run's manifest"
    assert "val is val: 11 images, 3 (cat) to 4 of a class, median 4" in found


@pytest.mark.slow
def test_an_exported_list_trains_the_same_subset(command, elsewhere):
    listed = command("subset", "fraction=0.1", "draw=nested")
    (elsewhere / "ten.txt").write_text(listed.stdout)
    assert command("run", "subset_file=ten.txt", "logger=csv", *QUICK).returncode == 0
    assert command("run", "fraction=0.1", "draw=nested", "logger=csv", *QUICK).returncode == 0
    lists = [np.load(path) for path in elsewhere.glob("studies/digits/*/subset.npy")]
    assert len(lists) == 2
    np.testing.assert_array_equal(*lists)
    manifests = [json.loads(path.read_text()) for path in elsewhere.glob("studies/digits/*/subset.json")]
    assert {manifest["draw"] for manifest in manifests} == {"nested", "listed"}
    assert len({manifest["sha256"] for manifest in manifests}) == 1
