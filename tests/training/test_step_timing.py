"""Which way to compute a step is chosen, by times that the test makes up; and that real steps are timed."""

from __future__ import annotations

import pytest
import torch

from datavol.config.compose import compose
from datavol.training import step_timing as arithmetic
from datavol.training.step_timing import StepOptions, StepTimer, choose

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def trainer(*overrides: str):
    return compose(["logger=csv", *overrides])[0].config.trainer


def way(precision: str = "32", memory_format: str = "channels_last", compiled: bool = False, search: bool = False):
    return StepOptions(precision, memory_format, compiled, search)


class Steps:
    """Steps that take what a table says; the first of each way takes 50 % more."""

    def __init__(self, seconds: dict[StepOptions, float], otherwise: float = 1.0) -> None:
        self.seconds, self.otherwise = seconds, otherwise
        self.taken: list[StepOptions] = []

    def __call__(self, one: StepOptions) -> float:
        first = one not in self.taken
        self.taken.append(one)
        return self.seconds.get(one, self.otherwise) * (1.5 if first else 1.0)


@pytest.mark.parametrize(
    "fastest", [way(), way("32", "contiguous"), way("bf16-mixed"), way("bf16-mixed", "contiguous")]
)
def test_the_fastest_is_chosen(fastest):
    chosen, seconds = choose(trainer(), CPU, 10, Steps({fastest: 0.5}))
    assert chosen == fastest
    assert seconds[fastest] == 0.5
    assert len(seconds) == 4


def test_another_precision_has_to_gain_a_tenth():
    for taken, expected in ((0.95, way()), (0.85, way("bf16-mixed"))):
        assert choose(trainer(), CPU, 10, Steps({way(): 1.0, way("bf16-mixed"): taken}, 2.0))[0] == expected


def test_what_is_given_stays_and_with_nothing_open_no_step_is_taken():
    steps = Steps({way("bf16-mixed"): 0.1})
    assert choose(trainer("trainer.precision=32"), CPU, 10, steps)[0].precision == "32"
    given = trainer("trainer.precision=64", "trainer.memory_format=contiguous", "trainer.compile=true")
    untouched = Steps({})
    assert choose(given, CPU, 10, untouched) == (way("64", "contiguous", compiled=True), {})
    assert untouched.taken == []


def test_what_is_hopeless_is_tried_once():
    slow = way("bf16-mixed", "contiguous")
    steps = Steps({slow: 9.0})
    choose(trainer(), CPU, 10, steps)
    assert steps.taken.count(slow) == 1
    assert steps.taken.count(way()) == 1 + arithmetic.STEPS


def test_a_gpu_s_search_and_compilation_are_tried_and_compilation_only_for_long_runs(monkeypatch):
    monkeypatch.setattr(arithmetic, "_can_compile", lambda: True)
    for native, lower in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        table = {way(lower, search=True): 0.5, way(lower, compiled=True, search=True): 0.3}
        assert choose(trainer(), GPU, 10, Steps(table))[0] == way(lower, search=True)
        assert choose(trainer(), GPU, 10_000, Steps(table))[0] == way(lower, compiled=True, search=True)
        assert choose(trainer("trainer.compile=false"), GPU, 10_000, Steps(table))[0] == way(lower, search=True)
        table = {way(lower, search=True): 0.5, way(lower): 0.4}
        assert choose(trainer(), GPU, 10, Steps(table))[0] == way(lower)


@pytest.mark.parametrize("one", [way(), way("bf16-mixed", "contiguous")])
def test_real_steps_are_timed(one):
    overrides = ["logger=csv", "data.image_size=16", "data.resize=16"]
    timer = StepTimer(compose(overrides)[0].config, 10, 8, CPU)
    assert 0 < timer(one) < 30
    assert len(timer.images) == 8
