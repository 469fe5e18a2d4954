"""Longer runs that begin with the first part of a shorter one are, bit for bit, those that nobody helped."""

import shutil
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from factories.small_runs import TWO_RANKS, timeless

from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.planning.plan import plan_runs
from datavol.runs.folder import RunFolder, runs_of
from datavol.study.load.study import load_study
from datavol.training import record as record_module
from datavol.training import trainer as trainer_module
from datavol.training.callbacks.monitoring import Progress
from datavol.training.preflight import check_runs
from datavol.training.trainer import train

SMALLER = [
    "recipe=small_wsd",
    "data.images=80",
    "recipe.batch_size=16",
    "data.audit=false",
]  # 5 iterations per budget epoch


class Stopped(Exception):
    """Stands for whatever kills a process."""


@pytest.fixture
def trained(little, elsewhere):
    """Trains a run of so many budget epochs in a study."""

    def train_it(study: str, epochs: int, *overrides: str) -> RunFolder:
        run = little(*SMALLER, f"study={study}", f"epochs={epochs}", *overrides)
        train(run, prepare(run.config))
        return RunFolder(run.folder)

    return train_it


def kept(folder: RunFolder, name: str = "last") -> dict:
    return torch.load(folder.checkpoint(name), weights_only=True)


def equal(first, second) -> bool:
    """Compare nested values, tensors by their bits."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[name], second[name]) for name in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def assert_same(branch: RunFolder, alone: RunFolder) -> None:
    assert branch.path.name == alone.path.name  # so a run's hash
    assert timeless(branch.rows) == timeless(alone.rows)
    parts = "state_dict", "optimizer_states", "lr_schedulers"
    assert all(equal(kept(branch)[part], kept(alone)[part]) for part in parts)
    for ours, theirs in zip(vars(branch.predictions()).values(), vars(alone.predictions()).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


RECIPES = {
    "mixed, with dropout": "recipe.augment.mixup_alpha=1 recipe.augment.cutmix_alpha=1 recipe.augment.erase=0.5",
    "averaged, in micro-batches, in bfloat16": "recipe.ema.decay=0.9 recipe.ema.every=3 recipe.accumulate=2 "
    "recipe.clip_norm=0.5 recipe.schedule.min_lr=0.0001 trainer.precision=bf16-mixed",
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_rungs_on_one_trunk_are_the_runs_alone_bit_for_bit(recipe, trained):
    extra = RECIPES[recipe].split()
    alone = trained("alone", 6, *extra)
    shortest = trained("rungs", 2, *extra, "checkpoint.trunk=true")
    middle = trained("rungs", 4, *extra, "checkpoint.trunk=true", f"trunk={shortest.path}")
    longest = trained("full", 6, *extra, f"trunk={middle.path}")
    assert_same(longest, alone)
    assert longest.state == "finished"
    assert [folder.rows[-1]["lr"] < folder.rows[-2]["lr"] for folder in (middle, longest)] == [True] * 2

    # where each first part came from, and what it had cost
    assert alone.record["trunk"] is None
    about = longest.record["trunk"]
    named = {"study": "rungs", "name": middle.path.name, "budget_epoch": 3, "iteration": 15}
    assert {name: about[name] for name in named} == named
    assert about["hashes"] == [folder.record["hash"] for folder in (middle, shortest)]
    assert [one["budget_epoch"] for one in longest.record["sessions"]] == [0, 1, 3]
    assert longest.rows[:3] == middle.rows[:3]  # with the seconds that they took


def test_seconds_that_were_taken_over_are_told_apart(trained):
    trunk = trained("rungs", 2, "checkpoint.trunk=true")
    branch = trained("rungs", 3, "trunk=studies/rungs")
    runs = load_study(trunk.path.parent).runs.set_index("epochs")
    spent = runs["seconds_train"] + runs["seconds_val"]
    own = sum(row["seconds/train"] + row["seconds/val"] for row in branch.rows[1:])
    assert spent[3] - runs.loc[3, "trunk_seconds"] == pytest.approx(own)
    assert np.isnan(runs.loc[2, "trunk_seconds"])
    assert trunk.path.name in runs.loc[3, "trunk"]
    assert pd.isna(runs.loc[2, "trunk"])
    assert runs.loc[3, "started"] == branch.record["sessions"][-1]["started"]


def test_a_study_gives_the_longest_trunk_that_fits_and_a_plan_counts_what_is_left(trained, little):
    for line in ("epochs=2", "epochs=3", "epochs=3 seed=1", "epochs=5"):
        trained("rungs", 0, *line.split(), "checkpoint.trunk=true")
    run = little(*SMALLER, "epochs=4", "study=full", "trunk=studies/rungs")
    (plan,) = plan_runs([run])
    assert (plan.state, plan.epochs_left) == ("missing", 2)  # 3 budget epochs cool down after 2; 5 too late, after 4
    branch = trained("full", 4, "trunk=studies/rungs")
    assert branch.record["trunk"]["hashes"] == [little(*SMALLER, "epochs=3").config.run_hash]


def test_the_best_checkpoint_of_a_trunk_comes_along(trained, monkeypatch):
    """An evaluation early in the trunk is made the best of all."""
    written = Progress.on_validation_end

    def flattered(self, trainer, module):
        if trainer.current_epoch == 0:
            module.measured["val/top1"] = 2.0
        written(self, trainer, module)

    monkeypatch.setattr(Progress, "on_validation_end", flattered)
    trunk = trained("rungs", 4, "checkpoint.trunk=true")
    branch = trained("full", 5, "checkpoint.keep=all", f"trunk={trunk.path}")
    assert branch.record["best"]["budget_epoch"] == 1
    best = kept(branch, "best")
    assert best["global_step"] == 5
    assert [path.stem for path in branch.checkpoints] == [*(f"budget_epoch_000{e}" for e in (3, 4, 5)), "best", "last"]
    again = trained("other", 6, f"trunk={branch.path}")  # keep=all keeps a trunk as well
    assert again.record["trunk"]["budget_epoch"] == 4


WHEN = {"before the checkpoint": 0, "within the first epoch": 12, "in a later epoch": 17}


def test_killed_at_any_time_the_same_command_goes_on(trained, monkeypatch):
    alone = trained("alone", 5)
    trunk = trained("rungs", 3, "checkpoint.trunk=true")
    for number, (when, iteration) in enumerate(WHEN.items()):

        class Dying(Progress):
            def on_train_batch_end(self, trainer, pl_module, *_):
                if pl_module.iteration == iteration:  # noqa: B023
                    raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(trainer_module, "Progress", Dying)
            if iteration == 0:
                patched.setattr(record_module, "take_over", Mock(side_effect=Stopped))
            with pytest.raises(Stopped):
                trained(f"full{number}", 5, f"trunk={trunk.path}")
        if when == "in a later epoch":  # what was taken over is the run's own
            shutil.rmtree(trunk.path)
        branch = trained(f"full{number}", 5, f"trunk={trunk.path}")
        assert_same(branch, alone)
        assert branch.record["trunk"]["budget_epoch"] == 2
        assert branch.record["sessions"][0]["taken_over"]


def test_a_run_that_was_stopped_before_it_had_its_trunk_can_do_without(trained, monkeypatch):
    trunk = trained("rungs", 3, "checkpoint.trunk=true")
    with monkeypatch.context() as patched:
        patched.setattr(record_module, "take_over", Mock(side_effect=Stopped))
        with pytest.raises(Stopped):
            trained("full", 4, f"trunk={trunk.path}")
    branch = trained("full", 4)
    assert [row["budget_epoch"] for row in branch.rows] == [1, 2, 3, 4]
    assert branch.record["trunk"] is None
    assert branch.record["seconds"]["train"] == pytest.approx(sum(row["seconds/train"] for row in branch.rows))


REFUSED = {
    "trunk=nowhere": r"trunk must be the folder of a run or of a study, got nowhere; check the path, or",
    "recipe.optimiser.lr=0.01": r"differs in epochs alone, got {trunk}, which differs in recipe.optimiser.lr; try",
    "fraction=0.5": r"differs in epochs alone, got {trunk}, which differs in fraction; try the run of the same fr",
    "seed=1": r"differs in epochs alone, got {trunk}, which differs in draw_seed, init_seed, order_seed; try",
    "epochs=2": r"cools down after budget epoch 1 or before, as this one does, got {trunk}, which does after 2; try",
    "recipe=small": r"trunk must be left out unless the schedule is wsd, .* got cosine; .* try recipe=small_wsd",
    "start_from=a.ckpt": r"trunk must be null with start_from",
    "epochs=1 recipe.schedule.warmup_epochs=0": r"epochs must leave a budget epoch before .* trunk, got 1; try ep",
    "trainer.devices=2": r"trainer.devices must stay what the run started with \(1 ranks\)",
    "trunk=studies/alone": r"trunk must be a study with a run .* after budget epoch 3 or before .* got studies/alone",
    "trunk=studies/alone/*": r"checkpoint.trunk=true keeps, got studies/alone/.*, which has kept none; train it so",
    "sweep.rerun=true recipe.optimiser.lr=0.01": r"differs in epochs alone, got {trunk}, which differs in recipe.opt",
    "no rows": r"metrics.csv has the rows of its checkpoint, got {trunk}, where those of trunk.ckpt are others",
    "rows": r"metrics.csv has the rows of its checkpoint, got {trunk}, where those of trunk.ckpt are others",
    "data": r"data must be those that the run of trunk was trained on, got others than {trunk}/subset.json names",
    "checkpoint": r"got {trunk}/checkpoints/trunk.ckpt, which is damaged or holds more; train that run again",
}


@pytest.fixture
def two(trained):
    """Trains a run that kept its trunk, and one that did not."""
    trained("alone", 3)
    return trained("rungs", 3, "checkpoint.trunk=true")


def test_what_is_no_trunk_is_refused_in_one_line_before_anything_is_written(two, little):
    whole = {path: path.read_bytes() for path in two.path.rglob("*") if path.is_file()}
    (alone,) = runs_of(two.path.parents[1] / "alone")
    damage = {
        "no rows": (two.path / "metrics.csv", whole[two.path / "metrics.csv"], b""),
        "rows": (two.path / "metrics.csv", b"1,5,", b"1,6,"),
        "data": (two.path / "subset.json", two.manifest["fingerprint"].encode(), b"0" * 64),
        "checkpoint": (two.checkpoint("trunk"), whole[two.checkpoint("trunk")][5000:5050], bytes(50)),
    }
    for line, message in REFUSED.items():
        options = [] if line in damage else line.replace("studies/alone/*", str(alone.path)).split()
        if line in damage:
            file, before, after = damage[line]
            file.write_bytes(whole[file].replace(before, after))
        with pytest.raises(ConfigError, match=message.format(trunk=two.path)) as refused:
            check_runs([little(*SMALLER, "study=full", "epochs=4", f"trunk={two.path}", *options)])
        assert "\n" not in str(refused.value)
        for path, content in whole.items():
            path.write_bytes(content)
    assert not (two.path.parents[1] / "full").exists()


@pytest.mark.slow
def test_two_ranks_share_a_trunk(command, elsewhere):
    size = ["data.image_size=16", "data.resize=16", *SMALLER, "model=timm", "model.name=test_efficientnet"]
    size += ["logger=csv", "trainer.precision=32", "trainer.threads=1", *TWO_RANKS]
    for line in ("study=rungs epochs=2 checkpoint.trunk=true", "study=full epochs=4 trunk=studies/rungs"):
        assert command("run", *size, *line.split()).returncode == 0
    assert command("run", *size, "study=alone", "epochs=4").returncode == 0
    (branch,), (alone,) = (runs_of(elsewhere / "studies" / study) for study in ("full", "alone"))
    assert_same(branch, alone)
    answer = command("run", *size, "study=other", "epochs=4", "trunk=studies/rungs", "trainer.devices=1")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
