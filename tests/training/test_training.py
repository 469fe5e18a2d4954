"""Whole runs in this process, on tiny images."""

import math
import re
import shutil
import signal
from itertools import count
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from factories.dying import die
from factories.schedules import scheduled_lrs
from factories.small_runs import timeless
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.models import mobilenet_v2

from datavol.data.prepare import prepare
from datavol.errors import ConfigError, RunError
from datavol.runs.folder import WITHIN, RunFolder
from datavol.runs.randomness import permutation
from datavol.study.load.study import load_study
from datavol.training import trainer as trainer_module
from datavol.training.callbacks.monitoring import Progress
from datavol.training.callbacks.signals import Signals
from datavol.training.preflight import check_runs
from datavol.training.record import recorded
from datavol.training.trainer import train


def trained(run) -> RunFolder:
    train(run, prepare(run.config))
    return RunFolder(run.folder)


@pytest.fixture
def stopped():
    """Trains a run that dies once budget epoch `epoch` + 1 is measured but not kept, or in the step of `iteration`."""

    def stop(run, epoch: int | None = None, *, iteration: int | None = None) -> RunFolder:
        die(lambda: trained(run), epoch=epoch, iteration=iteration)
        return RunFolder(run.folder)

    return stop


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return torch.load(folder.checkpoint("last"), weights_only=True)["state_dict"]


def same(first: RunFolder, second: RunFolder) -> bool:
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return timeless(first.rows) == timeless(second.rows) and all(torch.equal(a, b) for a, b in pairs)


def test_a_run_leaves_what_the_contract_says(little, elsewhere):
    run = little("checkpoint.keep=all", "evaluate_train=true")
    folder = trained(run)

    record = folder.record
    assert (record["state"], record["reason"]) == ("finished", None)
    done = [(row["budget_epoch"], row["iteration"], row["images_seen"]) for row in folder.rows]
    assert done == [(e, 12 * e, 12 * e * 128) for e in (1, 2, 3)]
    kinds = ("loss", "top1", "top5", "margin_correct", "margin_incorrect", "calibration_error")
    assert {f"{split}{kind}" for split in ("train/", "val/", "train/clean_") for kind in kinds} < set(folder.rows[0])
    assert record["last"] == folder.rows[-1]
    assert record["best"]["val/top1"] == max(row["val/top1"] for row in folder.rows)
    assert [path.stem for path in folder.checkpoints] == [*(f"budget_epoch_000{e}" for e in (1, 2, 3)), "best", "last"]
    assert (record["world_size"], record["precision"], record["budget"]["iterations"]) == (1, "32", 36)
    indices = np.load(run.folder / "subset.npy")
    assert (folder.manifest["size"], folder.manifest["full_size"]) == (len(indices), 1438)
    assert sum(folder.manifest["images_per_class"]) == len(indices)
    assert folder.values["recipe"]["name"] == "small"
    hidden = {path.name for path in run.folder.rglob(".*")}
    assert hidden <= {".hydra", ".run.json.lock"}  # nothing half written


def test_a_seed_makes_a_run_reproducible_and_workers_do_not_show(little, elsewhere):
    first = trained(little("study=a"))
    assert same(first, trained(little("study=b")))
    assert same(first, trained(little("study=c", "data.workers=2")))
    assert not same(first, trained(little("study=d", "order_seed=1")))


def test_memory_is_kept_and_workers_start_while_there_is_little_of_it_to_fork(tiny, elsewhere, monkeypatch):
    seen, begun, begin = [], [], DataLoader.__iter__

    class Watching(Progress):
        def on_train_epoch_start(self, trainer, pl_module):
            seen.append([loader in begun for loader in trainer.val_dataloaders])

    monkeypatch.setattr(DataLoader, "__iter__", lambda loader: (begun.append(loader), begin(loader))[1])
    monkeypatch.setattr(trainer_module, "Progress", Watching)
    monkeypatch.setattr(trainer_module, "keep_freed_memory", lambda: seen.append("kept"))
    trained(tiny("epochs=1", "evaluate_train=true", "data.workers=1"))
    assert seen == ["kept", [True, True]]


@pytest.mark.parametrize(("done", "workers"), [(0, 0), (1, 0), pytest.param(1, 2, marks=pytest.mark.slow), (2, 0)])
def test_a_stopped_run_goes_on_bit_for_bit(done, workers, little, elsewhere, stopped):
    # mixing, warm-up and momentum could also remember too much or too little
    extra = ["recipe.augment.mixup_alpha=1", "recipe.augment.cutmix_alpha=1", "recipe.augment.erase=0.5"]
    whole = trained(little("study=whole", *extra))
    run = little("study=stopped", *extra, f"data.workers={workers}")
    folder = stopped(run, done)
    assert (folder.state, len(folder.rows)) == ("failed", done)
    assert "Stopped" in folder.record["reason"]

    assert same(whole, trained(run))
    assert (folder.state, len(folder.record["sessions"])) == ("finished", 2)


def test_a_schedule_that_moves_once_an_epoch_is_torch_s_also_after_a_stop(little, elsewhere, stopped):
    recipe = ["recipe=thesis_mobilenet_v2", "recipe.schedule.warmup_epochs=1", "recipe.schedule.gamma=0.5"]
    run = little(*recipe)
    stopped(run, 1)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.045)
    warmup = torch.optim.lr_scheduler.LinearLR(optimiser, 0.01, total_iters=1)
    steps = torch.optim.lr_scheduler.StepLR(optimiser, step_size=1, gamma=0.5)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimiser, [warmup, steps], milestones=[1])
    assert [row["lr"] for row in trained(run).rows] == scheduled_lrs(optimiser, scheduler, 3)


def test_a_row_without_its_checkpoint_is_measured_again(little, elsewhere, stopped):
    whole = trained(little("study=whole"))
    run = little("study=stopped")
    folder = stopped(run, 1)
    folder.write_rows([*folder.rows, folder.rows[0] | {"budget_epoch": 2, "val/top1": 0.99}])
    assert same(whole, trained(run))


def test_a_plain_loop_of_torch_gives_the_same_losses(tiny, elsewhere, monkeypatch):
    """Same subset, order and recipe without augmentation: the loss of each of 50 iterations agrees."""
    plain = ["recipe=plain", "recipe.augment.flip=0", "recipe.augment.crop_scale=1", "recipe.optimiser.lr=0.05"]
    plain += ["recipe.batch_size=32", "epochs=2", "recipe.label_smoothing=0.1", "trainer.memory_format=contiguous"]
    run = tiny(*plain)
    ours: list[float] = []
    monkeypatch.setattr(
        Progress, "on_train_batch_end", lambda self, trainer, module, outputs, *_: ours.append(float(outputs["loss"]))
    )
    trained(run)

    config, data = run.config, prepare(run.config)
    # the module's arithmetic to the bit: with batch norm, a pixel's last bit is a loss's second digit an iteration on
    mean, std = torch.tensor(config.data.mean)[:, None, None], torch.tensor(config.data.std)[:, None, None]
    pixels = torch.from_numpy(data.source.train.images)[:, None].double()
    enlarged = F.interpolate(pixels, size=(16, 16), mode="bilinear").add(0.5).floor().float()
    images = enlarged.sub(255 * mean).mul(1 / (255 * std))
    labels = torch.from_numpy(data.source.train.labels)
    subset = data.subset.indices
    order = np.concatenate([subset[permutation(len(subset), "order", 0, p)] for p in range(5)])
    torch.manual_seed(config.init_seed)
    network = mobilenet_v2(num_classes=10, dropout=0.0)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=90)
    for iteration in range(50):
        batch = torch.from_numpy(order[iteration * 32 : (iteration + 1) * 32])
        loss = F.cross_entropy(network(images[batch]), labels[batch], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        assert ours[iteration] == pytest.approx(loss.item(), rel=1e-5), iteration


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_iteration(tiny, elsewhere, monkeypatch):
    real, training = F.cross_entropy, count(1)

    def spoilt(logits, labels, **options):
        fifteenth = logits.requires_grad and next(training) == 15
        return real(logits, labels, **options) * (math.nan if fifteenth else 1)

    monkeypatch.setattr(F, "cross_entropy", spoilt)
    run = tiny("check_every=5")
    with pytest.raises(RunError, match="not finite at iteration 15;"):
        trained(run)

    folder = RunFolder(run.folder)
    assert (folder.state, "iteration 15" in folder.record["reason"]) == ("failed", True)
    assert [row["budget_epoch"] for row in folder.rows] == [1]
    assert all(torch.isfinite(value).all() for value in weights(folder).values())


def test_an_evaluation_that_is_not_finite_fails_the_run(little, elsewhere):
    """One iteration: its loss is of the first weights, and no later one tells what became of them."""
    run = little("recipe.optimiser.lr=1e30", "recipe.optimiser.name=sgd", "epochs=1", "recipe.batch_size=1438")
    with pytest.raises(RunError, match=r"^the evaluation after iteration 1 was not finite \(val/loss [^\n]*lr"):
        trained(run)
    folder = RunFolder(run.folder)
    assert (folder.state, folder.rows, folder.predictions()) == ("failed", [], None)


FAILURES = {
    "No space left on device": OSError(28, "No space left on device", "studies/x/run.json"),
    "a process that loads images has ended: DataLoader worker (pid 9) is killed by signal: Killed.": RuntimeError(
        "DataLoader worker (pid 9) is killed by signal: Killed. "
    ),
}


@pytest.mark.parametrize("said", FAILURES)
def test_what_ends_a_run_from_outside_is_one_line(said, tmp_path):
    folder, trainer = RunFolder(tmp_path), Mock(world_size=1, is_global_zero=True)
    folder.update(state="running")
    with (
        pytest.raises(RunError, match=rf"^[^\n]*{re.escape(said)}[^\n]*the same command goes on"),
        recorded(folder, trainer, Signals()),
    ):
        raise FAILURES[said]
    assert (folder.state, said in folder.record["reason"]) == ("failed", True)


def test_a_second_signal_does_not_disturb_the_end_that_the_first_has_begun(tmp_path):
    """`timeout` signals its child, then the whole group."""
    folder, signals, before = RunFolder(tmp_path), Signals(), signal.getsignal(signal.SIGTERM)
    folder.update(state="running")

    def signalled_twice() -> None:
        with recorded(folder, Mock(world_size=1), signals):
            signals.on_train_start(Mock(received_sigterm=False), Mock())
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        signalled_twice()
    signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert folder.record["reason"] == "ended by SIGTERM; the same command goes on"


@pytest.mark.parametrize("iteration", [5, 12])
def test_a_run_whose_folder_is_removed_stops_and_makes_no_part_of_it_anew(iteration, little, elsewhere, monkeypatch):
    run = little("check_every=5", "checkpoint.every_minutes=1e-9")

    def remove(self, trainer, module, *_):
        if module.iteration == iteration:
            shutil.rmtree(run.folder)

    monkeypatch.setattr(Progress, "on_train_batch_end", remove)
    with pytest.raises(
        RunError, match=rf"^{run.folder} must stay while its run trains, got no run\.json; type the comm"
    ):
        trained(run)
    assert not run.folder.exists()


@pytest.mark.parametrize("damage", ["cut", "in its middle", "of another run"])
def test_a_damaged_checkpoint_is_refused_and_nothing_measured_is_lost(damage, little, elsewhere, stopped):
    run = little()
    folder = stopped(run, 2)
    last, rows = folder.checkpoint("last"), folder.table
    content = last.read_bytes()
    middle = len(content) // 2
    if damage == "of another run":
        values = torch.load(last, weights_only=True)
        values["callbacks"]["RunWriter"]["hash"] = "00000000"
        torch.save(values, last)
    else:
        last.write_bytes(content[:middle] + (b"" if damage == "cut" else bytes(64) + content[middle + 64 :]))
    with pytest.raises(ConfigError, match=rf"^[^\n]*{last}[^\n]*sweep\.rerun=true[^\n]*$"):
        trained(run)
    assert folder.table == rows


def test_start_from_goes_on_with_another_order_in_a_folder_of_its_own(little, elsewhere):
    parent_run = little("checkpoint.keep=all")
    parent = trained(parent_run)
    middle = parent.checkpoint("budget_epoch_0002")
    run = little(f"start_from={middle}", "order_seed=1")
    assert run.folder != parent_run.folder
    child = trained(run)

    (row,), ours = child.rows, parent.rows[2]
    assert (row["budget_epoch"], row["iteration"], row["lr"]) == (3, 36, ours["lr"])
    assert row["val/loss"] != ours["val/loss"]
    about = child.record["parent"]
    assert (about["name"], about["budget_epoch"], about["iteration"]) == (parent_run.config.run_name, 2, 24)


@pytest.mark.slow
def test_start_from_refuses_what_does_not_fit(tiny, elsewhere):
    last = trained(tiny("epochs=1")).checkpoint("last")
    for change, message in {
        "model=resnet50": "model must be the same as in the run of start_from",
        "recipe.optimiser.lr=0.1": "recipe must be the same",
        "epochs=7": "epochs must be the same",
        "budget=epochs": "budget must be the same",
        "order_seed=1": "start_from must be a checkpoint before the run's end, got one of budget epoch 1 of 1",
    }.items():
        with pytest.raises(ConfigError, match=message):
            check_runs([tiny("epochs=1", f"start_from={last}", change)])
    assert [path.name for path in (elsewhere / "studies/digits").iterdir()] == [last.parent.parent.name]


def test_a_run_whose_data_have_changed_does_not_go_on(little, elsewhere):
    run = little("epochs=1")
    folder = trained(run)
    manifest = folder.path / "subset.json"
    manifest.write_text(manifest.read_text().replace(folder.manifest["fingerprint"], "f" * 64))
    with pytest.raises(ConfigError, match="data must be those of the manifest"):
        trained(run)


def test_damaged_images_are_replaced_named_and_counted(tiny, elsewhere, photos, capsys):
    (photos / "train/cat/03.png").write_bytes(b"not an image")
    (photos / "val/owl/01.png").write_bytes(b"")
    options = ["data=image_folder", f"data.root={photos}", "recipe=plain", "fraction=1", "recipe.batch_size=9"]
    for workers in (0, 1):
        with pytest.raises(RunError, match=r"^[^\n]*train/cat/03\.png[^\n]*$"):
            trained(tiny(*options, "epochs=2", f"study=stop{workers}", f"data.workers={workers}"))
    folder = trained(tiny(*options, "epochs=2", "data.workers=0", "data.on_damaged=replace"))

    classes = {"cat": {"damaged": 1, "of": 12}}, {"owl": {"damaged": 1, "of": 4}}
    assert folder.record["damaged"]["train"] == {"count": 1, "images": ["cat/03.png"], "classes": classes[0]}
    labels = folder.predictions().labels  # of the images that were counted
    assert folder.record["guess"] == {"val/top1": np.bincount(labels).max() / len(labels)}
    assert len(labels) == folder.record["validation_images"] - 1
    assert folder.record["damaged"]["val"] == {"count": 1, "images": ["owl/01.png"], "classes": classes[1]}
    assert folder.record["validation_images"] == 12
    told = capsys.readouterr()
    # At the evaluation that met it, and once more at the end, below what else was printed since
    assert told.err.count("datavol: warning: 1 damaged training image replaced (1 of 12 of cat)") == 2
    assert "; 1 damaged validation image left out (1 of 4 of owl)\n" in told.err
    assert re.search(r"2/2, top-1 \d+\.\d % of 11 of 12 validation images, ", told.out)
    assert load_study(folder.path.parent).runs["listed_images"].tolist() == [12]
    assert all(0 <= row["val/top1"] <= 1 and "val/top5" not in row for row in folder.rows)
    assert folder.rows[-1]["val/top1"] * 11 == pytest.approx(round(folder.rows[-1]["val/top1"] * 11))


def test_a_class_without_a_whole_validation_image_stops_until_they_are_mended(tiny, elsewhere, photos):
    whole = {file: file.read_bytes() for file in (photos / "val/owl").iterdir()}
    for file in whole:
        file.write_bytes(b"")
    options = ["data=image_folder", f"data.root={photos}", "recipe=plain", "fraction=1", "recipe.batch_size=9"]
    run = tiny(*options, "epochs=1", "data.workers=0", "data.on_damaged=replace")
    line = (
        "data.on_damaged=replace must leave every class a validation image, got none whole of the 4 of owl; "
        "mend those that run.json lists"
    )
    with pytest.raises(RunError, match=f"^{re.escape(line)}$"):
        trained(run)
    for file, content in whole.items():
        file.write_bytes(content)
    record = trained(run).record
    assert (record["state"], record["damaged"]["val"]["count"]) == ("finished", 0)
    assert record["sessions"][0]["content"] != record["sessions"][1]["content"] != record["subset"]["content"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_stopped_inside_a_budget_epoch_goes_on_bit_for_bit(workers, little, elsewhere, stopped, monkeypatch):
    extra = ["recipe.augment.mixup_alpha=1", "check_every=5", "checkpoint.every_minutes=1e-9"]
    extra += [f"data.workers={workers}"]
    whole = trained(little("study=whole", *extra))
    run = little("study=stopped", *extra)

    folder = stopped(run, iteration=22)  # in the second budget epoch of 12; the last checkpoint is of iteration 20
    within = torch.load(folder.checkpoint(WITHIN), weights_only=True)
    assert (within["global_step"], len(folder.rows)) == (20, 1)
    assert WITHIN not in [path.stem for path in folder.checkpoints]
    seen = []
    monkeypatch.setattr(Progress, "on_train_batch_end", lambda self, trainer, module, *_: seen.append(module.iteration))

    assert same(whole, trained(run))
    assert seen[0] == 21
    assert not folder.checkpoint(WITHIN).exists()
