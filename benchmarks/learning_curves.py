"""Score forecasts of learning curves against what was measured, beside other methods; about ten minutes.

    python benchmarks/learning_curves.py

Every method sees 3 to 6 sizes of a curve up to some n and forecasts the error at 2 n and 4 n; curves at chance are left
out. datavol forecasts every source with constants that were fitted without it (`learning_curve_constants.py`), LCDB by
its half of the data sets that no fit has seen. Errors are forecast as they were measured, as test images in some number
would have measured them (new ones for every run, or the same ones for all, which have 3/4 of their noise in common),
and with all sizes within 0.4 doublings.

Columns: MAE (accuracy points) and CRPS, the continuous ranked probability score (points), both also as ratios to the
better of `allenai` and the power law with a floor; coverage of the 95 % interval, its mean width (points) and interval
score (width plus 40 times what was missed by; Gneiting and Raftery 2007), and `oracle`, its half-width over the one
that would just hold 95 %. Lower is better. Bands of other methods are those of their authors, or those of a new
measurement in linearised least squares, and their CRPS is that of a normal with this band; without a band it is the
MAE.

Then: how often what datavol calls enough or reached is so, by its probability; and how often the number of images that
it names falls short of the need.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from learning_curve_constants import CONSTANTS
from learning_curve_sources import FILES, Window, halves, some, tested, windows
from scipy.optimize import least_squares
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from datavol.errors import InsufficientData
from datavol.study.curves.checks import RisingErrors
from datavol.study.curves.learning_curve import LearningCurve, fit_learning_curve
from datavol.study.curves.posterior import Kinds
from datavol.study.curves.power_laws import fit_power_law, fit_power_law_with_floor
from datavol.study.curves.slope_process import Prior

Forecast: TypeAlias = dict[str, np.ndarray]
CONDITIONS = {  # test images, and the share of their noise that runs have in common
    "as measured": (None, 0.0),
    "1,000 test images": (1000, 0.0),
    "1,000, the same ones": (1000, 0.75),
    "200 test images": (200, 0.0),
    "200, the same ones": (200, 0.75),
}
COUNT = 120  # windows of a source and condition
SHARES = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)  # quantiles of which CRPS is made
DELTA = 0.01
BINS = (0, 0.2, 0.4, 0.6, 0.8, 1)


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


PEERS = {
    "last value": last_value,
    "power law": power_law,
    "power law with floor (M2)": power_law_with_floor,
    "allenai/learning-curve": allenai,
    "M4": m4,
}
ANCHORS = ("power law with floor (M2)", "allenai/learning-curve")


def _edges(quantile: Callable[[float], np.ndarray]) -> Forecast:
    """The edges of the 95 % interval, clipped to shares."""
    return {"low": np.clip(quantile(0.025), 0, 1), "high": np.clip(quantile(0.975), 0, 1)}


def kinds_without(source: str) -> Kinds:
    """The constants that have not seen a source."""
    fitted = json.loads(CONSTANTS.read_text())[source]
    return Kinds(Prior(**fitted["networks"]), Prior(**fitted["lcdb"]), fitted["odds"])


def unseen(source: str) -> list[Window]:
    """The windows of a source that no constant was fitted to."""
    return halves(windows(source))[1] if source == "LCDB" else windows(source)


def fitted(
    window: Window, test_size: int | None, kinds: Kinds, others: Sequence[LearningCurve] = ()
) -> LearningCurve | None:
    """Datavol's curve, None where it refuses to forecast."""
    n, error = window.runs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RisingErrors)
            told = {"chance_error": window.chance_error, "test_size": test_size, "kinds": kinds, "others": others}
            return fit_learning_curve(n, error, **told)
    except InsufficientData:
        return None


def forecasts(method: Callable[..., Forecast], chosen: Sequence[Window]) -> pd.DataFrame:
    """A row per window and later size: `measured`, `error`, and the interval where the method has one."""
    frames = []
    for window in chosen:
        told = method(*window.runs, window.later_n, window.chance_error)
        frames.append(_of_runs(pd.DataFrame(told), window))
    told = pd.concat(frames, ignore_index=True)
    away = (told["error"].clip(0, 1) - told["measured"]).abs()
    if "low" not in told:
        return told.assign(crps=away)
    # CRPS of a normal (Gneiting and Raftery 2007, equation 21)
    sd = np.maximum((told["high"] - told["low"]) / (2 * norm.ppf(0.975)), 1e-6)
    z = (told["measured"] - told["error"]) / sd
    return told.assign(crps=sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5))


def datavol(chosen: Sequence[Window], test_size: int | None, kinds: Kinds) -> tuple[pd.DataFrame, list[Window]]:
    """This project's forecasts, as `forecasts` has them, and the windows that it forecasts."""
    frames, kept = [], []
    for window in chosen:
        if (curve := fitted(window, test_size, kinds)) is None:
            continue
        kept.append(window)
        frames.append(forecast(curve, window))
    return pd.concat(frames, ignore_index=True), kept


def forecast(curve: LearningCurve, window: Window) -> pd.DataFrame:
    """What a curve forecasts after the window that it was fitted to, as `forecasts` has it."""
    quantiles = {0.5: curve.predict(window.later_n)["error"].to_numpy()}
    for share in SHARES[:5]:
        told = curve.predict(window.later_n, 1 - 2 * share)
        quantiles |= {share: told["low"].to_numpy(), 1 - share: told["high"].to_numpy()}
    told = _of_runs(pd.DataFrame(quantiles), window)
    # CRPS is twice the mean of the pinball losses of quantiles that are spread evenly, here nearly so
    off = {share: told["measured"] - told[share] for share in quantiles}
    losses = [np.maximum(share * by, (share - 1) * by) for share, by in off.items()]
    told = told.rename(columns={0.5: "error", SHARES[0]: "low", 1 - SHARES[0]: "high"})
    return told.assign(crps=2 * np.mean(losses, axis=0), sizes=len(window.n))


def _of_runs(told: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Forecasts of sizes as rows of their runs, with what those measured."""
    rows = told.loc[np.repeat(np.arange(len(told)), [len(runs) for runs in window.later])]
    return rows.assign(measured=np.concatenate(window.later))


def scores(told: pd.DataFrame) -> dict[str, float]:
    """MAE, CRPS, width and score in points; coverage and the oracle's factor of the 95 % interval."""
    measured, middle = told["measured"], told["error"].clip(0, 1)
    result = {"MAE": 100 * (middle - measured).abs().mean(), "CRPS": 100 * told["crps"].mean()}
    if "low" in told:
        low, high = told["low"], told["high"]
        missed = (low - measured).clip(0) + (measured - high).clip(0)
        # How far off the middle, in half-widths of its side: the interval that just holds 95 % is so many times as wide
        side = np.where(measured > middle, high - middle, middle - low)
        needed = np.quantile((measured - middle).abs() / np.maximum(side, 1e-9), 0.95)
        result |= {"cov 95": measured.between(low, high).mean(), "width": 100 * (high - low).mean()}
        result |= {"score": 100 * (high - low + 40 * missed).mean(), "oracle": 1 / needed}
    return result


def table(chosen: Sequence[Window], test_size: int | None, kinds: Kinds) -> pd.DataFrame:
    """Scores of every method, and ratios to the better anchor."""
    ours, kept = datavol(chosen, test_size, kinds)
    told = {name: scores(forecasts(method, kept)) for name, method in PEERS.items()} | {"datavol": scores(ours)}
    rows = pd.DataFrame(told).T
    for name in ("MAE", "CRPS"):
        rows[f"{name} ratio"] = rows[name] / rows.loc[list(ANCHORS), name].min()
    return rows


def close_sizes(window: Window, rng: np.random.Generator) -> Window:
    """The window with its sizes moved to within 0.4 doublings below the largest, read off the curve."""
    x = np.log2(window.n)
    places = x[-1] - 0.4 * np.linspace(1, 0, len(x))
    means = [runs.mean() for runs in window.errors]
    # The curve between measured sizes, as if it were straight there, and runs that differ by 1 %
    moved = np.interp(places, x, means) * np.exp(0.01 * rng.standard_normal(len(x)))
    return replace(window, n=2**places, errors=tuple(np.array([error]) for error in moved))


def claims(chosen: Sequence[Window], test_size: int | None, common: float, kinds: Kinds) -> pd.DataFrame:
    """A row per claim: `what` (enough, reached), `probability`, `true`; and per number of images `N75`, `N90`."""
    rng, rows = np.random.default_rng(0), []
    for window in chosen:
        curve = fitted(tested(window, test_size, common, rng), test_size, kinds)
        if curve is None:
            continue
        before = np.array([runs.mean() for runs in window.errors])
        errors = curve.average_errors([*window.n, *window.later_n])
        last = len(window.n) - 1
        for place in range(last):
            told = float((errors[:, place] - errors[:, last] <= DELTA).mean())
            rows.append(("enough", told, float(before[place] - before[-1] <= DELTA)))
        wanted = before[-1] * rng.uniform(0.7, 1.0)  # an error that more data may reach
        reached = curve.images_for(wanted) if 0 < wanted < window.chance_error else None
        if reached is None:
            continue
        for size, truth in zip(window.later_n, window.truth, strict=True):
            if size <= curve.limit:
                rows.append(("reached", reached.probability(size), float(truth <= wanted)))
        if window.truth.min() <= wanted:  # otherwise nobody knows what it takes
            x = np.log2([*window.n, *window.later_n])
            path = np.minimum.accumulate([*before, *window.truth])
            need = 2 ** np.interp(-wanted, -path, x)
            for name, share in (("N75", 0.75), ("N90", 0.9)):
                named = reached.images(share)
                rows.append((name, np.nan if named is None else named / need, float(named is None or named >= need)))
    return pd.DataFrame(rows, columns=["what", "probability", "true"])


def reliability(told: pd.DataFrame) -> pd.DataFrame:
    """Claims by their probability: cases, mean probability, how many were true."""
    parts = pd.cut(told["probability"], BINS, include_lowest=True)
    groups = told.groupby(["what", parts], observed=True)
    return groups.agg(cases=("true", "size"), said=("probability", "mean"), true=("true", "mean"))


def main() -> None:
    """Print a table per source and condition, then the reliability of claims."""
    began, every = time.time(), []
    for source in FILES:
        kinds, chosen = kinds_without(source), some(unseen(source), COUNT)
        for condition, (test_size, common) in CONDITIONS.items():
            rng = np.random.default_rng(0)
            noisy = [tested(window, test_size, common, rng) for window in chosen]
            rows = table(noisy, test_size, kinds)
            print(f"\n{source}, {condition}: {len(noisy)} windows")
            print(rows.to_string(float_format="%.2f", na_rep="-"), flush=True)
            every.append(rows.loc["datavol"].rename(f"{source}, {condition}"))
        rng = np.random.default_rng(0)
        near, _ = datavol([close_sizes(window, rng) for window in chosen], None, kinds)
        every.append(pd.Series(scores(near), name=f"{source}, sizes within 0.4 doublings"))
    print("\ndatavol")
    print(pd.DataFrame(every).to_string(float_format="%.2f", na_rep="-"))
    for test_size, common in ((None, 0.0), (5000, 0.0), (1000, 0.0), (1000, 0.75), (200, 0.0), (200, 0.75)):
        parts = [claims(some(unseen(source), COUNT, 1), test_size, common, kinds_without(source)) for source in FILES]
        told = pd.concat(parts)
        print(f"\n{test_size or 'unknown'} test images, {common:g} of their noise in common")
        numbers = told["what"].isin(["N75", "N90"])
        print(reliability(told[~numbers]).to_string(float_format="%.2f"))
        for name, part in told[numbers].groupby("what"):
            named = part["probability"].dropna()
            print(
                f"{name}: falls short in {1 - part['true'].mean():.1%} of {len(part)}, none named in "
                f"{part['probability'].isna().mean():.1%}, of those named {named.median():.2f} times the need (median)"
            )
    print(f"\n{time.time() - began:.0f} seconds")


if __name__ == "__main__":
    main()
