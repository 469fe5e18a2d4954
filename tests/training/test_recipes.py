"""Parts of recipes against the libraries' own in plain loops, and through kills."""

import numpy as np
import pytest
import timm
import torch
from factories.dying import die
from factories.small_runs import timeless
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from datavol.data.prepare import prepare
from datavol.runs.folder import RunFolder
from datavol.runs.randomness import permutation
from datavol.training.evaluation import load_weights
from datavol.training.trainer import build_data, build_module, train

SMALLER = ["data.images=160", "recipe.batch_size=16", "epochs=2"]  # 10 iterations per budget epoch
PLAIN = ["recipe=plain", "recipe.augment.flip=0", "recipe.augment.crop_scale=1", "trainer.memory_format=contiguous"]


def trained(run) -> RunFolder:
    train(run, prepare(run.config))
    return RunFolder(run.folder)


def kept(folder: RunFolder) -> dict:
    return torch.load(folder.checkpoint("last"), weights_only=True)


def network_of(state: dict) -> dict[str, torch.Tensor]:
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


def batches(run):
    """Yield (images, labels) of each iteration, without augmentation, by the module's own arithmetic."""
    config, data = run.config, prepare(run.config)
    mean, std = torch.tensor(config.data.mean)[:, None, None], torch.tensor(config.data.std)[:, None, None]
    pixels = torch.from_numpy(data.source.train.images)[:, None].double()
    enlarged = F.interpolate(pixels, size=(16, 16), mode="bilinear").add(0.5).floor().float()
    images, labels = enlarged.sub(255 * mean).mul(1 / (255 * std)), torch.from_numpy(data.source.train.labels)
    subset, size = data.subset.indices, config.recipe.batch_size
    order = np.concatenate([subset[permutation(len(subset), "order", 0, p)] for p in range(9)])
    for iteration in range(data.budget.iterations):
        positions = torch.from_numpy(order[iteration * size : (iteration + 1) * size])
        yield images[positions], labels[positions]


def fresh_network(run) -> torch.nn.Module:
    torch.manual_seed(run.config.init_seed)
    return timm.create_model("test_efficientnet", num_classes=10, drop_rate=0.0)


def test_a_plain_loop_of_timm_and_torch_gives_the_same_weights_and_average(little, elsewhere):
    """Lamb, a polynomial schedule, micro-batches, clipping and an average: each by its library's own."""
    extra = ["recipe.optimiser.name=lamb", "recipe.optimiser.lr=0.01", "recipe.optimiser.weight_decay=0.02"]
    extra += ["recipe.schedule.name=poly", "+recipe.schedule.k_decay=2", "recipe.accumulate=4", "recipe.clip_norm=0.5"]
    extra += ["recipe.ema.decay=0.9", "recipe.ema.every=3", "recipe.ema.start=0.25", "recipe.dropout=0"]
    run = little(*PLAIN, *SMALLER, *extra)
    folder = trained(run)

    network = fresh_network(run)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimiser = create_optimizer_v2(network.parameters(), "lamb", lr=0.01, weight_decay=0.02)
    schedule, _ = create_scheduler_v2(
        optimiser, "poly", num_epochs=2, updates_per_epoch=10, step_on_epochs=False, decay_rate=0.1, k_decay=2
    )
    for iteration, (images, labels) in enumerate(batches(run)):
        for part, own in zip(images.chunk(4), labels.chunk(4), strict=True):
            (F.cross_entropy(network(part), own) / 4).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step_update(iteration + 1)
        if iteration % 3 == 0:
            average.update_parameters(network)
        if iteration < 2:  # a quarter of a budget epoch
            average.n_averaged.zero_()
    content = kept(folder)
    assert [row["iteration"] for row in folder.rows] == [10, 20]
    for ours, theirs in (("state_dict", average.module), ("current_model_state", network)):
        for name, value in network_of(content[ours]).items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=1e-4, atol=1e-5, msg=f"{ours} {name}")


RECIPES = {
    "of timm": "recipe.optimiser.name=lamb recipe.schedule.name=tanh recipe.ema.decay=0.9 recipe.clip_norm=0.5 "
    "recipe.accumulate=2 recipe.augment.mixup_alpha=1",
    "of torch": "recipe.optimiser.name=rmsprop recipe.optimiser.lr=0.001 recipe.optimiser.weight_decay=0 "
    "recipe.schedule.name=onecycle recipe.schedule.warmup_epochs=0 recipe.clip_value=0.1 recipe.ema.decay=0.99 "
    "recipe.ema.every=4 recipe.ema.start=1",
    "in layers": "recipe.layer_decay=0.7 recipe.optimiser.decay=weights recipe.schedule.name=multistep "
    "+recipe.schedule.milestones=[1,2] recipe.augment.auto=ta_wide",
}


@pytest.mark.parametrize(("name", "iteration"), [("of timm", 13), ("of torch", 15), ("in layers", 10)])
def test_a_killed_run_goes_on_bit_for_bit(name, iteration, little, elsewhere):
    """Killed inside a budget epoch, or at its end."""
    options = [*SMALLER, *RECIPES[name].split(), "check_every=2", "checkpoint.every_minutes=1e-9"]
    whole = trained(little("study=whole", *options))
    run = little("study=killed", *options)

    die(lambda: trained(run), iteration=iteration)
    folder = trained(run)
    assert timeless(folder.rows) == timeless(whole.rows)
    ours, theirs = kept(folder), kept(whole)
    for part in {"state_dict", "current_model_state"} & set(theirs):
        assert all(torch.equal(value, theirs[part][name]) for name, value in ours[part].items())


def test_an_average_is_evaluated_and_the_weights_go_on(little, elsewhere):
    plain = trained(little("study=plain", *SMALLER))
    run = little("study=averaged", *SMALLER, "recipe.ema.decay=0.5")
    averaged = trained(run)
    assert [row["train/loss"] for row in plain.rows] == [row["train/loss"] for row in averaged.rows]
    prepared = prepare(run.config)
    module, data = build_module(run.config, prepared).eval(), build_data(run.config, prepared)
    load_weights(module, averaged.checkpoint("last"))  # as `evaluate` does
    everything = [(i, i) for i in range(len(prepared.source.val.labels))]
    batch = data.on_after_batch_transfer(data.validation_images.__getitems__(everything), 0)
    with torch.no_grad():
        loss = F.cross_entropy(module(module.finish(batch.images)), batch.labels)
    assert averaged.rows[-1]["val/loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert plain.rows[-1]["val/loss"] != averaged.rows[-1]["val/loss"]
