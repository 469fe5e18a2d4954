"""The thesis's learning rates against torch's own schedulers, chained as torchvision's reference train.py does."""

import math

import pytest
import torch
from factories.schedules import scheduled_lrs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from datavol.config.compose import compose
from datavol.config.recipe import ScheduleConfig
from datavol.config.run import Config
from datavol.config.upgrade import upgrade
from datavol.data.budget import plan_budget
from datavol.errors import ConfigError
from datavol.training.optimisation.optimiser import build_optimiser
from datavol.training.optimisation.schedules import build_schedule, stepped_rates

IMAGENET = 1_281_167


def parameter() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(1))]


def reference_lrs(model: str) -> list[float]:
    """The LR of every epoch at 100 %, from the flags of thesis appendix A.2 alone."""
    if model == "mobilenet_v2":  # --epochs 90 --lr 0.045 --wd 0.00004 --lr-step-size 1 --lr-gamma 0.98
        epochs, optimiser = 90, SGD(parameter(), lr=0.045, momentum=0.9, weight_decay=4e-5)
        scheduler = StepLR(optimiser, step_size=1, gamma=0.98)
    else:  # --epochs 60 --lr 0.5 --lr-scheduler cosineannealinglr --lr-warmup-epochs 5 ... linear ... 0.01
        epochs, optimiser = 60, SGD(parameter(), lr=0.5, momentum=0.9, weight_decay=2e-5)
        cosine = CosineAnnealingLR(optimiser, T_max=epochs - 5, eta_min=0.0)
        scheduler = SequentialLR(optimiser, [LinearLR(optimiser, 0.01, total_iters=5), cosine], milestones=[5])
    return scheduled_lrs(optimiser, scheduler, epochs)


def lr_at_every_iteration(config, iterations_per_epoch: int) -> list[float]:
    optimiser = build_optimiser(parameter(), config.recipe.optimiser)
    schedule = build_schedule(optimiser, config.recipe.schedule, config.epochs, iterations_per_epoch)
    every = 1 if config.recipe.schedule.interval == "iteration" else iterations_per_epoch
    return scheduled_lrs(optimiser, schedule, config.epochs * iterations_per_epoch, every)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "batch"), [("mobilenet_v2", 128), ("resnet50", 512)])
def test_lr_at_every_iteration_is_the_reference_s_for_every_fraction(model, batch):
    per_epoch = math.ceil(IMAGENET / batch)
    expected = [lr for lr in reference_lrs(model) for _ in range(per_epoch)]
    choices = ["data=imagenet", "data.root=x", f"model={model}"]
    configs = [run.config for run in compose([*choices, "fraction=0.05,0.125,0.25,0.5,0.75,1"], multirun=True)]
    for config in configs:  # one schedule for all fractions: neither it nor the iterations know the fraction
        budget = plan_budget("iterations", config.epochs, batch, IMAGENET, round(IMAGENET * config.fraction))
        assert (budget.iterations_per_epoch, budget.iterations) == (per_epoch, len(expected))
        assert config.recipe == configs[0].recipe
        assert config.recipe.name == f"thesis_{model}"
    assert configs[0].recipe.batch_size == batch
    assert lr_at_every_iteration(configs[0], per_epoch) == expected


def test_the_step_size_that_the_thesis_blames_changes_nothing_under_cosine():
    base = ["model=resnet50", "recipe=thesis_resnet50"]
    configs = [compose([*base, f"recipe.schedule.step_size={size}"])[0].config for size in (30, 240)]
    assert lr_at_every_iteration(configs[0], 7) == lr_at_every_iteration(configs[1], 7)


def test_by_iteration_a_cosine_moves_smoothly_and_meets_the_epoch_s_at_every_epoch():
    base = ["recipe=thesis_resnet50", "recipe.schedule.warmup_epochs=0"]
    coarse = lr_at_every_iteration(compose(base)[0].config, 10)
    fine = lr_at_every_iteration(compose([*base, "recipe.schedule.interval=iteration"])[0].config, 10)
    assert len(set(fine)) == len(fine)
    assert fine[::10] == pytest.approx(coarse[::10], rel=1e-9)


def test_by_iteration_a_step_may_fall_inside_a_budget_epoch():
    base = ["recipe=thesis_mobilenet_v2", "recipe.schedule.interval=iteration", "recipe.schedule.step_size=0.75"]
    lrs = lr_at_every_iteration(compose(base)[0].config, 8)
    assert lrs[5] == 0.045
    assert lrs[6] == pytest.approx(0.045 * 0.98)
    assert lrs[-1] == pytest.approx(0.045 * 0.98**119)  # 120 - 1 decays: what the thesis's 75 % run did


def test_every_setting_of_appendix_a2_and_of_the_defaults_behind_it():
    mobilenet = compose(["data=imagenet", "data.root=x"])[0].config.recipe
    resnet = compose(["data=imagenet", "data.root=x", "model=resnet50"])[0].config.recipe
    assert (mobilenet.optimiser.momentum, mobilenet.optimiser.weight_decay) == (0.9, 4e-5)
    assert (resnet.optimiser.momentum, resnet.optimiser.weight_decay, resnet.label_smoothing) == (0.9, 2e-5, 0.1)
    assert (resnet.augment.auto, resnet.augment.erase) == ("ta_wide", 0.1)
    assert (resnet.augment.mixup_alpha, resnet.augment.cutmix_alpha) == (1.0, 1.0)
    assert (mobilenet.augment.auto, mobilenet.augment.erase, mobilenet.augment.mixup_alpha) == (None, 0, 0)
    for recipe in (mobilenet, resnet):
        assert (recipe.augment.crop_size, recipe.augment.crop_scale, recipe.augment.flip) == (224, 0.08, 0.5)
        assert (recipe.evaluate.resize, recipe.evaluate.crop_size, recipe.dropout) == (256, 224, None)
    assert compose(["recipe=small"])[0].config.recipe.augment.flip == 0  # a mirrored digit is another sign


def experiment(name: str) -> list:
    return [run.config for run in compose([f"experiment=thesis/{name}", "data.root=x"], multirun=True)]


def test_the_mobilenet_v2_run_at_75_percent_decayed_120_times_instead_of_90():
    """Table 6 rounds 1.33 epochs of the subset to 1; the run as it was is StepLR over 120 such epochs."""
    as_run, meant = experiment("mobilenet_v2_as_run")
    per_epoch = 120  # three quarters of it are whole iterations, as nearly as ImageNet's 10,010
    lrs = lr_at_every_iteration(as_run, per_epoch)
    optimiser = SGD(parameter(), lr=0.045)
    assert lrs == pytest.approx(scheduled_lrs(optimiser, StepLR(optimiser, step_size=1, gamma=0.98), 120 * 90, 90))
    assert lrs[-1] / lr_at_every_iteration(meant, per_epoch)[-1] == pytest.approx(0.98**30)  # 0.55


def test_the_resnet50_run_at_12_5_percent_warmed_up_for_an_eighth_as_long():
    as_run, meant = (lr_at_every_iteration(config, 80) for config in experiment("resnet50_as_run"))
    assert as_run.index(max(as_run)) == 50  # 5 epochs of the subset, 10 iterations each
    assert meant.index(max(meant)) == 400
    cosine = [0.25 * (1 + math.cos(math.pi * k / 4750)) for k in range(4750)]  # the other 475
    assert as_run[50:] == pytest.approx(cosine, abs=1e-9)


LIBRARIES = {
    "onecycle pct_start=0.2": lambda o: OneCycleLR(o, max_lr=0.1, total_steps=104, pct_start=0.2),
    "polynomial power=2": lambda o: PolynomialLR(o, total_iters=104, power=2),
    "cosineannealingwarmrestarts T_0=2": lambda o: CosineAnnealingWarmRestarts(o, T_0=26),
    "multistep milestones=[2,2.5]": lambda o: MultiStepLR(o, milestones=[26, 32], gamma=0.1),
    "cyclic step_size_up=1": lambda o: CyclicLR(o, base_lr=0, max_lr=0.1, step_size_up=13),
    "tanh": lambda o: create_scheduler_v2(o, "tanh", **BY_ITERATION),
    "wsd library=timm decay_epochs=0.5": lambda o: create_scheduler_v2(o, "wsd", decay_epochs=0.5, **BY_ITERATION),
    "poly noise=0.5 noise_seed=3": lambda o: create_scheduler_v2(o, "poly", noise=0.5, noise_seed=3, **BY_ITERATION),
}
"""Eight budget epochs of 13 iterations, each schedule as its library writes it."""
BY_ITERATION = {"num_epochs": 8, "step_on_epochs": False, "updates_per_epoch": 13, "min_lr": 0.0}


@pytest.mark.parametrize("written", LIBRARIES)
def test_a_schedule_of_a_library_s_is_its_own_in_budget_epochs(written):
    name, *options = written.split()
    overrides = [f"recipe.schedule.name={name}", *(f"+recipe.schedule.{one}" for one in options)]
    config = compose(["recipe=plain", "epochs=8", *overrides])[0].config
    optimiser = SGD(parameter(), lr=0.1, momentum=0.9)
    theirs = LIBRARIES[written](optimiser)
    if isinstance(theirs, tuple):  # timm's counts updates itself
        expected = [0.1]
        for update in range(1, 104):
            theirs[0].step_update(update)
            expected.append(optimiser.param_groups[0]["lr"])
    else:
        expected = scheduled_lrs(optimiser, theirs, 104)
    assert lr_at_every_iteration(config, 13) == expected


COOLED = {  # durations in budget epochs of 13 iterations: warm-up, and where the cool-down begins
    "epochs=10": (0.5, 8, 10),
    "epochs=3": (0.5, 2, 3),
    "epochs=8 recipe.schedule.warmup_epochs=1.5 recipe.schedule.min_lr=0.003": (1.5, 6, 8),
    "epochs=8 recipe.schedule.warmup_epochs=0 recipe.schedule.cooldown=0.5": (0, 4, 8),
    "epochs=2 recipe.schedule.cooldown=0.01 recipe.schedule.warmup_epochs=1": (1, 1, 2),
}


@pytest.mark.parametrize("line", COOLED)
def test_wsd_is_torch_s_warm_up_and_constant_rate_then_one_minus_the_root(line):
    config = compose(["recipe=small_wsd", "recipe.optimiser.lr=0.1", *line.split()])[0].config
    warmup, start, end = (round(13 * epochs) for epochs in COOLED[line])
    least = config.recipe.schedule.min_lr / 0.1
    optimiser = SGD(parameter(), lr=0.1)
    parts = [
        LinearLR(optimiser, 0.01, total_iters=max(1, warmup)),
        ConstantLR(optimiser, factor=1.0, total_iters=1),
        LambdaLR(optimiser, lambda step: least + (1 - least) * (1 - (step / (end - start)) ** 0.5)),
    ][warmup == 0 :]
    reference = SequentialLR(optimiser, parts, milestones=[warmup, start][warmup == 0 :])
    lrs = lr_at_every_iteration(config, 13)
    assert lrs == pytest.approx(scheduled_lrs(optimiser, reference, end), rel=1e-12)
    assert lrs[warmup : start + 1] == [0.1] * (start + 1 - warmup)
    assert lrs[-1] < lrs[-2] < 0.1


WSD = {"name": "wsd", "library": None, "target": None, "interval": "iteration", "min_lr": 0.001, "step_size": 1.0}
WSD |= {"gamma": 0.1, "warmup_epochs": 0.5, "warmup_start": 0.01}


@settings(deadline=None, max_examples=30)
@given(shorter=st.integers(2, 30), more=st.integers(0, 30), cooldown=st.floats(0.01, 0.9))
def test_wsd_of_two_lengths_is_one_until_the_shorter_cools_down(shorter, more, cooldown):
    schedule = ScheduleConfig(**WSD, cooldown=cooldown)
    holds = [schedule.hold(epochs) for epochs in (shorter, shorter + more)]
    assume(holds[0] >= 1)
    assert holds[0] <= holds[1]
    assert 1 <= shorter - holds[0] <= cooldown * shorter + 1
    first, second = (stepped_rates(0.1, schedule, epochs, 3, 3 * holds[0] + 1) for epochs in (shorter, shorter + more))
    assert first == second


REFUSED = {
    "recipe=thesis_resnet50 recipe.schedule.name=wsd": "recipe.schedule.interval must be iteration with wsd",
    "recipe=small recipe.schedule.cooldown=0.2": "cooldown must be null unless the schedule is wsd",
    "recipe=small_wsd recipe.schedule.library=timm recipe.schedule.cooldown=0.2": "cooldown must be null unless",
    "recipe=small_wsd +recipe.schedule.decay_epochs=2": "decay_epochs must be left out",
    "recipe=small_wsd recipe.schedule.cooldown=1": "recipe.schedule.cooldown must be the share .* got 1",
    "recipe=small_wsd epochs=4 recipe.schedule.warmup_epochs=3.5": "begins after 3, got 4; try epochs=5$",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_cool_down_that_is_none_is_refused_with_what_to_type(line):
    with pytest.raises(ConfigError, match=REFUSED[line]):
        compose(line.split())


def test_a_record_of_before_wsd_of_datavol_s_own_keeps_its_hash_and_means_timm_s():
    """The hash was written down before `recipe.schedule.cooldown` was there."""
    config = compose(["recipe.schedule.name=wsd", "recipe.schedule.cooldown=null"])[0].config
    assert config.run_name == "mobilenet_v2-100pct-seed0-c3227454"
    values = compose(["recipe=small", "recipe.schedule.name=wsd"])[0].values
    del values["recipe"]["schedule"]["cooldown"]
    assert Config.model_validate(upgrade(values)).run_hash == config.run_hash
    optimiser = SGD(parameter(), lr=0.003)
    theirs, _ = create_scheduler_v2(
        optimiser, "wsd", 4, min_lr=0, warmup_lr=0.00003, warmup_epochs=0.5, step_on_epochs=False, updates_per_epoch=13
    )
    expected = [optimiser.param_groups[0]["lr"]]
    for update in range(1, 52):
        theirs.step_update(update)
        expected.append(optimiser.param_groups[0]["lr"])
    assert lr_at_every_iteration(config, 13) == expected


OPTIMISERS = {
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adagrad lr_decay=0.1": lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.01, lr_decay=0.1),
    "lamb": lambda p: create_optimizer_v2(p, "lamb", lr=0.1, weight_decay=0.01),
    "lion betas=[0.8,0.9]": lambda p: create_optimizer_v2(p, "lion", lr=0.1, weight_decay=0.01, betas=(0.8, 0.9)),
    "lookahead_adan": lambda p: create_optimizer_v2(p, "lookahead_adan", lr=0.1, weight_decay=0.01),
    "sgd library=timm": lambda p: create_optimizer_v2(p, "sgd", lr=0.1, weight_decay=0.01),
}


def few() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(shape)) for shape in ((3, 4), (12,))]


@pytest.mark.parametrize("written", OPTIMISERS)
def test_an_optimiser_of_a_library_s_is_its_own_and_resumes_from_plain_values(written, tmp_path):
    name, *options = written.split()
    overrides = [f"recipe.optimiser.name={name}", "recipe.optimiser.lr=0.1", "recipe.optimiser.weight_decay=0.01"]
    overrides += [f"{'' if 'library' in one else '+'}recipe.optimiser.{one}" for one in options]
    settings = compose(["recipe=plain", *overrides])[0].config.recipe.optimiser
    ours, theirs = few(), few()
    built, reference = build_optimiser(ours, settings), OPTIMISERS[written](theirs)
    for step in range(9):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = other.grad = torch.cos(torch.arange(12.0) * (step + 1)).reshape(one.shape)
        built.step()
        reference.step()
        if step == 4:  # stopped here, and gone on with from a file
            torch.save(built.state_dict(), tmp_path / "state")
            built = build_optimiser(ours, settings)
            built.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
