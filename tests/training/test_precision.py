"""Precision and memory format follow from the device, and bfloat16 on a CPU from bounded timings."""

import pytest
import torch

from datavol.config.compose import compose
from datavol.training.hardware import precision
from datavol.training.hardware.precision import StepTimer, choose_memory_format, choose_precision, time_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def never(name: str) -> float:
    raise AssertionError("nothing needs to be timed")


@pytest.mark.parametrize(
    ("bf16", "capability", "chosen", "layout"),
    [
        (True, (8, 0), "bf16-mixed", "channels_last"),
        (False, (7, 5), "16-mixed", "channels_last"),
        (False, (6, 1), "32", "contiguous"),
    ],
)
def test_a_gpu_decides_by_its_units(bf16, capability, chosen, layout, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision(GPU, never).precision == chosen
    assert choose_memory_format(GPU, chosen) == layout


@pytest.mark.parametrize("units", [{}, {"avx2": True}, {"avx512_f": True, "amx_bf16": False}])
def test_a_cpu_without_units_is_not_timed(units, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    choice = choose_precision(CPU, never)
    assert (choice.precision, choice.why) == ("32", "the CPU has no units for bfloat16")
    assert choose_memory_format(CPU, "32") == "channels_last"


@pytest.mark.parametrize("units", ["amx_bf16", "avx512_bf16", "bf16"])
def test_a_cpu_with_units_is_timed(units, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {units: True})
    assert choose_precision(CPU, Machine(gain=2.0)).precision == "bf16-mixed"


class Machine:
    """A machine whose steps of bf16 are `gain` times as fast, and whose wall clock runs faster the busier it is."""

    def __init__(self, gain: float, noise: float = 0.0, busy: float = 1.0, step: float = 0.5) -> None:
        self.gain, self.noise, self.busy, self.step = gain, noise, busy, step
        self.now, self.steps = 0.0, []

    def __call__(self, name: str) -> float:
        slower = 1 + self.noise * (len(self.steps) % 4 < 2)  # every other pair of steps, hence both ways
        seconds = self.step * (slower if name == "32" else 1 / self.gain)
        self.now += seconds * self.busy
        self.steps.append(name)
        return seconds

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("busy", [1.0, 3.0])
@pytest.mark.parametrize(("gain", "chosen"), [(2.5, "bf16-mixed"), (1.45, "bf16-mixed"), (1.13, "32"), (0.41, "32")])
def test_idle_and_busy_choose_the_same(gain, chosen, busy):
    machine = Machine(gain, busy=busy)
    assert time_bf16(machine, machine.clock).precision == chosen
    assert len(machine.steps) <= 6


def test_the_hopeless_is_stopped_after_its_first_step():
    machine = Machine(0.02)
    choice = time_bf16(machine, machine.clock)
    assert (choice.precision, machine.steps) == ("32", ["32", "bf16-mixed"])
    assert "50.0 times as long" in choice.why


def test_an_unclear_gain_ends_in_time_and_leaves_32():
    for machine in (Machine(1.2, noise=0.2), Machine(2.0, step=20.0)):
        choice = time_bf16(machine, machine.clock)
        assert choice.precision == "32"
        assert "not clear in 10 s" in choice.why
        assert machine.now <= precision.SECONDS + 2 * 1.2 * machine.step


@pytest.mark.parametrize("name", ["32", "bf16-mixed"])
def test_real_steps_are_timed_on_one_thread(name):
    threads = torch.get_num_threads()
    timer = StepTimer(compose(["logger=csv", "data.image_size=16", "data.resize=16"])[0].config, 10, 8)
    seen = []
    timer.network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    assert timer(name) > 0
    assert (len(timer.images), seen, torch.get_num_threads()) == (8, [1], threads)
