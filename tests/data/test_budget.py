import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.budget import plan_budget, thesis_units
from datavol.errors import ConfigError

# Thesis table 6, its intended values: fraction: MobileNetV2 (epochs, step), ResNet50 (epochs, warm-up, step)
TABLE_6 = {
    0.05: ((1800, 20), (1200, 100, 600)),
    0.125: ((720, 8), (480, 40, 240)),
    0.25: ((360, 4), (240, 20, 120)),
    0.5: ((180, 2), (120, 10, 60)),
    0.75: ((120, 1), (80, 7, 40)),
    1.0: ((90, 1), (60, 5, 30)),
}


@pytest.mark.parametrize("fraction", TABLE_6)
def test_derived_table_6_is_the_thesis_s(fraction):
    mobilenet, resnet = TABLE_6[fraction]
    epochs, step, warmup = thesis_units(fraction, epochs=90, step_size=1, warmup=0).rounded
    assert ((epochs, step), warmup) == (mobilenet, 0)
    epochs, step, warmup = thesis_units(fraction, epochs=60, step_size=30, warmup=5).rounded
    assert (epochs, warmup, step) == resnet


def test_only_at_75_percent_does_rounding_change_the_schedule():
    for fraction in TABLE_6:
        mobilenet = thesis_units(fraction, epochs=90, step_size=1, warmup=0)
        resnet = thesis_units(fraction, epochs=60, step_size=30, warmup=5)
        changed = fraction == 0.75
        assert mobilenet.changed == (False, changed, False)
        assert resnet.changed == (False, False, changed)
    assert mobilenet.exact == (90, 1, 0)
    assert thesis_units(0.75, 90, 1, 0).exact[1] == pytest.approx(4 / 3)
    assert thesis_units(0.75, 60, 30, 5).exact[2] == pytest.approx(20 / 3)


@given(st.integers(1, 10**7), st.integers(1, 4096), st.integers(1, 300), st.floats(0.01, 1))
def test_a_budget_epoch_is_the_same_for_every_fraction(full, batch, epochs, fraction):
    subset = max(1, round(full * fraction))
    if batch > full:
        with pytest.raises(ConfigError):
            plan_budget("iterations", epochs, batch, full, subset)
        return
    budget = plan_budget("iterations", epochs, batch, full, subset)
    assert budget.iterations == epochs * math.ceil(full / batch)
    assert budget == plan_budget("iterations", epochs, batch, full, subset)
    assert budget.passes == pytest.approx(budget.iterations * batch / subset)


def test_budget_epochs_trains_equal_passes():
    budget = plan_budget("epochs", 10, 32, 1438, 359)
    assert (budget.iterations_per_epoch, budget.iterations) == (12, 120)


def test_the_largest_batch_is_a_budget_epoch():
    assert plan_budget("epochs", 1, 359, 1438, 359).iterations == 1
    with pytest.raises(ConfigError, match=r"at most the 359 images of a budget epoch, got 360; try .*=256"):
        plan_budget("epochs", 1, 360, 1438, 359)
