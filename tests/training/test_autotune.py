"""What `auto` stands for is a study's: decided once, read by every later run, kept by a run that goes on."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.runs.folder import RunFolder
from datavol.training import autotune as settling
from datavol.training.autotune import FILE, recorded_auto, resolve_auto
from datavol.training.trainer import train

OPEN = ["trainer.precision=auto", "trainer.memory_format=auto"]
DECIDED = {"precision": "bf16-mixed", "memory_format": "contiguous", "compile": False, "cudnn_benchmark": False}


def settled(run):
    return resolve_auto(run, prepare(run.config))


@pytest.fixture
def decided(monkeypatch) -> list[str]:
    """Stands for the timing; the list names the networks that were timed."""
    timed: list[str] = []

    def decide(config, prepared):
        timed.append(config.model.name)
        return DECIDED

    monkeypatch.setattr(settling, "_timed", decide)
    return timed


def test_a_study_decides_once_for_each_network_and_size(tiny, elsewhere, decided):
    for run in (tiny(*OPEN), tiny(*OPEN, "fraction=0.5", "seed=3"), tiny(*OPEN, "model=resnet50")):
        assert settled(run).trainer.precision == "bf16-mixed"
    assert decided == ["mobilenet_v2", "resnet50"]
    entries = json.loads(Path("studies/digits", FILE).read_text())
    assert list(entries) == ["mobilenet_v2, 16 px", "resnet50, 16 px"]
    settled(tiny(*OPEN, "study=another"))
    assert len(decided) == 3


def test_what_is_given_is_no_matter_of_the_study(tiny, elsewhere, decided):
    config = settled(tiny(*OPEN, "trainer.precision=32"))
    assert (config.trainer.precision, config.trainer.memory_format) == (DECIDED["precision"], "contiguous")
    assert settled(tiny()).trainer.precision == "32"
    assert len(json.loads(Path("studies/digits", FILE).read_text())) == 1
    assert decided == ["mobilenet_v2"]


def test_a_plan_decides_without_writing(tiny, elsewhere, decided):
    run = tiny(*OPEN)
    assert resolve_auto(run, prepare(run.config), keep=False).trainer.memory_format == "contiguous"
    assert not Path("studies").exists()


def test_a_run_that_goes_on_keeps_its_own(tiny, elsewhere, decided):
    run = tiny(*OPEN, "epochs=1")
    train(run, prepare(run.config))
    record = RunFolder(run.folder).record
    assert {name: record[name] for name in DECIDED} == DECIDED
    assert record["config"]["trainer"]["precision"] == "auto"
    Path("studies/digits", FILE).unlink()
    assert settled(run).trainer.precision == "bf16-mixed"
    assert recorded_auto(run.config, record).trainer.memory_format == "contiguous"
    assert recorded_auto(run.config, {}).trainer.precision == "32"


def test_the_hash_holds_what_the_user_wrote(tiny):
    assert tiny(*OPEN).config.run_hash == tiny(*OPEN, "trainer.memory_format=contiguous").config.run_hash
    assert tiny(*OPEN).config.run_hash != tiny("trainer.precision=32").config.run_hash


def _settle_in_a_process(place: str, answers) -> None:
    import os

    os.chdir(place)
    run = compose(["logger=csv", "data.image_size=16", "data.resize=16", "recipe.batch_size=128"])[0]
    answers.put(settled(run).trainer.model_dump())


@pytest.mark.slow
def test_processes_that_start_at_once_agree(elsewhere):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_settle_in_a_process, args=(str(elsewhere), answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert found[0] == found[1] == found[2]
    assert len(json.loads(Path("studies/digits", FILE).read_text())) == 1


@pytest.fixture
def photographs(tiny, photos):
    """A run on image files of 24 x 32 pixels."""
    files = [
        "data=image_folder",
        f"data.root={photos}",
        "recipe=plain",
        "data.crop_scale=0.3",
        "fraction=1",
        "epochs=2",
    ]
    sizes = ["data.image_size=16", "data.resize=18", "recipe.batch_size=8"]
    return lambda *overrides: tiny(*files, *sizes, *overrides)


def test_images_that_fit_are_shrunk_and_cached_and_others_are_not(photographs, elsewhere):
    config = settled(photographs("study=fits"))
    assert (config.data.short_side, config.data.cache) == (256, "disk")
    config = settled(photographs("study=does_not", "data.cache_gb=0.00001"))
    assert (config.data.short_side, config.data.cache) == (None, "off")
    # what a study has decided once holds, though it would fit now
    config = settled(photographs("study=does_not", "data.cache_gb=50"))
    assert (config.data.short_side, config.data.cache) == (None, "off")
    config = settled(photographs("study=off", "data.cache=off"))
    assert (config.data.short_side, config.data.cache) == (None, "off")
    config = settled(photographs("study=asked", "data.cache=disk", "data.cache_gb=0.00001"))
    assert (config.data.short_side, config.data.cache) == (256, "disk")
    config = settled(photographs("study=larger", "data.resize=300"))
    assert config.data.short_side == 300
    config = settled(photographs("study=given", "data.short_side=20", "data.cache=off"))
    assert (config.data.short_side, config.data.cache) == (20, "off")


def test_the_cache_makes_no_difference_to_what_is_found(photographs, elsewhere):
    def rows(*overrides: str) -> list[dict[str, float]]:
        run = photographs("data.short_side=18", *overrides)
        train(run, prepare(run.config))
        timed = ("seconds/train", "seconds/val", "images_per_second")
        assert RunFolder(run.folder).record["short_side"] == 18
        return [{name: row[name] for name in row if name not in timed} for row in RunFolder(run.folder).rows]

    plain = rows("data.cache=off", "study=off")
    assert rows("data.cache=disk", "study=disk") == plain
    assert rows("data.cache=disk", "study=again", "data.workers=2") == plain
    assert (
        rows("data.cache=disk", "study=full", "data.cache_gb=0.00002", f"data.cache_dir={elsewhere / 'other'}") == plain
    )
