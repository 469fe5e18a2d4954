import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from datavol.study.looks.thresholds import threshold_of


@given(st.floats(0.6, 0.995), st.floats(4, 12), st.integers(1, 40))
def test_a_threshold_is_never_below_its_level_and_grows_with_level_and_looks(level, dof, most):
    bar = threshold_of(level, dof, most)
    assert level <= bar < 1
    assert threshold_of(level + 0.004, dof, most) > bar
    assert threshold_of(level, dof, most + 3) >= bar


@pytest.mark.parametrize(("level", "most"), [(0.8, 9), (0.95, 3), (0.95, 9), (0.99, 6)])
def test_at_the_boundary_few_answers_are_wrong(level, most):
    """Pair by pair, in a plain loop, where the noise is what five repeats told."""
    rng, dof, wrong, studies = np.random.default_rng(1), 6, 0, 3000
    bar = threshold_of(level, dof, most)
    reaches = [student.ppf(bar, dof + pairs) for pairs in range(most)]
    for _ in range(studies):
        known = rng.chisquare(4) / 4  # a variance of four degrees of freedom, which count half, above a hint's four
        gaps: list[float] = []
        for reach in reaches:
            gaps.append(rng.normal())
            mean, nu = sum(gaps) / len(gaps), dof + len(gaps) - 1
            variance = (dof * known + sum((gap - mean) ** 2 for gap in gaps)) / nu
            if abs(mean) >= reach * (variance / len(gaps)) ** 0.5:
                wrong += mean > 0
                break
    expected = 1 - level
    assert abs(wrong / studies - expected) < 3 * np.sqrt(expected / studies)
