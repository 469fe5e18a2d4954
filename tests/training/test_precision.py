"""Options of a step are chosen by made-up times, and real steps are timed."""

from functools import partial

import pytest
import torch

from datavol.config.compose import compose
from datavol.training.precision import STEPS, StepOptions, StepTimer, choose

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def trainer(*overrides: str):
    return compose(["logger=csv", *overrides])[0].config.trainer


def options(precision: str = "32", memory_format: str = "channels_last", compiled: bool = False, search: bool = False):
    return StepOptions(precision, memory_format, compiled, search)


class Steps:
    """Steps that take the seconds of a table; the first of each options takes 50 % more."""

    def __init__(self, seconds: dict[StepOptions, float], otherwise: float = 1.0) -> None:
        self.seconds, self.otherwise = seconds, otherwise
        self.taken: list[StepOptions] = []

    def __call__(self, one: StepOptions) -> float:
        self.taken.append(one)
        return self.seconds.get(one, self.otherwise) * (1.5 if self.taken.count(one) == 1 else 1.0)


@pytest.mark.parametrize(
    "fastest", [options(), options("32", "contiguous"), options("bf16-mixed"), options("bf16-mixed", "contiguous")]
)
def test_the_fastest_is_chosen(fastest):
    chosen, seconds = choose(trainer(), CPU, 10, Steps({fastest: 0.5}))
    assert chosen == fastest
    assert seconds[fastest] == 0.5
    assert len(seconds) == 4


def test_another_precision_has_to_gain_a_tenth():
    for taken, expected in ((0.95, options()), (0.85, options("bf16-mixed"))):
        assert choose(trainer(), CPU, 10, Steps({options(): 1.0, options("bf16-mixed"): taken}, 2.0))[0] == expected


def test_what_is_given_stays_and_with_nothing_open_no_step_is_taken():
    steps = Steps({options("bf16-mixed"): 0.1})
    assert choose(trainer("trainer.precision=32"), CPU, 10, steps)[0].precision == "32"
    given = trainer("trainer.precision=64", "trainer.memory_format=contiguous", "trainer.compile=true")
    untouched = Steps({})
    assert choose(given, CPU, 10, untouched) == (options("64", "contiguous", compiled=True), {})
    assert untouched.taken == []


def test_what_is_hopeless_is_tried_once():
    slow = options("bf16-mixed", "contiguous")
    steps = Steps({slow: 9.0})
    choose(trainer(), CPU, 10, steps)
    assert steps.taken.count(slow) == 1
    assert steps.taken.count(options()) == 1 + STEPS


def test_a_gpu_s_search_and_compilation_are_tried_and_compilation_only_for_long_runs(monkeypatch):
    for native, lower in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        table = {options(lower, search=True): 0.5, options(lower, compiled=True, search=True): 0.3}
        long = partial(choose, device=GPU, iterations=10_000, step=Steps(table))
        assert choose(trainer(), GPU, 10, Steps(table), can_compile=True)[0] == options(lower, search=True)
        assert long(trainer(), can_compile=True)[0] == options(lower, compiled=True, search=True)
        assert long(trainer(), can_compile=False)[0] == options(lower, search=True)
        assert long(trainer("trainer.compile=false"), can_compile=True)[0] == options(lower, search=True)
        table = {options(lower, search=True): 0.5, options(lower): 0.4}
        assert choose(trainer(), GPU, 10, Steps(table))[0] == options(lower)


@pytest.mark.parametrize("one", [options(), options("bf16-mixed", "contiguous")])
def test_real_steps_are_timed(one):
    timer = StepTimer(compose(["logger=csv", "data.image_size=16", "data.resize=16"])[0].config, 10, 8, CPU)
    assert timer(one) > 0
    assert len(timer.images) == 8
