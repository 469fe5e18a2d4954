"""Tests curves that lean on those of other networks, which went further."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from datavol.study.curves.checks import RisingErrors
from datavol.study.curves.learning_curve import FURTHER, LearningCurve, fit_learning_curve
from datavol.study.curves.measured import Common, Measured
from datavol.study.curves.posterior import APART, DAMPINGS, TRUST, Kinds, infer
from datavol.study.curves.slope_process import ALIKE, LEVEL_SD, SCALES, Prior, condition

KIND = Prior(mean_slope=-0.1, slope_by_z=0.0, slope_sd=0.15, damping=0.4, drift=0.2, decay=0.3, wiggle=0.05, dof=3)
OWN, OTHER, NEW = np.array([-2.0, -1.0, 0.0]), np.array([-2.0, -0.9, 0.1, 2.0]), np.array([-1.5, 1.0, 2.0])
Z, OTHER_Z = np.array([0.1, -0.3, -0.6]), np.array([0.5, 0.2, -0.2, -0.3])


def curve(n, error, **others) -> LearningCurve:
    return fit_learning_curve(n, error, chance_error=0.9, test_size=10_000, shared=0.6, **others)


def error(n, floor=0.12):
    return floor + 0.7 * (np.asarray(n) / 100) ** -0.5


def covariance(scale, prior=KIND, alike=ALIKE):
    """Covariance of z at own, the other's and new places, from three functions: common, own and the other's.

    With the square roots of `alike` and of the rest as weights, two curves correlate by `alike`.
    """
    x = np.concatenate([OWN, OTHER, NEW])
    shape = scale**2 * prior.drift_covariance(x, x) + prior.slope_covariance(x, x)
    of_own = np.array([1] * 3 + [0] * 4 + [1] * 3)
    functions = [alike**0.5 * np.ones(10), (1 - alike) ** 0.5 * of_own, (1 - alike) ** 0.5 * (1 - of_own)]
    levels = [LEVEL_SD * of_own, LEVEL_SD * (1 - of_own)]
    full = sum(np.outer(one, one) for one in functions) * shape + sum(np.outer(one, one) for one in levels)
    return full + np.diag(scale**2 * prior.own_wiggle(x))


def middle(prior=KIND):
    at = np.interp(0, OTHER, OTHER_Z)
    return np.concatenate([prior.mean(OWN, -1) - 0.6, prior.mean(OTHER, -1) + at, prior.mean(NEW, -1) - 0.6])


def test_two_curves_that_are_alike_are_one_normal_of_both():
    noise = np.array([0.01, 0.02, 0.01, 0.03, 0.0, 0.01, 0.02])
    x, z, which = np.concatenate([OWN, OTHER]), np.concatenate([Z, OTHER_Z]), np.repeat([0, 1], [3, 4])
    told = condition(x, z, noise, KIND, which)
    means, variances = told.normals(NEW)
    joint, _ = told.average_run(NEW, np.arange(len(SCALES)))
    np.testing.assert_array_equal(joint, means)
    for number, scale in enumerate(SCALES):
        full, mean = covariance(scale), middle()
        known, cross = full[:7, :7] + np.diag(noise), full[7:, :7]
        np.testing.assert_allclose(means[number], mean[7:] + cross @ np.linalg.solve(known, z - mean[:7]), atol=1e-6)
        expected = np.diag(full[7:, 7:] - cross @ np.linalg.solve(known, cross.T))
        np.testing.assert_allclose(variances[number], expected, atol=1e-6)


def test_being_alike_is_weighed_by_bayes_rule_with_tempered_likelihoods():
    quiet = Measured(8000, OWN, Z, np.ones(3), np.zeros(3), np.full(3, 0.01))
    seen = Measured(32_000, OTHER - 2, OTHER_Z, np.ones(4), np.zeros(4), np.full(4, 0.02))
    told = infer(quiet, Kinds(KIND, KIND, odds=30.0), (Common(0.5, 0.0),), [seen])
    noise = np.diag(np.repeat([0.5 * 0.01, 0.5 * 0.02], [3, 4]) + 1e-4)  # and the variance between runs
    priors = -3 * (np.log(SCALES) + 0.5 / SCALES**2)
    priors -= logsumexp(priors)

    def evidence(rows, alike):
        logs = []
        for times, share in DAMPINGS:
            kind = replace(KIND, damping=0.4 * times)
            for scale, prior in zip(SCALES, priors, strict=True):
                known = (covariance(scale, kind, alike)[:7, :7] + noise)[np.ix_(rows, rows)]
                log = multivariate_normal(middle(kind)[:7][rows], known).logpdf(np.concatenate([Z, OTHER_Z])[rows])
                # The product leaves out the constant of normals, which cancels
                logs.append(np.log(share) + prior + TRUST * (log + len(rows) * np.log(2 * np.pi) / 2))
        return logsumexp(logs)

    own, other, both = list(range(3)), list(range(3, 7)), list(range(7))
    apart = np.log(APART) + evidence(own, 0) + evidence(other, 0)
    together = np.log(1 - APART) + evidence(both, ALIKE)
    share = told.weights.reshape(len(told.parts), -1).sum(1)[[part.process.own.all() for part in told.parts]].sum()
    assert share == pytest.approx(1 / (1 + np.exp(together - apart)), rel=1e-6)


@pytest.mark.parametrize("end", [8000, 0.99 * FURTHER * 8000])
def test_others_that_went_no_further_change_nothing_to_the_bit(end):
    n = np.array([1000, 2000, 4000, 8000])
    other = curve(n / 8000 * end, error(n, 0.2))
    alone, beside = curve(n, error(n)), curve(n, error(n), others=[other])
    assert beside.others == ()
    assert beside.predict([16_000, 32_000]).equals(alone.predict([16_000, 32_000]))
    assert (beside.average_errors([16_000]) == alone.average_errors([16_000])).all()


def test_one_that_went_further_narrows_the_forecast_and_draws_it_near():
    n, later = np.array([1000, 2000, 4000]), [8000, 16_000]
    alone = curve(n, error(n)).predict(later)
    flat = np.maximum(error([1000, 2000, 4000, 8000, 16_000]), error(4000))  # nothing more is to be had
    for path in (flat, 1.2 * flat):  # levels differ, shapes agree
        beside = curve(n, error(n), others=[curve([*n, *later], path)]).predict(later)
        assert (beside["error"] > alone["error"]).all()
    beside = curve(n, error(n), others=[curve([*n, *later], 1.3 * error([*n, *later]))]).predict(later)
    assert (beside["high"] - beside["low"] < 0.8 * (alone["high"] - alone["low"])).all()


def test_one_that_disagrees_where_both_were_measured_is_hardly_believed():
    n, later = np.array([500, 1000, 2000, 4000]), [8000, 16_000]
    alone = curve(n, error(n)).predict(later)
    with pytest.warns(RisingErrors):
        rising = curve([*n, *later], [0.30, 0.42, 0.31, 0.45, 0.60, 0.70])
    beside = curve(n, error(n), others=[rising]).predict(later)
    assert np.abs(beside["error"] - alone["error"]).max() < 0.1 * (rising.error[-1] - alone["error"].min())


def test_the_backtest_leans_on_nobody():
    n = np.array([500, 1000, 2000, 4000])
    further = curve([*n, 8000, 16_000], error([*n, 8000, 16_000]))
    assert curve(n, error(n), others=[further]).backtest().equals(curve(n, error(n)).backtest())
