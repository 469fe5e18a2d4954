"""Score forecasts of learning curves against what was measured, beside other methods; about two minutes.

    python benchmarks/learning_curves.py

Every method sees the last 3 to 6 doublings of a curve up to some n and forecasts the error at 2 n and 4 n; curves at
chance are left out. Each half of the data sets of LCDB is forecast by datavol with constants from the other half.

Columns: MAE (accuracy points), coverage of the 95 and 80 % intervals, mean width of the 95 % interval and its mean
interval score (width plus 40 times what was missed by; Gneiting and Raftery 2007), both in points; lower is better.
Bands of other methods are those of their authors, or those of a new measurement in linearised least squares.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd
from learning_curve_constants import DATA, fit_prior, halves, windows
from scipy.optimize import least_squares
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.curves.power_laws import fit_power_law, fit_power_law_with_floor
from datavol.study.curves.slope_process import LCDB_PRIOR, Prior

Forecast: TypeAlias = dict[str, np.ndarray]
LEVELS = (0.95, 0.8)


def last_value(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
    """Nothing changes any more."""
    return {"error": np.full(len(new), error[-1])}


def power_law(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
    """A line in log error against log n, with the prediction interval of that regression."""
    law = fit_power_law(n, np.maximum(error, 1e-4))
    x, y, place = np.log(n), np.log(np.maximum(error, 1e-4)), np.log(new)
    dof = len(n) - 2
    residual = np.sqrt(((y - np.log(law(n))) ** 2).sum() / dof)
    spread = residual * np.sqrt(1 + 1 / len(n) + (place - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    return {"error": law(new)} | _edges(lambda share: np.exp(np.log(law(new)) + student.ppf(share, dof) * spread))


def power_law_with_floor(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
    """Relative least squares; the interval linearises floor, scale and slope, and takes at least 1 % of noise."""
    law = fit_power_law_with_floor(n, error)
    weight = 1 / np.maximum(error, max(error[error > 0].min(initial=1), 1e-4))

    def gradient(at: np.ndarray) -> np.ndarray:
        power = at**-law.slope
        return np.stack([np.ones_like(at), power, -law.scale * power * np.log(at)], axis=1)

    dof = max(len(n) - 3, 1)
    residual = max(np.sqrt((((law(n) - error) * weight) ** 2).sum() / dof), 0.01)
    covariance = np.linalg.pinv(gradient(n) * weight[:, None])
    spread = residual * np.sqrt(((gradient(new) @ covariance) ** 2).sum(1) + law(new) ** 2)
    return {"error": law(new)} | _edges(lambda share: law(new) + student.ppf(share, dof) * spread)


def allenai(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
    """github.com/allenai/learning-curve (Hoiem et al. 2021) with its defaults, unrounded, for single runs.

    Errors in per cent; the variance of its model, whose 1/n term needs repeats; the exponent searched with a penalty of
    5 |exponent + 0.5|; the band is that of the two linear parameters.
    """
    variance, fits = 0.02, []
    for exponent in np.arange(-1, 0, 0.01):
        columns = np.stack([np.ones_like(n), n**exponent], axis=1)
        inverse = np.linalg.pinv(columns)
        parameters = inverse @ (100 * error)
        objective = ((100 * error - columns @ parameters) ** 2).sum() / variance + 5 * abs(exponent + 0.5)
        fits.append((objective, exponent, parameters, variance * inverse @ inverse.T))
    _, exponent, parameters, covariance = min(fits, key=lambda fit: fit[0])
    places = np.stack([np.ones_like(new), new**exponent], axis=1)
    middle, spread = places @ parameters, np.sqrt(np.einsum("pi,ij,pj->p", places, covariance, places))
    return {"error": middle / 100} | _edges(lambda share: (middle + norm.ppf(share) * spread) / 100)


def m4(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
    """(e - floor) / (chance - e)^bend = scale n^-slope (Alabdulmohsin, Neyshabur and Zhai 2022), M4; no interval."""
    top = max(chance_error, 1.02 * error.max())
    grid = np.linspace(-12, logit(0.999), 200)

    def curve(parameters: np.ndarray, at: np.ndarray) -> np.ndarray:
        floor, scale, slope, bend = parameters
        lowest = error.min() * expit(floor)
        errors = lowest + (top - lowest) * expit(grid)
        left = np.log(errors - lowest) - bend * np.log(top - errors)
        return np.interp(scale - slope * np.log(at / n[-1]), left, errors)

    def misfit(parameters: np.ndarray) -> np.ndarray:
        return np.log(curve(parameters, n) / np.maximum(error, 1e-4))

    start = [-2.0, np.log(max(error[-1], 1e-4)), 0.3, 0.5]
    bounds = ([-9, -20, 0, 0], [9, 20, 3, 3])
    return {"error": curve(least_squares(misfit, start, bounds=bounds, max_nfev=60).x, new)}


def datavol(prior: Prior, test_size: int | None) -> Callable[..., Forecast]:
    """This project's forecast."""

    def forecast(n: np.ndarray, error: np.ndarray, new: np.ndarray, chance_error: float) -> Forecast:
        curve = fit_learning_curve(n, error, chance_error=chance_error, test_size=test_size, prior=prior)
        told = {level: curve.predict(new, level) for level in LEVELS}
        edges = {f"{edge}_{level}": told[level][edge].to_numpy() for level in LEVELS for edge in ("low", "high")}
        return {"error": told[0.95]["error"].to_numpy()} | edges

    return forecast


PEERS = {
    "last value": last_value,
    "power law": power_law,
    "power law with floor (M2)": power_law_with_floor,
    "allenai/learning-curve": allenai,
    "M4": m4,
}


def _edges(quantile: Callable[[float], np.ndarray]) -> Forecast:
    """The edges of both intervals, clipped to shares."""
    shares = {f"low_{level}": (1 - level) / 2 for level in LEVELS} | {
        f"high_{level}": (1 + level) / 2 for level in LEVELS
    }
    return {name: np.clip(quantile(share), 0, 1) for name, share in shares.items()}


def forecasts(method: Callable[..., Forecast], chosen: list[pd.DataFrame]) -> pd.DataFrame:
    """A row per window and target: `measured`, `error`, and the edges of the intervals where the method has them."""
    frames = []
    for window in chosen:
        n, error = window["n"].to_numpy(float), window["error"].to_numpy()
        told = method(n[:-2], error[:-2], n[-2:], window["chance_error"].iloc[0])
        frames.append(pd.DataFrame({"measured": error[-2:], **told, "k": len(n) - 2}))
    return pd.concat(frames)


def scores(told: pd.DataFrame) -> dict[str, float]:
    """MAE in points, coverage (shares), width and interval score of the 95 % interval in points."""
    result = {"MAE": 100 * (np.clip(told["error"], 0, 1) - told["measured"]).abs().mean()}
    if "low_0.95" in told:
        for level in LEVELS:
            result[f"cov {100 * level:.0f}"] = (
                told["measured"].between(told[f"low_{level}"], told[f"high_{level}"]).mean()
            )
        missed = (told["low_0.95"] - told["measured"]).clip(0) + (told["measured"] - told["high_0.95"]).clip(0)
        width = told["high_0.95"] - told["low_0.95"]
        result |= {"width": 100 * width.mean(), "score": 100 * (width + 40 * missed).mean()}
    return result


def lcdb_forecasts(lcdb: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of LCDB by datavol: each half of the data sets with the constants of the other."""
    chosen = [windows(half, ["dataset", "learner"]) for half in halves(lcdb)]
    return pd.concat([forecasts(datavol(fit_prior(chosen[1 - i]), None), chosen[i]) for i in (0, 1)])


def main() -> None:
    """Print a table per source."""
    began = time.time()
    lcdb, fashion = (pd.read_csv(DATA / f"{name}.csv") for name in ("lcdb", "fashion_mnist"))
    sources = {
        "LCDB 1.1, constants from other data sets": (
            windows(lcdb, ["dataset", "learner"]),
            lambda _: lcdb_forecasts(lcdb),
        ),
        "Fashion-MNIST, scikit-learn": (
            windows(fashion, ["learner", "seed"]),
            lambda chosen: forecasts(datavol(LCDB_PRIOR, 10_000), chosen),
        ),
    }
    for source, (chosen, ours) in sources.items():
        told = {name: forecasts(method, chosen) for name, method in PEERS.items()} | {"datavol": ours(chosen)}
        print(f"\n{source}: {len(chosen)} windows, {2 * len(chosen)} forecasts")
        print(
            pd.DataFrame({name: scores(frame) for name, frame in told.items()}).T.to_string(
                float_format="%.2f", na_rep="-"
            )
        )
        by_sizes = told["datavol"].groupby("k")
        print(
            pd.DataFrame({f"datavol from {k} sizes": scores(f) for k, f in by_sizes}).T.to_string(float_format="%.2f")
        )
    print(f"\n{time.time() - began:.0f} seconds")


if __name__ == "__main__":
    main()
