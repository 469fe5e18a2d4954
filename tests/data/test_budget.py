import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.data.budget import plan_budget, thesis_units
from datavol.errors import ConfigError

# Thesis table 6, its intended values: fraction: MobileNetV2, ResNet50 (epochs, step size, warm-up)
TABLE_6 = {
    0.05: ((1800, 20, 0), (1200, 600, 100)),
    0.125: ((720, 8, 0), (480, 240, 40)),
    0.25: ((360, 4, 0), (240, 120, 20)),
    0.5: ((180, 2, 0), (120, 60, 10)),
    0.75: ((120, 1, 0), (80, 40, 7)),
    1.0: ((90, 1, 0), (60, 30, 5)),
}


@pytest.mark.parametrize("fraction", TABLE_6)
def test_derived_table_6_is_the_thesis_s_and_rounding_changes_only_its_75_percent(fraction):
    mobilenet = thesis_units(fraction, epochs=90, step_size=1, warmup=0)
    resnet = thesis_units(fraction, epochs=60, step_size=30, warmup=5)
    assert (mobilenet.rounded, resnet.rounded) == TABLE_6[fraction]
    changed = fraction == 0.75
    assert (mobilenet.changed, resnet.changed) == ((False, changed, False), (False, False, changed))


def test_units_are_exact_before_they_are_rounded():
    assert thesis_units(1.0, 90, 1, 0).exact == (90, 1, 0)
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
