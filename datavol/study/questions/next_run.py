"""Chooses the run that should narrow an interval most per hour.

A preposterior analysis on equally likely learning curves, all drawn at once: a candidate's outcome makes those curves
likely that pass near it, and the asked interval is that of the curves so weighted. Its width is averaged over outcomes.
The noise of a run is held as it is: a fit to an imagined outcome would estimate it anew, from one pair perhaps, and
expect repeats to widen what they narrow.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from datavol.cli.text import level_text, per_cent
from datavol.errors import ConfigError
from datavol.study.curves.forecasts import settled
from datavol.study.curves.learning_curve import REACH, LearningCurve
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.gates import Gate, Refused
from datavol.study.questions.remedies import train_command
from datavol.study.questions.run_time import seconds_of_run
from datavol.study.questions.saturation import full_curve

Asked = Literal["full", "saturation", "target", "doubling"]
ASKED = {
    "full": "the accuracy of the full set on these test images",
    "saturation": "the fraction that is enough",
    "target": "the images needed",
    "doubling": "what twice the data would buy",
}
SLACK = 1 + 1e-9  # of fractions, which are decimals
OUTCOMES = 20  # equally likely outcomes of each candidate
GRID = 25  # sizes between which the asked one is interpolated
NARROWEST = 0.02
"""Least noise of a run, as a share of what is unknown of its size: keeps some hundred curves near every outcome."""
WORTH = 0.05
"""A run that narrows the interval by less than this share is not named: in simulations so little did not come true."""


@dataclass(frozen=True)
class NextRun:
    """Stores the best next run.

    Attributes:
        asked: The interval that it narrows: `full` and `doubling` (accuracies, shares), `saturation` or `target` (in
            doublings of n).
        fraction: Its fraction.
        seed: The least one that is not used at this fraction.
        hours: Expected hours of training and evaluation.
        now: Width of the interval.
        then: Its expected width with the run.
        level: Of the interval.
        candidates: All candidates, as `next_runs` returns them.
    """

    asked: Asked
    fraction: float
    seed: int
    hours: float
    now: float
    then: float
    level: float
    candidates: pd.DataFrame

    def __str__(self) -> str:
        took = f"about {60 * self.hours:.2g} min" if self.hours < 1 else f"about {self.hours:.3g} h"
        scale, unit = (100, "points") if self.asked in ("full", "doubling") else (1, "doublings")
        widths = f"from {scale * self.now:.2g} to {scale * self.then:.2g} {unit} wide"
        interval = f"the {level_text(self.level)} interval of {ASKED[self.asked]}"
        return f"training fraction={self.fraction:g} seed={self.seed} ({took}) would narrow {interval} {widths}"

    @property
    def reason(self) -> str:
        """Describe the method."""
        return f"the most per hour of {len(self.candidates)} candidates, by their likely outcomes"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence."""
        return {name: getattr(self, name) for name in ("fraction", "seed", "hours", "now", "then")}


def next_run(
    curve: CurveRuns, asked: Asked, *, delta: float = 0.01, target: float | None = None, level: float = 0.95
) -> NextRun:
    """Choose the run that should narrow the asked interval most per hour.

    Raises:
        ConfigError: If `asked` is unknown, or `target` without a target.
        InsufficientData: If no curve can be fitted, times were not recorded, or no single run would narrow the
            interval.
    """
    candidates = next_runs(curve, asked, delta=delta, target=target, level=level)
    best = candidates.iloc[0]
    if not best["now"] > 0:
        why = f"all of the interval of {ASKED[asked]} lies at or beyond one end of the sizes searched"
        raise Refused(Gate("searched", why, "no run is needed to tell that", refuses=True))
    if not best["now"] - best["then"] > WORTH * best["now"]:
        most = candidates.sort_values("then", kind="stable").iloc[0]
        why = f"none of {len(candidates)} runs would by itself narrow the interval of {ASKED[asked]}"
        seeds = [int(most["seed"]) + more for more in range(3)]
        command = train_command(curve.runs, fraction=[float(most["fraction"])], seed=seeds)
        raise Refused(Gate("one_run", why, f"train several at {per_cent(most['fraction'])} of the data", True, command))
    named = {name: float(best[name]) for name in ("fraction", "hours", "now", "then")}
    return NextRun(asked, seed=int(best["seed"]), level=level, candidates=candidates, **named)


def next_runs(
    curve: CurveRuns, asked: Asked, *, delta: float = 0.01, target: float | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Evaluate the candidates for the next run, the best first.

    They are the measured fractions, their doubles, and the full set where a forecast reaches it; for
    the accuracy of the full set also half of the smallest, which lies outside the sizes that the others search.

    Returns:
        A row per candidate: `fraction`, `images`, `seed`, `hours`, `now` and `then` (the interval's width and its
        expectation with the run: accuracy as a share, sizes in doublings), `per_hour` (narrowed per hour).

    Raises:
        ConfigError: If `asked` is unknown, or `target` without a target.
        InsufficientData: If no curve can be fitted, or times were not recorded.
    """
    if asked not in ASKED:
        raise ConfigError(f"asked must be one of {', '.join(ASKED)}, got {asked!r}")
    fitted = curve.fit(level) if asked == "target" else full_curve(curve, level)
    known = dict(zip(curve.runs["fraction"], curve.runs["images"], strict=True))
    fractions = _candidates(curve.runs["fraction"], smaller=asked == "full")
    fractions = [one for one in fractions if one <= SLACK * curve.fraction_of(fitted.largest) * REACH]
    images = [int(known.get(fraction, max(1, round(fraction * curve.full_size)))) for fraction in fractions]
    values, outcomes = _draws(asked, fitted, curve.full_size, images, delta, target)
    shares = [(1 - level) / 2, (1 + level) / 2]
    now = float(_widths(values, np.ones((1, len(values))), shares)[0])
    noise = _noise(fitted, images)
    rows = []
    for fraction, size, errors, sd in zip(fractions, images, outcomes.T, noise, strict=True):
        # By the law of total variance no run is expected to widen what is known. Distances of quantiles may: by a
        # hundredth where outcomes tell next to nothing, by more where almost all curves need a size at one end of those
        # searched, so that the interval jumps with the few others. Both are as good as no change
        then = min(now, _expected(values, errors, sd, shares))
        hours = _seconds(curve.runs, size) / 3600
        used = set(curve.runs.loc[np.isclose(curve.runs["fraction"], fraction), "seed"])
        seed = next(seed for seed in range(len(used) + 1) if seed not in used)
        rows.append((fraction, size, seed, hours, now, then, (now - then) / hours))
    columns = ["fraction", "images", "seed", "hours", "now", "then", "per_hour"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        "per_hour", ascending=False, kind="stable", ignore_index=True
    )


def _candidates(fractions: pd.Series, *, smaller: bool) -> list[float]:
    known = sorted(fractions.unique())
    others = [*(known[0] / 2,) * smaller, *(2 * fraction for fraction in known), 1.0]
    # A fraction within a fifth of a measured one would tell as much as that one again
    new = [one for one in others if one <= 1 and not np.isclose(one, known, rtol=0.2).any()]
    return sorted({*known, *new})


def _seconds(runs: pd.DataFrame, images: int) -> float:
    """Predict the seconds of a run on so many images, or refuse."""
    if (seconds := seconds_of_run(runs, images)) is None:
        why = "the seconds that runs took were not recorded, so no run is the best per hour"
        raise Refused(Gate("seconds", why, "load the study's folder, whose records have them", refuses=True))
    return seconds


def _draws(
    asked: Asked, fitted: LearningCurve, full: int, images: list[int], delta: float, target: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what is asked, and with it the candidates' errors.

    Returns:
        What is asked (curves,), and the errors (curves, candidates).
    """
    if asked == "target" and target is None:
        raise ConfigError("target must be an accuracy, got None; give a share, 0.9 for 90 %")
    smallest, limit = float(fitted.n[0]), fitted.limit
    end = min(float(full), limit)  # images may be rounded down
    grid = np.geomspace(smallest, limit if asked == "target" else end, GRID)
    twice = [min(2 * end, limit)] if asked == "doubling" else []
    sizes = np.unique([*images, *grid, end, *twice])
    errors = fitted.average_errors(sizes, same_images=True)  # what other images would give no run here tells
    outcomes, at_end = errors[:, np.searchsorted(sizes, images)], errors[:, np.searchsorted(sizes, end)]
    if asked == "full":
        return at_end, outcomes
    if asked == "doubling":
        return at_end - errors[:, np.searchsorted(sizes, twice[0])], outcomes
    # The size that each curve needs, in doublings; where none suffices, the last that is searched
    wanted = at_end + delta if target is None or asked == "saturation" else np.full(len(errors), 1 - target)
    needed = settled(grid, errors[:, np.searchsorted(sizes, grid)] - wanted[:, None])
    return np.log2(np.minimum(needed, grid[-1])), outcomes


def _noise(fitted: LearningCurve, images: list[int]) -> np.ndarray:
    """Estimate a run's noise per sqrt(e (1 - e)), of error e.

    Returns:
        The noise of each candidate (candidates,).
    """
    # One new run differs from the average run of its size by noise: the difference of two variances, each from the
    # width of its central 68 %. Seen at measured sizes, where the average is known well enough; elsewhere as there
    sizes = np.unique(fitted.n)
    drawn = fitted.average_errors(sizes, same_images=True)
    runs, average = fitted.predict(sizes, 0.68), np.quantile(drawn, [0.16, 0.84], axis=0)
    variance = (runs["high"] - runs["low"]).to_numpy() ** 2 - (average[1] - average[0]) ** 2
    relative = np.sqrt(np.maximum(variance, 0)) / 2 / _spread(runs["error"].to_numpy())
    noise: np.ndarray = np.interp(np.log(images), np.log(sizes), relative)
    return noise


def _spread(error: np.ndarray) -> np.ndarray:
    """Return sqrt(e (1 - e)), of errors from 0.1 % up."""
    kept = np.clip(error, 1e-3, 1 - 1e-3)
    root: np.ndarray = np.sqrt(kept * (1 - kept))
    return root


def _expected(values: np.ndarray, errors: np.ndarray, noise: float, shares: list[float]) -> float:
    """Compute the asked interval's expected width with one more run.

    Args:
        values: What is asked, by equally likely curves (curves,).
        errors: Those curves' errors at the run's size (curves,).
        noise: Of the run around its curve, as `_noise` returns it.
        shares: Of the interval's edges.
    """
    sd = np.maximum(noise * _spread(errors), NARROWEST * errors.std() + 1e-9)
    measured = errors + sd * np.random.default_rng(0).standard_normal(len(errors))
    outcomes = np.quantile(measured, (np.arange(OUTCOMES) + 0.5) / OUTCOMES)
    # A curve is as likely as its run is to give the outcome: normal densities, (outcomes, curves)
    weights = np.exp(-0.5 * ((outcomes[:, None] - errors) / sd) ** 2) / sd
    return float(_widths(values, weights, shares).mean())


def _widths(values: np.ndarray, weights: np.ndarray, shares: list[float]) -> np.ndarray:
    """Compute the distance of two quantiles of weighted values.

    `weights` has a row per distance; `shares` are the two probabilities.
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weights[:, order], axis=1)
    places = (cumulative[:, :, None] < cumulative[:, -1:, None] * shares).sum(axis=1)  # (rows, shares)
    low, high = values[order][np.minimum(places, len(values) - 1)].T
    width: np.ndarray = high - low
    return width
