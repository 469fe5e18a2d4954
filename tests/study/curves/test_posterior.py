import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import t as student

from datavol.study.curves.error_scale import ErrorScale
from datavol.study.curves.measured import Common, Measured, paired
from datavol.study.curves.posterior import DAMPINGS, Kinds, Mixture, infer
from datavol.study.curves.slope_process import LEVEL_SD, SCALES, WIGGLE_DECAY, Prior, condition

KIND = Prior(
    mean_slope=-0.1, slope_by_z=0.05, slope_sd=0.15, damping=0.4, drift=0.2, decay=0.3, wiggle=0.05, dof=3, lasting=0.4
)


@pytest.mark.parametrize("error", [1e-4, 0.01, 0.3, 0.89])
@pytest.mark.parametrize("chance", [0.9, 0.5])
def test_the_scale_and_its_slope_are_inverse_to_what_they_convert(error, chance):
    scale = ErrorScale.of(np.array([0.05]), chance, None)
    error = np.array([min(max(error, scale.floor), 0.99 * chance)])
    ratio = error / chance
    assert scale.z(error) == pytest.approx(np.log(ratio) - np.log(1 - ratio) / 4)
    assert scale.error(scale.z(error)) == pytest.approx(error, rel=1e-12)
    step = 1e-6 * error
    slope = (scale.z(error + step) - scale.z(error - step)) / (2 * step)
    if 1.01 * scale.floor < error < 0.9 * chance:  # else it is clipped
        assert scale.steepness(error) == pytest.approx(slope, rel=1e-4)


def test_the_covariance_is_the_integral_of_a_forgetful_slope():
    prior = replace(KIND, drift=0.7, wiggle=0)
    for x, y in ((-3.0, -1.0), (-2.0, -2.0), (-1.0, 2.0)):
        expected, _ = dblquad(lambda u, v: 0.49 * math.exp(-0.3 * abs(u - v)), 0, x, 0, y, epsabs=1e-6)
        assert prior.drift_covariance(np.array([x]), np.array([y])).item() == pytest.approx(expected, abs=1e-5)


def bent(x, damping):
    return x if x <= 0 else (1 - math.exp(-damping * x)) / damping


def joint(everything, scale, lasting=0.4, own=1, damping=0.4):
    """Mean and covariance of z at all places, by loops."""
    count = len(everything)
    full = np.zeros((count, count))

    def spread(d):
        return 2 * (0.2 / 0.3) ** 2 * (0.3 * abs(d) - 1 + math.exp(-0.3 * abs(d)))

    for i, j in product(range(count), repeat=2):
        x, y = everything[i], everything[j]
        sds = 0.05**2 * 2 ** ((max(-x, 0) + max(-y, 0)) / 2)
        drift = (spread(x) + spread(y) - spread(x - y)) / 2
        wiggle = sds * (lasting * math.exp(-WIGGLE_DECAY * abs(x - y)) + (i == j) * own * (1 - lasting))
        full[i, j] = LEVEL_SD**2 + 0.15**2 * bent(x, damping) * bent(y, damping) + scale**2 * (drift + wiggle)
    return np.array([-1.25 + (-0.1 + 0.05 * -0.25) * bent(x, damping) for x in everything]), full


def test_the_process_is_a_sum_of_gaussian_processes_by_brute_force():
    x, new = np.array([-4.0, -2.5, -1.0, -0.4, 0.0]), np.array([-1.7, 0.0, 2.0])
    z, noise = np.array([0.2, -0.4, -0.9, -1.2, -1.25]), np.array([0.02, 0.01, 0.01, 0.0, 0.001])
    told = condition(x, z, noise, KIND)
    means, variances = told.normals(new)
    for number, scale in enumerate(SCALES):
        mean, full = joint([*x, *new], scale)
        known, cross, residual = full[:5, :5] + np.diag(noise), full[5:, :5], z - mean[:5]
        np.testing.assert_allclose(means[number], mean[5:] + cross @ np.linalg.solve(known, residual), atol=1e-6)
        expected = np.diag(full[5:, 5:] - cross @ np.linalg.solve(known, cross.T))
        np.testing.assert_allclose(variances[number], expected, atol=1e-6)
        likelihood = -0.5 * (np.linalg.slogdet(known)[1] + residual @ np.linalg.solve(known, residual))
        assert told.likelihood[number] == pytest.approx(likelihood)
    prior = -3 * (np.log(SCALES) + 0.5 / SCALES**2)
    np.testing.assert_allclose(np.exp(told.prior_weights), np.exp(prior) / np.exp(prior).sum())


def test_draws_have_the_moments_of_the_average_run():
    x, new = np.array([-4.0, -2.5, -1.0, 0.0]), np.array([-3.0, 0.0, 2.0])
    z = np.array([0.2, -0.4, -0.9, -1.25])
    measured = Measured(8000, x, z, np.full(4, 3), np.full(4, 0.2), np.array([0.02, 0.01, 0.01, 0.004]))
    kinds = Kinds(replace(KIND, dof=30), replace(KIND, dof=40), odds=0.0)  # alike but for the scales' prior
    told = infer(measured, kinds, (Common(0.5, 0.0),))
    means, covariances = [], []
    run_variance = (2 * 0.01**2 + max(0, 0.8 - 0.5 * 2 * 0.044)) / (2 + 8)
    noise = (0.5 * measured.test_variance + run_variance) / 3
    for damping, scale in product(2 * [0.4 * times for times, _ in DAMPINGS], SCALES):
        mean, full = joint([*x, *new], scale, 8 / 11, damping=damping)  # `lasting` of 8 spare runs
        for place in range(4, 7):  # the average run has no wiggle of its own
            full[place, place] = joint([[*x, *new][place]], scale, 8 / 11, own=0, damping=damping)[1].item()
        known, cross, residual = full[:4, :4] + np.diag(noise), full[4:, :4], z - mean[:4]
        means.append(mean[4:] + cross @ np.linalg.solve(known, residual))
        covariances.append(full[4:, 4:] - cross @ np.linalg.solve(known, cross.T) + 0.5 * 0.004)
    mean = told.weights @ np.array(means)
    spread = [c + np.outer(m - mean, m - mean) for c, m in zip(covariances, means, strict=True)]
    drawn = told.draws(new, 40_000, np.random.default_rng(0))
    sds = np.sqrt(np.diag(np.tensordot(told.weights, spread, 1)))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.02 * sds.max())
    np.testing.assert_allclose(np.cov(drawn.T), np.tensordot(told.weights, spread, 1), atol=0.05 * sds.max() ** 2)


def test_without_noise_the_mixture_of_scales_is_a_student_t():
    x, new = np.array([-3.0, -2.0, -1.0, 0.0]), np.array([1.0, 2.0])
    z = np.array([0.1, -0.3, -0.65, -0.9])
    kind = replace(KIND, slope_by_z=0.0, slope_sd=0.0, damping=1e-9, drift=0.05, wiggle=0.01, dof=2.5, lasting=0.0)
    told = condition(x, z, np.zeros(4), kind)
    logs = told.prior_weights + told.likelihood
    means, variances = told.normals(new)
    mixture = Mixture(np.exp(logs - np.logaddexp.reduce(logs)), means, np.sqrt(variances))
    both = np.concatenate([x, new])
    covariance = kind.drift_covariance(both, both) + np.diag(kind.own_wiggle(both)) + LEVEL_SD**2
    known, cross = covariance[:4, :4], covariance[4:, :4]
    residual = z - z[-1] + 0.1 * x
    mean = z[-1] - 0.1 * new + cross @ np.linalg.solve(known, residual)
    dof = 2.5 + 3
    factor = (2.5 + residual @ np.linalg.solve(known, residual)) / dof
    scale = np.sqrt(factor * np.diag(covariance[4:, 4:] - cross @ np.linalg.solve(known, cross.T)))
    for share in (0.025, 0.1, 0.5, 0.975):
        np.testing.assert_allclose(
            mixture.quantile(share), mean + student.ppf(share, dof) * scale, atol=0.02 * scale[0]
        )


def test_seeds_and_sizes_are_parted_as_in_a_two_way_layout():
    rng = np.random.default_rng(1)
    table = rng.standard_normal((5, 3))  # sizes, seeds
    table -= table.mean(1, keepdims=True)
    told = paired(table.ravel(), np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5))
    residual = table - table.mean(0)  # of both means, as those of the sizes are 0
    assert (told.dof, told.count, told.squares) == (8, 3, pytest.approx((residual**2).sum()))
    np.testing.assert_allclose(told.shift, 0, atol=1e-12)
    for alone in ([0, 1, 2, 3, 4], [0, 0, 0, 0, 0]):  # seeds that never come again, and one seed
        assert paired(table[:, 0], np.arange(5), np.array(alone)) is None
