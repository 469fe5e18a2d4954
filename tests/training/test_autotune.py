"""Values for `auto` are chosen once per study, read by every later run, and kept by a resumed run."""

import json
import multiprocessing
import os
import re
import time
from pathlib import Path

import pytest
import torch
from factories.small_runs import timeless

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.training.hardware import autotune, precision
from datavol.training.hardware.autotune import recorded_auto, resolve_auto
from datavol.training.hardware.study_choices import FILE, OLD_FILE
from datavol.training.trainer import train

OPEN = ["trainer.precision=auto", "trainer.memory_format=auto"]
CHOSEN = {"precision": "bf16-mixed", "memory_format": "contiguous", "compile": False, "cudnn_benchmark": False}


def resolved(run):
    return resolve_auto(run, prepare(run.config))


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Replaces the choice; the list names the networks that were asked for."""
    names: list[str] = []
    monkeypatch.setattr(autotune, "choose_step_options", lambda config, _: names.append(config.model.name) or CHOSEN)
    return names


def test_a_study_chooses_once_for_each_network_and_size(tiny, elsewhere, asked):
    for run in (tiny(*OPEN), tiny(*OPEN, "fraction=0.5", "seed=3"), tiny(*OPEN, "model=resnet50")):
        assert resolved(run).trainer.precision == "bf16-mixed"
    assert asked == ["mobilenet_v2", "resnet50"]
    entries = json.loads(Path("studies/digits", FILE).read_text())
    assert list(entries) == ["mobilenet_v2, 16 px", "resnet50, 16 px"]
    resolved(tiny(*OPEN, "study=another"))
    assert len(asked) == 3


def test_an_older_study_s_file_stays_in_force_and_new_entries_are_written_beside_it(tiny, elsewhere, asked):
    older = {"mobilenet_v2, 16 px": CHOSEN | {"memory_format": "channels_last"}}
    old_file = Path("studies/digits", OLD_FILE)
    old_file.parent.mkdir(parents=True)
    old_file.write_text(json.dumps(older))
    assert resolved(tiny(*OPEN)).trainer.memory_format == "channels_last"
    assert (asked, Path("studies/digits", FILE).exists()) == ([], False)
    resolved(tiny(*OPEN, "model=resnet50"))
    entries = json.loads(Path("studies/digits", FILE).read_text())
    assert asked == ["resnet50"]
    assert list(entries) == ["mobilenet_v2, 16 px", "resnet50, 16 px"]
    assert entries["mobilenet_v2, 16 px"] == older["mobilenet_v2, 16 px"]
    assert json.loads(old_file.read_text()) == older
    old_file.unlink()
    assert resolved(tiny(*OPEN)).trainer.memory_format == "channels_last"


@pytest.mark.parametrize("name", [FILE, OLD_FILE])
@pytest.mark.parametrize("content", [b"", b'{"a": {', b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_choice_is_one_line_with_a_remedy_that_works(name, content, tiny, elsewhere, asked):
    run = tiny(*OPEN)
    file = run.folder.parent / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{file} must be a whole file [^\n]*; bring it back, or move[^\n]*$"):
        resolved(run)
    file.rename(f"{file}.damaged")
    assert resolved(run).trainer.precision == "bf16-mixed"


def test_what_is_given_is_no_matter_of_the_study(tiny, elsewhere, asked):
    config = resolved(tiny(*OPEN, "trainer.precision=32"))
    assert (config.trainer.precision, config.trainer.memory_format) == (CHOSEN["precision"], "contiguous")
    assert resolved(tiny()).trainer.precision == "32"
    assert len(json.loads(Path("studies/digits", FILE).read_text())) == 1
    assert asked == ["mobilenet_v2"]


def test_a_plan_chooses_without_writing(tiny, elsewhere, asked):
    run = tiny(*OPEN)
    assert resolve_auto(run, prepare(run.config), write=False).trainer.memory_format == "contiguous"
    assert not Path("studies").exists()


def test_a_resumed_run_keeps_its_own(little, elsewhere, asked):
    run = little(*OPEN, "epochs=1")
    train(run, prepare(run.config))
    record = RunFolder(run.folder).record
    assert {name: record[name] for name in CHOSEN} == CHOSEN
    assert record["config"]["trainer"]["precision"] == "auto"
    Path("studies/digits", FILE).unlink()
    assert resolved(run).trainer.precision == "bf16-mixed"
    assert recorded_auto(run.config, record).trainer.memory_format == "contiguous"
    assert recorded_auto(run.config, {}).trainer.precision == "32"


def test_the_hash_holds_what_the_user_wrote(tiny):
    assert tiny(*OPEN).config.run_hash == tiny(*OPEN, "trainer.memory_format=contiguous").config.run_hash
    assert tiny(*OPEN).config.run_hash != tiny("trainer.precision=32").config.run_hash


def test_the_choice_needs_no_clock_and_says_why(tiny, elsewhere, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setattr(precision.StepTimer, "__call__", lambda *_: pytest.fail("a step was timed"))
    options = resolved(tiny(*OPEN)).trainer
    assert (options.precision, options.memory_format, options.compile) == ("32", "channels_last", False)
    (entry,) = json.loads(Path("studies/digits", FILE).read_text()).values()
    assert entry["why"] == "the CPU has no units for bfloat16"


def test_a_timed_choice_is_printed(tiny, elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(precision.StepTimer, "_step", lambda self, lower: burn(0.01 if lower else 0.02))
    assert resolved(tiny(*OPEN)).trainer.precision == "bf16-mixed"
    assert re.fullmatch(
        r"mobilenet_v2: trainer\.precision=bf16-mixed: bf16-mixed was [\d.]+ to [\d.]+ times as fast as 32\n",
        capsys.readouterr().err,
    )


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def resolve_in_a_process(place: str, answers) -> None:
    os.chdir(place)
    little = ["model=timm", "model.name=test_efficientnet", "recipe.dropout=0.2"]
    run = compose(["logger=csv", "data.image_size=16", "data.resize=16", "recipe.batch_size=128", *little])[0]
    answers.put(resolved(run).trainer.model_dump())


@pytest.mark.slow
def test_processes_that_start_at_once_agree(elsewhere):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=resolve_in_a_process, args=(str(elsewhere), answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=500) for _ in processes]
    for process in processes:
        process.join()
    assert found[0] == found[1] == found[2]
    assert len(json.loads(Path("studies/digits", FILE).read_text())) == 1


@pytest.fixture
def photographs(tiny, photos):
    """A run on image files of 24 x 32 pixels."""
    files = ["data=image_folder", f"data.root={photos}", "recipe=plain", "data.crop_scale=0.3", "fraction=1"]
    sizes = ["data.image_size=16", "data.resize=18", "recipe.batch_size=8", "epochs=2"]
    return lambda *overrides: tiny(*files, *sizes, *overrides)


def test_images_that_fit_are_shrunk_and_cached_and_others_are_not(photographs, elsewhere, monkeypatch):
    for study, overrides, expected in [
        ("fits", [], (256, "disk")),
        ("does_not", ["data.cache_gb=0.00001"], (None, "off")),
        ("does_not", ["data.cache_gb=50"], (None, "off")),  # a study's choice holds, though it would fit now
        ("full", [], (256, "disk")),  # the pixels do not depend on the disk's room
        ("off", ["data.cache=off"], (None, "off")),
        ("asked", ["data.cache=disk", "data.cache_gb=0.00001"], (256, "disk")),
        ("larger", ["data.resize=300"], (300, "disk")),
        ("given", ["data.short_side=20", "data.cache=off"], (20, "off")),
    ]:
        if study == "full":
            monkeypatch.setattr("shutil.disk_usage", lambda path: pytest.fail("asked for the room"))
        data = resolved(photographs(f"study={study}", *overrides)).data
        assert (data.short_side, data.cache) == expected, study


def test_the_cache_makes_no_difference_to_what_is_found(photographs, elsewhere):
    def rows(*overrides: str) -> list[dict[str, float]]:
        run = photographs("data.short_side=18", *overrides)
        train(run, prepare(run.config))
        assert RunFolder(run.folder).record["short_side"] == 18
        return timeless(RunFolder(run.folder).rows)

    plain = rows("data.cache=off", "study=off")
    assert rows("data.cache=disk", "study=disk") == plain
    assert rows("data.cache=disk", "study=again", "data.workers=2") == plain
    full = ["data.cache_gb=0.00002", f"data.cache_dir={elsewhere / 'other'}"]
    assert rows("data.cache=disk", "study=full", *full) == plain
