"""Every experiment of the thesis is planned for ImageNet and trained on the digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from datavol.composition import compose, conf_dir
from datavol.data.preparation import prepare
from datavol.plan import plan_runs
from datavol.records import runs_of

THESIS = sorted((conf_dir() / "experiment" / "thesis").glob("*.yaml"))
SMALL = ["data=digits", "epochs=2", "logger=csv", "data.image_size=16", "data.resize=16", "recipe.batch_size=128"]
SMALL += ["recipe.augment.crop_scale=0.5", "trainer=cpu", "trainer.threads=1", "checkpoint.keep=last_and_best"]


def named(file: Path) -> str:
    return file.relative_to(conf_dir() / "experiment").with_suffix("").as_posix()


def is_sweep(file: Path) -> bool:
    return "sweeper:" in file.read_text()


@pytest.mark.parametrize("file", THESIS, ids=named)
def test_an_experiment_of_the_thesis_is_planned_without_imagenet(file):
    sizes = ["plan.images=1281167", "trainer=ddp", "plan.timing=false"]
    plans = plan_runs(compose([f"experiment={named(file)}", *sizes], multirun=is_sweep(file)))
    assert {plan.run.config.data.name for plan in plans} == {"imagenet"}
    assert {len(plan.prepared.source.train.labels) for plan in plans} == {1_281_167}


@pytest.mark.parametrize("file", [file for file in THESIS if file.stem != "restart"], ids=named)
def test_an_experiment_of_the_thesis_can_be_tried_on_the_digits(file):
    small = [*SMALL, "epochs=6"]  # above the thesis's warm-up
    for run in compose([f"experiment={named(file)}", *small], multirun=is_sweep(file)):
        assert prepare(run.config).budget.iterations == 6 * 12


def test_a_restart_asks_for_the_checkpoint_it_goes_on_from(command):
    answer = command("run", "experiment=thesis/restart", *SMALL)
    assert answer.returncode == 2
    assert answer.stderr.startswith("datavol: start_from must be a checkpoint's file")


def test_the_grid_of_mobilenet_v2_trains_on_the_digits(command, elsewhere):
    answer = command("run", "-m", "experiment=thesis/mobilenet_v2_grid", *SMALL, "epochs=1", "fraction=0.05,0.75,1")
    assert answer.returncode == 0, answer.stderr
    shares = [run.record["subset"]["fraction"] for run in runs_of(elsewhere / "studies/thesis_grid")]
    assert sorted(shares) == [0.05, 0.75, 1]


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in THESIS if file.stem not in ("restart", "repeats")], ids=named)
def test_an_experiment_of_the_thesis_trains_on_the_digits(file, command):
    small = [*SMALL, "epochs=6"]
    answer = command("run", *["-m"][: is_sweep(file)], f"experiment={named(file)}", *small, timeout=500)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_third_run_of_the_statistical_study_starts_in_the_middle_of_the_first(command, elsewhere):
    small = [*SMALL, "epochs=4", "recipe=small", "checkpoint.keep=all"]
    assert command("run", "-m", "experiment=thesis/repeats", *small, timeout=500).returncode == 0
    runs = runs_of(elsewhere / "studies/thesis_repeats")
    assert len({run.manifest["sha256"] for run in runs}) == 1
    (first,) = (run for run in runs if run.values["init_seed"] == 0)
    half = f"start_from={first.checkpoint('budget_epoch_0002')}"
    answer = command("run", "experiment=thesis/restart", *small, half, timeout=300)
    assert answer.returncode == 0, answer.stderr
    (third,) = (run for run in runs_of(elsewhere / "studies/thesis_repeats") if run.values["order_seed"] == 2)
    assert [row["budget_epoch"] for row in third.rows][-2:] == [3, 4]
    assert third.record["parent"]["budget_epoch"] == 2
