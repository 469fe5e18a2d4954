import time

import pytest
import torch

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.planning.network_sizes import PARAMETERS
from datavol.planning.plan import plan_runs
from datavol.planning.prediction import mean_image_bytes
from datavol.planning.speed import Speed, find_speeds, seconds_left, wall_seconds
from datavol.runs.folder import RunFolder
from datavol.training.networks.build import build_network
from datavol.training.trainer import train

IMAGENET = ["data=imagenet", "plan.images=1281167", "plan.classes=1000", "plan.images_per_second=1200"]
GRID = "fraction=0.05,0.125,0.25,0.5,0.75,1"


@pytest.mark.parametrize(("name", "classes"), [("mobilenet_v2", 10), ("mobilenet_v2", 1000), ("resnet50", 10)])
def test_the_parameters_are_torchvision_s(name, classes):
    network = build_network(compose([f"model={name}"])[0].config.model, classes, None, 0)
    body, per_class = PARAMETERS[name]
    assert body + per_class * classes == sum(parameter.numel() for parameter in network.parameters())


def test_a_checkpoint_s_size_is_close(tiny, elsewhere):
    run = tiny("epochs=1")
    (plan,) = plan_runs([run])
    train(run, prepare(run.config))
    files = RunFolder(run.folder).checkpoints
    assert sum(file.stat().st_size for file in files) == pytest.approx(plan.checkpoint_bytes, rel=0.1)
    assert torch.load(files[0], weights_only=True)["epoch"] == 0


def test_the_thesis_s_grid_is_planned_without_imagenet():
    plans = plan_runs(compose([*IMAGENET, GRID, "model=mobilenet_v2"], multirun=True))
    assert [plan.units.rounded[:2] for plan in plans] == [(1800, 20), (720, 8), (360, 4), (180, 2), (120, 1), (90, 1)]
    assert {plan.prepared.budget.iterations for plan in plans} == {90 * 10010}
    assert [len(plan.prepared.subset) for plan in plans][-1] == 1281167
    assert plans[0].units.changed == (False, False, False)
    assert plans[4].units.changed == (False, True, False)


def test_time_is_the_sum_over_places():
    plans = plan_runs(compose(["fraction=0.1,0.2,0.3"], multirun=True))
    speed = Speed(train=1440, val=359, start_seconds=2)  # a second to train a budget epoch, one to evaluate
    assert seconds_left(plans[0], speed) == pytest.approx(2 + 4 * 2)
    assert wall_seconds(plans, [speed] * 3, places=1) == pytest.approx(30)
    assert wall_seconds(plans, [speed] * 3, places=2) == pytest.approx(20)
    assert wall_seconds(plans, [Speed(None)] * 3, places=2) is None


def test_states_are_read_from_the_folders(tiny, elsewhere):
    runs = [tiny(f"seed={seed}") for seed in range(3)]
    RunFolder(runs[0].folder).update(state="finished", hash=runs[0].config.run_hash)
    RunFolder(runs[1].folder).update(state="failed", hash=runs[1].config.run_hash)
    states = [(plan.state, plan.epochs_left) for plan in plan_runs(runs)]
    assert states == [("finished", 0), ("resumable", 3), ("missing", 3)]


def test_36_runs_are_planned_without_a_trace(command, elsewhere):
    answer = command("plan", "-m", "model=resnet50,mobilenet_v2", GRID, "seed=0,1,2", "plan.timing=false")
    assert answer.returncode == 0, answer.stderr
    assert "36 runs: 0 finished, 0 resumable, 36 missing" in answer.stdout
    assert list(elsewhere.iterdir()) == []


def test_a_plan_of_checkpoints_that_do_not_fit_is_refused(command, monkeypatch):
    answer = command("plan", *IMAGENET, "model=resnet50", "checkpoint.keep=all", "epochs=100000")
    assert answer.returncode == 2
    assert "datavol: checkpoints must fit on the disk of" in answer.stderr


FOUR_GPUS = ["data=imagenet", "plan.images=1281167", "trainer=ddp", "plan.device_images_per_second=900"]
KNOWN = ["plan.decode_per_core=600", "plan.image_kb=110", "plan.node.cores=16"]


def pace(*overrides: str):
    (speed,) = find_speeds(plan_runs(compose([*FOUR_GPUS, *KNOWN, *overrides])))
    return speed


def test_four_devices_are_predicted_from_one():
    """A share of 32 of 128 images takes 32 / 900 s; one bucket passes links of 10 GB/s in six rounds of a quarter."""
    body, per_class = PARAMETERS["mobilenet_v2"]
    exchange = 6 * ((body + 1000 * per_class) * 4 / 4 / 10e9 + 10e-6)
    speed = pace()
    assert speed.train == pytest.approx(128 / (32 / 900 + exchange))
    assert speed.scaling.planned.limiting == "compute"
    assert [one.devices for one in speed.scaling.others] == [1, 2, 4, 8, 16, 32, 64]


def test_the_plan_names_what_runs_out_first():
    assert pace("plan.decode_per_core=50").scaling.planned.limiting == "decode"
    assert pace("plan.node.cores=1").scaling.planned.limiting == "decode"
    assert pace("plan.node.disk_gb_s=0.1").scaling.planned.limiting == "disk"
    assert pace("trainer.num_nodes=2", "plan.node.network_gb_s=0.1").scaling.planned.limiting == "all-reduce"


def test_a_network_of_timm_is_counted_without_its_weights():
    speed = pace("model=timm", "model.name=convnext_atto")
    network = build_network(compose(["model=timm", "model.name=convnext_atto"])[0].config.model, 1000, None, 0)
    size = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert speed.train == pytest.approx(128 / (32 / 900 + 6 * (size / 4 / 10e9 + 10e-6)))


def test_files_are_weighed_and_images_in_memory_are_not(photos):
    (plan,) = plan_runs(compose(["data=image_folder", f"data.root={photos}", "recipe.batch_size=4"]))
    sizes = [file.stat().st_size for file in (photos / "train").rglob("*.png")]
    assert mean_image_bytes(plan.prepared.source.train) == pytest.approx(sum(sizes) / len(sizes))
    (plan,) = plan_runs(compose([]))
    assert mean_image_bytes(plan.prepared.source.train) is None


def test_a_plan_for_four_gpus_shows_one_to_64_without_torch(command):
    answer = command("plan", *FOUR_GPUS)
    assert answer.returncode == 0, answer.stderr
    assert "mobilenet_v2 on 4 devices, 4 per node: 3,394 images/s predicted, limited by compute" in answer.stdout
    assert "decode is not known and left out (try plan.decode_per_core=...)" in answer.stdout
    assert "disk is not known and left out (try plan.image_kb=...)" in answer.stdout
    assert "assumed of a node (plan.node): " in answer.stdout


def test_gpus_that_are_not_here_are_not_timed_on_a_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"plan\.timing must have a GPU here to predict several from, got none"):
        find_speeds(plan_runs(compose(["trainer=ddp"])))


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(ConfigError, match=r"recipe\.batch_size must divide evenly among 3 devices, got 128"):
        pace("trainer.devices=3")
    with pytest.raises(ConfigError, match=r"plan\.images_per_second must be left out beside plan\.device_images_per_"):
        pace("plan.images_per_second=1200")


@pytest.mark.slow
def test_more_nodes_than_are_here_are_predicted_from_a_timing(command, elsewhere):
    answer = command("plan", "trainer=cpu", "trainer.num_nodes=4", "trainer.strategy=ddp", "trainer.threads=1")
    assert answer.returncode == 0, answer.stderr
    assert "mobilenet_v2 on 4 devices, 1 per node: " in answer.stdout
    assert "time: not known" not in answer.stdout
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_the_estimate_is_of_the_order_of_the_time_taken(command, elsewhere):
    """Loosely: other work on the machine may go into either."""
    options = ["-m", "fraction=0.1,0.25", "logger=csv", "epochs=6"]
    planned = command("plan", *options)
    assert planned.returncode == 0, planned.stderr
    hours, minutes, seconds = map(int, planned.stdout.partition("time: ")[2].split(" ")[0].split(":"))
    assert list(elsewhere.iterdir()) == []
    began = time.perf_counter()
    assert command("run", *options).returncode == 0
    taken = time.perf_counter() - began
    assert taken / 5 < 3600 * hours + 60 * minutes + seconds < 5 * taken
