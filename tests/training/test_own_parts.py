"""The documented examples of a network, data, a metric and a callback of one's own."""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import RunError
from datavol.runs.folder import RunFolder, runs_of
from datavol.training.trainer import train

EXAMPLES = Path(__file__).parents[2] / "examples" / "own"
OWN = [
    "model=own", "model._target_=my_network.MyNetwork", "+model.width=4", "data=own", "data._target_=my_data.Shapes",
    "+data.images=150", "data.val_fraction=0.2", "data.image_size=32", "data.resize=32", "recipe=small",
    "recipe.batch_size=24", "+callbacks.weights._target_=my_measures.WeightNorm", "epochs=2", "study=shapes",
    "+metrics.worst._target_=my_measures.WorstClass", "+metrics.f1={_target_:torchmetrics.F1Score,task:multiclass}",
]  # fmt: skip


ODD = """
from types import SimpleNamespace
from torch import nn
from my_network import MyNetwork
class Integers(MyNetwork):
    def forward(self, images): return super().forward(images).long()
class Claims(MyNetwork):
    def forward(self, images): return SimpleNamespace(shape=None)
class Exits(MyNetwork):
    def forward(self, images): raise SystemExit(0)
class Fixed(MyNetwork):
    def __init__(self, **options):
        super().__init__(**options)
        self.requires_grad_(False)
class Lazy(nn.Sequential):
    def __init__(self, num_classes, width): super().__init__(nn.Flatten(), nn.LazyLinear(num_classes))
"""


@pytest.fixture
def examples(elsewhere, monkeypatch):
    """Copies the examples into the current folder."""
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, elsewhere)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    yield elsewhere
    for name in ("odd", *(file.stem for file in EXAMPLES.glob("*.py"))):
        sys.modules.pop(name, None)


def test_the_examples_train_in_a_sweep_on_two_ranks_and_are_reported(examples, command):
    logger = ["logger=own", "logger._target_=lightning.pytorch.loggers.CSVLogger"]
    ranks = ["trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp"]
    bad = examples / "broken.py"
    bad.write_text(
        "from my_network import MyNetwork\nclass Broken(MyNetwork):\n    def forward(self, images):\n"
        "        if self.training: raise RuntimeError('shapes do\\nnot fit')\n        return super().forward(images)\n"
    )
    networks = "model._target_=broken.Broken,my_network.MyNetwork"
    answer = command("run", "-m", *[one for one in OWN if "MyNetwork" not in one], networks, *logger, *ranks)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stdout + answer.stderr
    assert f"RuntimeError: shapes do not fit ({bad}:4)" in answer.stdout + answer.stderr

    folders = {folder.record["state"]: folder for folder in runs_of(examples / "studies/shapes")}
    assert folders["failed"].record["reason"] == f"RuntimeError: shapes do not fit ({bad}:4)"
    finished = folders["finished"]
    assert finished.record["world_size"] == 2
    assert set(finished.record["config"]["code"]) == {"my_data", "my_measures", "my_network"}
    last, predictions = finished.rows[-1], finished.predictions("last")
    hits = predictions.classes[:, 0] == predictions.labels
    recalls = [hits[predictions.labels == label].mean() for label in np.unique(predictions.labels)]
    assert last["val/worst"] == pytest.approx(min(recalls))
    assert last["val/f1"] == pytest.approx(hits.mean())  # micro
    assert last["val/weight_norm"] > 0
    (logged,) = finished.path.glob("logger/shapes/*/metrics.csv")
    rows = list(csv.DictReader(logged.open()))
    assert [float(row["val/top1"]) for row in rows if row["val/top1"]] == [row["val/top1"] for row in finished.rows]

    report = command("report", "studies/shapes")
    assert report.returncode == 0, report.stderr
    assert "MyNetwork(width=4)" in report.stdout


def test_a_run_of_ones_own_parts_resumes_bit_for_bit(examples, monkeypatch):
    (whole,) = compose([*OWN, "logger=csv", "study=whole"])
    (parted,) = compose([*OWN, "logger=csv", "study=parted"])
    train(whole, prepare(whole.config))
    import my_network

    seen, forward = [], my_network.MyNetwork.forward

    def stop_in_the_second_budget_epoch(self, images):
        seen.append(self.training)
        if sum(seen) == 8:
            raise KeyboardInterrupt
        return forward(self, images)

    monkeypatch.setattr(my_network.MyNetwork, "forward", stop_in_the_second_budget_epoch)
    with pytest.raises(SystemExit):
        train(parted, prepare(parted.config))
    monkeypatch.setattr(my_network.MyNetwork, "forward", forward)
    assert len(RunFolder(parted.folder).rows) == 1
    train(parted, prepare(parted.config))
    ours, theirs = (RunFolder(run.folder) for run in (whole, parted))
    weights, others = (torch.load(one.checkpoint("last"), weights_only=True)["state_dict"] for one in (ours, theirs))
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    for name in ("val/worst", "val/f1", "val/weight_norm", "val/loss"):
        assert [row[name] for row in ours.rows] == [row[name] for row in theirs.rows]


def test_a_network_that_exits_in_training_fails_with_its_line(examples):
    (examples / "odd.py").write_text(ODD)
    (run,) = compose([*OWN, "model._target_=odd.Exits", "logger=csv", "trainer=cpu"])
    with pytest.raises(RunError, match=r"^SystemExit: 0 \(.*odd.py:\d+\)$") as caught:
        train(run, prepare(run.config))
    assert (RunFolder(run.folder).state, RunFolder(run.folder).record["reason"]) == ("failed", str(caught.value))


def test_evaluate_measures_a_metric_that_was_not_asked_for_in_training(examples, command):
    (run,) = compose([one for one in OWN if "metrics" not in one] + ["logger=csv", "epochs=1"])
    train(run, prepare(run.config))
    assert "val/f1" not in RunFolder(run.folder).rows[-1]
    metric = "+metrics.f1={_target_:torchmetrics.F1Score,task:multiclass}"
    answer = command("evaluate", str(run.folder / "checkpoints/last.ckpt"), metric, "--csv", "measured.csv")
    assert answer.returncode == 0, answer.stderr
    (row,) = csv.DictReader((examples / "measured.csv").open())
    assert float(row["val/f1"]) == pytest.approx(RunFolder(run.folder).rows[-1]["val/top1"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["+metrics.a._target_=my_network.MyNetwork"], "metrics.a must be a torchmetrics.Metric, got a MyNetwork"),
        (["+metrics.top1._target_=my_measures.WorstClass"], r"try \+metrics.my_top1._target_=my_measures.WorstClass"),
        (["+callbacks.a._target_=my_data.Shapes"], "callbacks.a must be a lightning.pytorch.Callback, got a Shapes"),
        (["logger=own", "logger._target_=my_data.Shapes"], "logger._target_ must be a logger of lightning.pytorch"),
        (["model._target_=my_data.Shapes"], "model must be built by my_data.Shapes, got TypeError"),
        (["model._target_=torch.nn.Identity"], r"logits of shape \(2, 3\) .* got shape \(2, 3, 32, 32\) of Identity"),
        (["model._target_=odd.Integers"], r"logits .* got shape \(2, 3\), torch.int64, of Integers"),
        (["model._target_=odd.Claims"], "logits .* got a SimpleNamespace of Claims"),
        (["model._target_=odd.Exits"], "must be a network that takes images .* got Exits.* with SystemExit: 0"),
        (["model._target_=odd.Fixed"], "must be a network with parameters to train, got Fixed.* without"),
        (["model._target_=odd.Lazy"], "must be a network whose layers have their sizes, got Lazy.* with lazy 1.weight"),
        (["+model.depth=3"], "model must be built by my_network.MyNetwork, got TypeError: .*'depth'"),
        (["model._target_=torch.nn.Flatten", "recipe.dropout=0.3", "~model.width"], "recipe.dropout must be null with"),
    ],
)  # fmt: skip
def test_a_part_that_does_not_fit_is_told_before_anything_is_trained(examples, overrides, said):
    (examples / "odd.py").write_text(ODD)
    from datavol.errors import ConfigError
    from datavol.training.preflight import check_runs

    with pytest.raises(ConfigError, match=said) as caught:
        check_runs(compose([*OWN, *overrides]))
    assert "\n" not in str(caught.value)
    assert not (examples / "studies").exists()


def test_an_optimiser_that_leaves_its_closure_uncalled_is_refused_with_the_line_to_write(examples):
    from datavol.config.recipe import OptimiserConfig
    from datavol.errors import ConfigError
    from datavol.training.optimisation.optimiser import check_optimiser

    mended = "        loss = None if closure is None else torch.enable_grad()(closure)()\n"
    text = "import torch\n\nclass Sign(torch.optim.SGD):\n    def step(self, closure=None):\n"
    step = "        return super().step()\n"
    (examples / "deaf.py").write_text(text + step)
    (examples / "hearing.py").write_text(text + mended + step)
    values = {
        "name": "sgd",
        "lr": 0.1,
        "weight_decay": 0,
        "momentum": 0,
        "nesterov": False,
        "library": None,
        "decay": "all",
    }
    with pytest.raises(ConfigError, match=r"must call the closure that its step is given, got deaf.Sign") as caught:
        check_optimiser(OptimiserConfig(**values, _target_="deaf.Sign"))
    assert mended.strip() in str(caught.value)
    check_optimiser(OptimiserConfig(**values, _target_="hearing.Sign"))


def test_the_audit_names_runs_of_other_code(examples):
    from datavol.config import user_code
    from datavol.study.audit.comparability import audit
    from datavol.study.load.study import load_study

    for fraction in ("0.5", "1"):
        (run,) = compose([*OWN, "logger=csv", "epochs=1", f"fraction={fraction}"])
        train(run, prepare(run.config))
        with (examples / "my_network.py").open("a") as file:
            file.write("# another version\n")
        user_code._code_of_module.cache_clear()
    findings = [
        finding for finding in audit(load_study([Path("studies/shapes")])) if "your own classes" in str(finding)
    ]
    assert [finding.severity for finding in findings] == ["major"]
