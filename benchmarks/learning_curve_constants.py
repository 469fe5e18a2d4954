"""Fit the constants of `datavol.study.curves.slope_process` to public curves and print them; about ten seconds.

    python benchmarks/learning_curve_constants.py

They maximise the likelihood of the errors at 2 n and 4 n given those at the last 3 to 6 doublings up to n. No noise is
known of these curves, so that the forecasts are Student t, in closed form and for all curves at once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import logit
from scipy.stats import t as student

from datavol.study.curves.checks import AT_CHANCE
from datavol.study.curves.error_scale import CEILING, FLOOR
from datavol.study.curves.slope_process import LEVEL_SD, Prior

DATA = Path(__file__).parent / "data"
START = Prior(mean_slope=-0.03, drift=0.04, decay=0.2, wiggle=0.01, dof=3.0)


def windows(curves: pd.DataFrame, by: list[str], sizes: tuple[int, ...] = (3, 4, 5, 6)) -> list[pd.DataFrame]:
    """The last k + 2 sizes of every curve, k of them to fit to, wherever the last of those is below chance."""
    found = []
    for _, curve in curves.groupby(by, sort=True):
        for k in sizes:
            window = curve.tail(k + 2)
            if len(window) == k + 2 and window["error"].iloc[k - 1] <= AT_CHANCE * window["chance_error"].iloc[0]:
                found.append(window)
    return found


def stacked(chosen: list[pd.DataFrame]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places and z of the windows, (windows, k + 2) for every k, without those that touch the floor."""
    stacks = []
    for k in sorted({len(window) - 2 for window in chosen}):
        same = [window for window in chosen if len(window) == k + 2]
        error = np.array([window["error"] for window in same])
        chance = np.array([window["chance_error"].iloc[0] for window in same])
        ratio = error / np.maximum(chance, CEILING * error[:, :k].max(1))[:, None]
        x = np.log2(np.array([window["n"] for window in same]))
        kept = (ratio > FLOOR).all(1)
        stacks.append(((x - x[:, k - 1 : k])[kept], logit(np.clip(ratio, None, 1 - FLOOR))[kept]))
    return stacks


def forecasts(x: np.ndarray, z: np.ndarray, prior: Prior) -> tuple[np.ndarray, np.ndarray, float]:
    """Means, scales and degrees of freedom of the Student t forecasts of the last two columns of `z`."""
    known = slice(None, -2)
    covariance = prior.covariance_of_runs(x) + LEVEL_SD**2
    measured, cross = covariance[:, known, known], covariance[:, -2:, known]
    residual = z - z[:, -3, None] - prior.mean_slope * x
    weights = np.linalg.solve(measured, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    surprise = (residual[:, known] * np.linalg.solve(measured, residual[:, known, None])[..., 0]).sum(1)
    variance = np.diagonal(covariance[:, -2:, -2:], axis1=1, axis2=2) - (weights * cross).sum(2)
    dof = prior.dof + x.shape[1] - 3  # two columns are forecast, and the open level takes one degree of freedom
    mean = (weights @ residual[:, known, None])[..., 0] + z[:, -3, None] + prior.mean_slope * x[:, -2:]
    return mean, np.sqrt(variance * (prior.dof + surprise[:, None]) / dof), dof


def fit_prior(chosen: list[pd.DataFrame]) -> Prior:
    """The constants under which what came after the windows was likeliest."""
    stacks = stacked(chosen)
    start = [START.mean_slope, *np.log([START.drift, START.decay, START.wiggle, START.dof])]

    def loss(values: np.ndarray) -> float:
        prior = _prior(values)
        scores = []
        for x, z in stacks:
            mean, scale, dof = forecasts(x, z, prior)
            scores.append(student.logpdf((z[:, -2:] - mean) / scale, dof) - np.log(scale))
        return -float(np.concatenate(scores).mean())

    options = {"xatol": 1e-3, "fatol": 1e-6, "maxiter": 2000}
    return _prior(minimize(loss, start, method="Nelder-Mead", options=options).x)


def _prior(values: np.ndarray) -> Prior:
    return Prior(float(values[0]), *(float(value) for value in np.exp(values[1:])))


def halves(curves: pd.DataFrame) -> list[pd.DataFrame]:
    """The curves in two halves that share no data set."""
    names = np.random.default_rng(0).permutation(curves["dataset"].unique())
    first = curves["dataset"].isin(names[: len(names) // 2])
    return [curves[first], curves[~first]]


def main() -> None:
    """Print the constants from all data sets, and from either half of them."""
    lcdb = pd.read_csv(DATA / "lcdb.csv")
    for name, curves in [("all", lcdb), *zip(("one half", "the other"), halves(lcdb), strict=True)]:
        print(f"{name:>10}: {fit_prior(windows(curves, ['dataset', 'learner']))}")


if __name__ == "__main__":
    main()
