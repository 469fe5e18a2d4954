"""A device is not waited for between two iterations: what a GPU has computed is read at the end of a budget epoch."""

import traceback

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from datavol.data.prepare import prepare
from datavol.training.module import seed_generators
from datavol.training.trainer import build_trainer, train

READS = ("aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default")


class Reads(TorchDispatchMode):
    """Counts what would make the host wait for a device: `item()`, `bool()` and the like, and shapes made by data."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += str(function) in READS
        return function(*args, **(kwargs or {}))


def reads(run, monkeypatch) -> int:
    moved = []
    with monkeypatch.context() as patched, Reads() as counted:
        for name in ("cpu", "tolist", "numpy"):
            real = getattr(torch.Tensor, name)
            patched.setattr(torch.Tensor, name, lambda self, *_, real=real: (moved.append(1), real(self))[1])
        train(run, prepare(run.config))
    return counted.count + len(moved)


@pytest.mark.parametrize("recipe", [[], ["recipe.augment.erase=0.5", "recipe.label_smoothing=0.1"]])
def test_more_iterations_of_a_budget_epoch_read_nothing_more(recipe, little, elsewhere, monkeypatch):
    few, many = (little("epochs=1", f"recipe.batch_size={size}", f"study=of{size}", *recipe) for size in (240, 60))
    assert reads(few, monkeypatch) == reads(many, monkeypatch) > 0  # of 5 and 23 iterations


def test_lightning_asks_no_other_rank_about_sigterm(tiny, monkeypatch):
    trainer = build_trainer(tiny().config.trainer, [])
    monkeypatch.setattr(torch.distributed, "broadcast", pytest.fail)
    monkeypatch.setattr(torch.Tensor, "item", pytest.fail)
    loop = trainer.fit_loop.epoch_loop
    assert hasattr(type(loop), "_broadcast_sigterm_tensor")  # else it has another name now
    loop._broadcast_sigterm_tensor()


def test_seeding_draws_what_torchs_own_draws():
    torch.manual_seed(7)
    expected = torch.rand(3)
    seed_generators(7, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)


def test_seeding_reaches_the_gpu_in_use(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    seed_generators(7, torch.device("cpu"))
    assert seeds == []
    seed_generators(7, torch.device("cuda", 1))
    assert seeds == [7]


def test_no_iteration_puts_its_stack_into_text(little, elsewhere, monkeypatch):
    """As torch does where a call waits for a device that has not been started."""
    texts = []
    real = traceback.format_stack
    run = little("epochs=1", "recipe.batch_size=60")
    prepared = prepare(run.config)
    with monkeypatch.context() as patched:
        patched.setattr(traceback, "format_stack", lambda *told: (texts.append(1), real(*told))[1])
        train(run, prepared)
    assert len(texts) < prepared.budget.iterations
