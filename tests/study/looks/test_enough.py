"""The rule of pairs against worlds of known truth, and against SciPy."""

import numpy as np
import pytest
from factories.worlds import World, gap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from datavol.study.looks.enough import Enough, posterior
from datavol.study.looks.evidence import Evidence, Noise, Trained
from datavol.study.looks.look import Look, Step


def played(rule: Enough, world: World) -> list[Look]:
    """Every look until the question ends."""
    runs: list[Trained] = []
    looks = [rule.look(Evidence(runs, world.images))]
    while looks[-1].state == "open":
        runs += [world.train(step) for step in looks[-1].next]
        looks.append(rule.look(Evidence(runs, world.images)))
    return looks


@pytest.mark.parametrize(("true", "says"), [(0.0, "enough"), (0.04, "not enough")])
def test_a_clear_question_is_answered_with_few_runs(true, says):
    world = World(gap(true))
    looks = played(Enough(0.25, 0.01), world)
    assert (looks[-1].state, looks[-1].says) == ("answered", says)
    assert sum(step.cost for step in world.trained) <= (6 if says == "enough" else 2)


def test_short_runs_may_refuse_and_nothing_more():
    """However small the gap of short runs is, whole ones follow; a clear one ends the question at once."""
    for true in (0.0, 0.005, 0.01, 0.012):
        looks = played(Enough(0.25, 0.01), World(gap(true), noise=0))
        assert all(not look.says for look in looks if look.number and look.numbers == {})  # those of short runs
        assert {step.part for step in looks[-2].next} == {1}
    looks = played(Enough(0.25, 0.01), World(gap(0.3), noise=0))
    assert [(look.number, look.says) for look in looks] == [(0, ""), (1, "not enough")]
    assert looks[0].next == (Step(0.25, 0, 8), Step(1.0, 0, 8))


def test_with_equal_passes_larger_fractions_are_the_rungs():
    rule = Enough(0.1, 0.01, parts=(), equal_passes=True)
    first = rule.look(Evidence([], 10_000))
    assert first.next == (Step(0.1, 0), Step(0.2, 0))
    looks = played(rule, World(lambda step: 0.4 - 0.3 * step.fraction, noise=0))
    assert looks[-1].says == "not enough"
    assert max(step.fraction for look in looks for step in look.next) <= 0.4
    looks = played(rule, World(lambda step: 0.12, noise=0.001))
    assert looks[-1].says == "enough"
    assert {step.fraction for step in looks[-2].next} == {0.1, 1.0}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=8),
    st.floats(1e-4, 0.02),
    st.floats(1, 12),
    st.floats(0, 0.1),
)
def test_the_posterior_is_that_of_a_normal_mean_under_a_conjugate_variance(gaps, sd, dof, delta):
    """Against an integral over the variance, whose posterior is scaled inverse chi-squared."""
    known = posterior(np.array(gaps), Noise(sd**2, dof, 0.0, ""))
    later = dof + len(gaps) - 1
    squares = dof * sd**2 + np.var(gaps) * len(gaps)
    shares = (np.arange(20_000) + 0.5) / 20_000
    variances = squares / stats.chi2.ppf(1 - shares, later)  # equally likely ones
    below = stats.norm.cdf((delta - np.mean(gaps)) / np.sqrt(variances / len(gaps))).mean()
    assert known.below(delta) == pytest.approx(below, abs=2e-3)
    low, high = known.interval(0.9)
    assert known.below(low) == pytest.approx(0.05, abs=1e-6)
    assert known.below(high) == pytest.approx(0.95, abs=1e-6)


def test_wrong_answers_at_the_boundary_are_rare():
    """At a gap of just more than delta "enough" is wrong: 200 worlds at 95 %; 8 % is two standard errors more."""
    wrong = sum(
        played(Enough(0.25, 0.01, parts=()), World(gap(0.0101), seed=seed, images=3000))[-1].says == "enough"
        for seed in range(200)
    )
    assert wrong <= 16


def test_a_hopeless_question_is_given_up_and_says_how_near_it_came():
    look = played(Enough(0.25, 0.01, most=8), World(gap(0.01, grows=False), noise=0.002))[-1]
    assert look.state == "cannot be told"
    assert "of runs, 25 % of the data against all of it" in look.sentence
    assert look.numbers["pairs"] <= 4


def test_too_few_test_images_are_told_after_the_first_pair():
    looks = played(Enough(0.25, 0.01, parts=()), World(gap(0.0), images=60))
    assert looks[-1].state == "out of reach"
    assert looks[-1].number == 1
    assert "one of 60 test images is 1.7 points" in looks[-1].sentence


def test_an_indifference_zone_ends_what_lies_at_the_limit():
    world = World(gap(0.01, grows=False), noise=0.0005)
    assert played(Enough(0.25, 0.01, most=12), world)[-1].says == ""
    assert played(Enough(0.25, 0.01, zone=0.008, most=12), world)[-1].says == "either"


def test_as_many_pairs_as_devices_allow_are_named_at_once():
    runs = [World(gap(0.007)).train(Step(fraction, 0)) for fraction in (0.25, 1.0)]
    look = Enough(0.25, 0.01, parts=(), at_once=3).look(Evidence(runs, 10_000))
    assert {step.seed for step in look.next} == {1, 2, 3}
    assert len(look.next) == 6
    look = Enough(0.25, 0.01, parts=(), at_once=3, most=6).look(Evidence(runs, 10_000))
    assert {step.seed for step in look.next} == {1, 2}


def test_looks_are_counted_from_the_runs_alone():
    rule, world = Enough(0.25, 0.01, parts=()), World(gap(0.009))
    runs = [world.train(Step(fraction, seed)) for seed in range(3) for fraction in (0.25, 1.0)]
    assert rule.look(Evidence(runs, 10_000)).number == 3
    assert rule.look(Evidence(runs[::-1], 10_000)) == rule.look(Evidence(runs, 10_000))


def test_either_answer_is_as_certain_as_that_the_gap_is_in_the_zone():
    look = played(Enough(0.25, 0.01, zone=0.02, parts=()), World(gap(0.01), noise=0.0005))[-1]
    assert look.says == "either"
    assert look.probability >= look.threshold
