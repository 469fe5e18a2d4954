"""Which run to train next: the one that is expected to narrow an interval most per hour of training.

A preposterior analysis: every candidate's outcome is taken from the forecast at five quantiles, the learning curve is
fitted again with it, and the width of the asked interval is averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from datavol.cli.text import per_cent
from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.checks import AT_CHANCE
from datavol.study.curves.learning_curve import REACH, LearningCurve
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.saturation import full_curve

Asked = Literal["full", "saturation", "target"]
ASKED = {
    "full": "the accuracy of the full set",
    "saturation": "the fraction that is enough",
    "target": "the images needed",
}
OUTCOMES = (0.8, 0.4)
"""Levels of intervals whose edges, with the median, are the middles of five equally likely parts of an outcome."""
DRAWS = 1000
"""Curves that a width of sizes is taken from; four times as many for the accuracy, whose tails are longer."""
GRID = 25
"""Sizes between which the asked one is searched."""
WORTH = 0.05
"""A run that narrows the interval by less than this share is not named: in simulations so little did not come true."""

Width = Callable[[LearningCurve], float]


@dataclass(frozen=True)
class NextRun:
    """The best next run; `str` of it is a sentence.

    Attributes:
        asked: Which interval it narrows: `full` (accuracy, a share), `saturation` or `target` (in doublings of n).
        fraction: Of the candidate.
        seed: The least one that is not used at this fraction.
        hours: That it is expected to take, training and evaluation.
        now: Width of the interval.
        then: Its expected width with the run.
        level: Of the interval.
        candidates: All of them, as `next_runs` gives them.
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
        scale, unit = (100, "points") if self.asked == "full" else (1, "doublings")
        widths = f"from {scale * self.now:.2g} to {scale * self.then:.2g} {unit} wide"
        interval = f"the {100 * self.level:g} % interval of {ASKED[self.asked]}"
        return f"training fraction={self.fraction:g} seed={self.seed} ({took}) would narrow {interval} {widths}"

    @property
    def reason(self) -> str:
        """What it was chosen from."""
        return f"the most per hour of {len(self.candidates)} candidates, by refits to their expected outcomes"

    @property
    def numbers(self) -> dict[str, float | None]:
        """The numbers of the sentence."""
        return {name: getattr(self, name) for name in ("fraction", "seed", "hours", "now", "then")}


def next_run(
    measured: CurveRuns, asked: Asked, *, delta: float = 0.01, target: float | None = None, level: float = 0.95
) -> NextRun:
    """The run that is expected to narrow the asked interval most per hour.

    Raises:
        ConfigError: If `asked` is unknown, or `target` without a target.
        InsufficientData: If no curve can be fitted, times were not recorded, or no single run would narrow the
            interval.
    """
    candidates = next_runs(measured, asked, delta=delta, target=target, level=level)
    best = candidates.iloc[0]
    if not best["now"] > 0:
        raise InsufficientData(
            f"cannot say which run is best: all of the interval of {ASKED[asked]} lies beyond the sizes searched"
        )
    if not best["now"] - best["then"] > WORTH * best["now"]:
        raise InsufficientData(
            f"cannot say which run is best: none of {len(candidates)} would by itself narrow the interval of "
            f"{ASKED[asked]}; train several at {per_cent(best['fraction'])}"
        )
    named = {name: float(best[name]) for name in ("fraction", "hours", "now", "then")}
    return NextRun(asked, seed=int(best["seed"]), level=level, candidates=candidates, **named)


def next_runs(
    measured: CurveRuns, asked: Asked, *, delta: float = 0.01, target: float | None = None, level: float = 0.95
) -> pd.DataFrame:
    """All candidates, the best first: measured fractions again, their doubles and halves, and the full set.

    Returns:
        A row per candidate: `fraction`, `images`, `seed`, `hours`, `now` and `then` (the interval's width and its
        expectation with the run: accuracy as a share, sizes in doublings), `per_hour` (narrowed per hour).

    Raises:
        ConfigError: If `asked` is unknown, or `target` without a target.
        InsufficientData: If no curve can be fitted, or times were not recorded.
    """
    if asked not in ASKED:
        raise ConfigError(f"asked must be one of {', '.join(ASKED)}, got {asked!r}")
    curve = measured.fit(level) if asked == "target" else full_curve(measured, level)
    width = _width(asked, measured, delta, target, level)
    now = width(curve)
    rows = []
    known = dict(zip(measured.runs["fraction"], measured.runs["images"], strict=True))
    for fraction in _candidates(measured.runs["fraction"]):
        images = int(known.get(fraction, max(1, round(fraction * measured.full_size))))
        then, hours = _expected(curve, float(images), width), _seconds(measured.runs, images) / 3600
        seed = _unused_seed(measured.runs, fraction)
        rows.append((fraction, images, seed, hours, now, then, (now - then) / hours))
    columns = ["fraction", "images", "seed", "hours", "now", "then", "per_hour"]
    return pd.DataFrame(rows, columns=columns).sort_values("per_hour", ascending=False, ignore_index=True)


def _candidates(fractions: pd.Series) -> list[float]:
    known = sorted(fractions.unique())
    others = [known[0] / 2, *(2 * fraction for fraction in known), 1.0]
    new = [one for one in others if one <= 1 and not np.isclose(one, known, rtol=0.2).any()]
    return sorted({*known, *new})


def _seconds(runs: pd.DataFrame, images: int) -> float:
    """What a run on so many images takes: with equal iterations the median; with equal epochs it grows with n."""
    seconds = runs["seconds_train"] + runs["seconds_val"]
    if seconds.isna().all() or not seconds.median() > 0:
        raise InsufficientData("cannot say which run is best per hour: the seconds that runs took were not recorded")
    if runs["budget"].iloc[0] == "iterations":
        return float(seconds.median())
    return float((seconds / runs["images"]).median() * images)


def _unused_seed(runs: pd.DataFrame, fraction: float) -> int:
    used = set(runs.loc[np.isclose(runs["fraction"], fraction), "seed"])
    return next(seed for seed in range(len(used) + 1) if seed not in used)


def _width(asked: Asked, measured: CurveRuns, delta: float, target: float | None, level: float) -> Width:
    """How wide the asked interval is, as a function of the curve."""
    if asked == "target" and target is None:
        raise ConfigError("target must be an accuracy, got None; give a share, 0.9 for 90 %")
    full, images = float(measured.full_size), measured.runs["images"]
    sizes = np.geomspace(images.min(), full if asked == "saturation" else REACH * images.max(), GRID)

    def width(curve: LearningCurve) -> float:
        if asked == "full":
            values = curve.average_errors([full], 4 * DRAWS)[:, 0]
        else:
            errors = curve.average_errors([*sizes, full], DRAWS)
            wanted = errors[:, -1:] + delta if target is None or asked == "saturation" else 1 - target
            values = _first_place(np.log2(sizes), errors[:, :-1], wanted)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(high - low)

    return width


def _first_place(x: np.ndarray, errors: np.ndarray, wanted: np.ndarray | float) -> np.ndarray:
    """The first place from which on a curve's errors stay as low as wanted; the last place if none (curves,)."""
    above = errors > wanted
    after_last = len(x) - above[:, ::-1].argmax(axis=1)
    return x[np.where(above.any(axis=1), np.minimum(after_last, len(x) - 1), 0)]


def _expected(curve: LearningCurve, images: float, width: Width) -> float:
    """The interval's width with one more run, averaged over its outcomes; none is taken to be at chance."""
    told = pd.concat([curve.predict([images], level) for level in OUTCOMES])
    outcomes = [*told["low"], told["error"].iloc[0], *told["high"]]
    hopeless = 0.99 * AT_CHANCE * curve.chance_error
    return float(np.mean([width(curve.with_run(images, min(error, hopeless))) for error in outcomes]))
