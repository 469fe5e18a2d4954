"""Every experiment of the thesis is planned for ImageNet and trained on the digits."""

from itertools import product
from pathlib import Path

import pytest
from factories.run_folders import nodes
from factories.small_runs import SMALL

from datavol.config.compose import compose
from datavol.config.section import conf_dir
from datavol.data.prepare import prepare
from datavol.planning.plan import plan_runs
from datavol.runs.folder import runs_of
from datavol.study.load.study import load_study
from datavol.study.tables.summaries import volume_table

THESIS = sorted((conf_dir() / "experiment" / "thesis").glob("*.yaml"))
ON_DIGITS = [*SMALL, "data=digits", "epochs=2", "logger=csv", "recipe.augment.crop_scale=0.5", "trainer=cpu"]
ON_DIGITS += ["trainer.threads=1", "checkpoint.keep=last_and_best"]

ONE_BY_ONE = {
    "plain": {},
    "plain_with_augmentation": {"augment.auto": "ta_wide"},
    "plain_with_mixing": {"augment.mixup_alpha": 1.0, "augment.cutmix_alpha": 1.0},
    "plain_with_erasing": {"augment.erase": 0.1},
    "plain_with_smoothing": {"label_smoothing": 0.1},
    "plain_with_weight_decay": {"optimiser.weight_decay": 4e-5},
    "plain_with_dropout": {"dropout": 0.2},
}


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
    for run in compose([f"experiment={named(file)}", *ON_DIGITS, "epochs=6"], multirun=is_sweep(file)):
        assert prepare(run.config).budget.iterations == 6 * 12  # 6 epochs are above the thesis's warm-up


def test_regularisation_one_by_one_is_one_command_and_each_run_adds_one_means():
    runs = compose(["experiment=regularisation_one_by_one", "data=digits"], multirun=True)
    assert len({run.folder for run in runs}) == 14
    recipes = {run.config.recipe.name: nodes(run.config.recipe.model_dump(exclude={"name"})) for run in runs}
    for name, recipe in recipes.items():
        changed = {path: value for path, value in recipe.items() if value != recipes["plain"][path]}
        assert {path: value for path, value in changed.items() if not isinstance(value, dict)} == ONE_BY_ONE[name]
    seeds = [(run.config.recipe.name, run.config.seed) for run in runs]
    assert seeds == list(product(ONE_BY_ONE, (0, 1)))
    assert {(run.config.fraction, run.config.epochs, run.config.evaluate_train) for run in runs} == {(0.05, 4, True)}


def test_the_plain_recipe_of_both_experiments_is_the_same_run():
    lines = ([f"experiment=regularisation_{name}", "data=digits"] for name in ("off", "one_by_one"))
    off, one_by_one = ({run.folder for run in compose(line, multirun=True)} for line in lines)
    assert len(off & one_by_one) == 1  # 5 %, seed 0


@pytest.mark.slow
def test_regularisation_one_by_one_trains_and_its_tables_name_the_means(command, elsewhere):
    small = [*ON_DIGITS, "epochs=1", "seed=0", "sweep.parallel=1"]
    answer = command("run", "-m", "experiment=regularisation_one_by_one", *small)
    assert answer.returncode == 0, answer.stderr
    table = volume_table(load_study(elsewhere / "studies/regularisation").runs)
    assert set(table["recipe"]) == set(ONE_BY_ONE)
    assert table["runs"].tolist() == [1] * 7


def test_a_restart_asks_for_the_checkpoint_it_goes_on_from(command):
    answer = command("run", "experiment=thesis/restart", *ON_DIGITS)
    assert answer.returncode == 2
    assert answer.stderr.startswith("datavol: start_from must be a checkpoint's file")


@pytest.mark.slow
def test_the_grid_of_mobilenet_v2_trains_on_the_digits(command, elsewhere):
    answer = command("run", "-m", "experiment=thesis/mobilenet_v2_grid", *ON_DIGITS, "epochs=1", "fraction=0.05,1")
    assert answer.returncode == 0, answer.stderr
    shares = [run.record["subset"]["fraction"] for run in runs_of(elsewhere / "studies/thesis_grid")]
    assert sorted(shares) == [0.05, 1]


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in THESIS if file.stem not in ("restart", "repeats")], ids=named)
def test_an_experiment_of_the_thesis_trains_on_the_digits(file, command):
    answer = command("run", *["-m"][: is_sweep(file)], f"experiment={named(file)}", *ON_DIGITS, "epochs=6")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_third_run_of_the_statistical_study_starts_in_the_middle_of_the_first(command, elsewhere):
    small = [*ON_DIGITS, "epochs=4", "recipe=small", "checkpoint.keep=all"]
    assert command("run", "-m", "experiment=thesis/repeats", *small).returncode == 0
    runs = runs_of(elsewhere / "studies/thesis_repeats")
    assert len({run.manifest["sha256"] for run in runs}) == 1
    (first,) = (run for run in runs if run.values["init_seed"] == 0)
    half = first.checkpoint("budget_epoch_0002")
    answer = command("run", "experiment=thesis/restart", *small, f"start_from={half}")
    assert answer.returncode == 0, answer.stderr
    (third,) = (run for run in runs_of(elsewhere / "studies/thesis_repeats") if run.values["order_seed"] == 2)
    assert [row["budget_epoch"] for row in third.rows][-2:] == [3, 4]
    assert third.record["parent"]["budget_epoch"] == 2
