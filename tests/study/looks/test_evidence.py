"""Noise of differences against simulations and a brute-force covariance."""

import numpy as np
import pytest
from factories.worlds import World, gap

from datavol.study.looks.evidence import HINT_DOF, HINT_TIMES, Evidence
from datavol.study.looks.look import Step


def evidence(world: World, fractions=(0.25, 1.0), seeds=(0,)) -> Evidence:
    return Evidence([world.train(Step(f, s)) for f in fractions for s in seeds], world.images)


def test_the_noise_of_a_first_pair_is_that_of_mcnemar():
    known = evidence(World(gap(0.02)))
    (pair,) = known.pairs(0.25)
    b, c = int((pair.large.right & ~pair.small.right).sum()), int((pair.small.right & ~pair.large.right).sum())
    n = len(pair.small.right)
    noise = known.noise([pair])
    assert noise.variance == pytest.approx(HINT_TIMES**2 * (b + c - (b - c) ** 2 / n) / n**2)
    assert noise.dof == HINT_DOF


def test_repeats_of_other_fractions_are_believed_more():
    world = World(lambda step: 0.1, noise=0.004, images=50_000)
    known = evidence(world, (0.25, 0.5, 0.75, 1.0), range(6))
    noise = known.noise(known.pairs(0.25))
    errors = {f: [run.error for run in known.runs if run.step.fraction == f] for f in (0.5, 0.75)}
    full = np.mean([np.var(e, ddof=1) * f**0.66 for f, e in errors.items()])
    assert noise.variance == pytest.approx(full * (1 + 0.25**-0.66))
    assert noise.dof == pytest.approx(HINT_DOF + 5)


def test_what_all_pairs_have_in_common_is_told_from_the_noise_of_runs():
    """Where the smaller fraction is worse on some images only, others would give another difference."""
    rng = np.random.default_rng(0)
    images, shared = 2000, []
    for _ in range(100):
        hard = rng.random(images) < 0.05  # those that the smaller fraction never gets
        runs = []
        for seed in range(4):
            for fraction in (0.25, 1.0):
                right = rng.random(images) > 0.1
                runs.append((Step(fraction, seed), right & ~hard if fraction < 1 else right))
        from datavol.study.looks.evidence import Trained

        known = Evidence([Trained(step, float(1 - right.mean()), right) for step, right in runs], images)
        shared.append(known.noise(known.pairs(0.25)).test_variance)
    # of an image the mean difference is 0.9 with probability 0.05, else 0
    assert np.mean(shared) == pytest.approx(0.9**2 * 0.05 * 0.95 / images, rel=0.1)


def test_without_kept_predictions_the_number_of_test_images_tells():
    world = World(gap(0.0))
    runs = [world.train(Step(f, 0)) for f in (0.25, 1.0)]
    bare = [type(run)(run.step, run.error) for run in runs]
    assert Evidence(bare, 10_000).noise(Evidence(bare, 10_000).pairs(0.25)).variance > 0
    few, many = (Evidence(bare, n).noise(Evidence(bare, n).pairs(0.25)).variance for n in (500, 50_000))
    assert few == pytest.approx(100 * many)
