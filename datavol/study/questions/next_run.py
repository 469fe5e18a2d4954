"""Chooses the run that should narrow an interval most per hour.

A preposterior analysis: every candidate's outcome is taken from the forecast at five quantiles, the learning curve is
fitted again with each, and the width of the asked interval is averaged.
"""

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
"""Levels of intervals whose edges (10, 30, 70, 90 %) and median are the middles of five equally likely outcomes."""
DRAWS = 1000
"""Curves per interval of sizes; that of the accuracy, whose tails are longer, takes four times as many."""
GRID = 25  # sizes on which the asked one is searched
WORTH = 0.05
"""A run that narrows the interval by less than this share is not named: in simulations so little did not come true."""

Width = Callable[[LearningCurve], float]


@dataclass(frozen=True)
class NextRun:
    """Stores the best next run.

    Attributes:
        asked: The interval that it narrows: `full` (accuracy, a share), `saturation` or `target` (in doublings of n).
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
        scale, unit = (100, "points") if self.asked == "full" else (1, "doublings")
        widths = f"from {scale * self.now:.2g} to {scale * self.then:.2g} {unit} wide"
        interval = f"the {100 * self.level:g} % interval of {ASKED[self.asked]}"
        return f"training fraction={self.fraction:g} seed={self.seed} ({took}) would narrow {interval} {widths}"

    @property
    def reason(self) -> str:
        """Describe the method."""
        return f"the most per hour of {len(self.candidates)} candidates, by refits to their expected outcomes"

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
    curve: CurveRuns, asked: Asked, *, delta: float = 0.01, target: float | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Evaluate the candidates for the next run, the best first.

    They are the measured fractions, their doubles, half of the smallest, and the full set.

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
    width = _width(asked, curve, delta, target, level)
    now = width(fitted)
    rows = []
    known = dict(zip(curve.runs["fraction"], curve.runs["images"], strict=True))
    for fraction in _candidates(curve.runs["fraction"]):
        images = int(known.get(fraction, max(1, round(fraction * curve.full_size))))
        then, hours = _expected(fitted, float(images), width), _seconds(curve.runs, images) / 3600
        used = set(curve.runs.loc[np.isclose(curve.runs["fraction"], fraction), "seed"])
        seed = next(seed for seed in range(len(used) + 1) if seed not in used)
        rows.append((fraction, images, seed, hours, now, then, (now - then) / hours))
    columns = ["fraction", "images", "seed", "hours", "now", "then", "per_hour"]
    return pd.DataFrame(rows, columns=columns).sort_values("per_hour", ascending=False, ignore_index=True)


def _candidates(fractions: pd.Series) -> list[float]:
    known = sorted(fractions.unique())
    others = [known[0] / 2, *(2 * fraction for fraction in known), 1.0]
    # A fraction within a fifth of a measured one would tell as much as that one again
    new = [one for one in others if one <= 1 and not np.isclose(one, known, rtol=0.2).any()]
    return sorted({*known, *new})


def _seconds(runs: pd.DataFrame, images: int) -> float:
    """Predict the seconds of a run on so many images."""
    seconds = runs["seconds_train"] + runs["seconds_val"]
    if seconds.isna().all() or not seconds.median() > 0:
        raise InsufficientData("cannot say which run is best per hour: the seconds that runs took were not recorded")
    if runs["budget"].iloc[0] == "iterations":
        return float(seconds.median())  # all fractions take equally many iterations
    return float((seconds / runs["images"]).median() * images)  # equal epochs: proportional to the images


def _width(asked: Asked, curve: CurveRuns, delta: float, target: float | None, level: float) -> Width:
    """Return the function that computes a curve's width of the asked interval."""
    if asked == "target" and target is None:
        raise ConfigError("target must be an accuracy, got None; give a share, 0.9 for 90 %")
    full, images = float(curve.full_size), curve.runs["images"]
    # The grid of sizes is fixed, so that widths before and after a run are comparable
    sizes = np.geomspace(images.min(), full if asked == "saturation" else REACH * images.max(), GRID)

    def width(fitted: LearningCurve) -> float:
        # The interval is that of one value per equally likely curve: its error on the full set, or the size it needs
        if asked == "full":
            values = fitted.average_errors([full], 4 * DRAWS)[:, 0]
        else:
            errors = fitted.average_errors([*sizes, full], DRAWS)
            wanted = errors[:, -1:] + delta if target is None or asked == "saturation" else 1 - target
            values = _sufficient(np.log2(sizes), errors[:, :-1], wanted)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(high - low)

    return width


def _sufficient(x: np.ndarray, errors: np.ndarray, wanted: np.ndarray | float) -> np.ndarray:
    """Find the size from which errors stay as low as wanted (curves,).

    Args:
        x: log2 of the sizes (sizes,); the last is the answer where no size suffices.
        errors: Errors at the sizes (curves, sizes).
        wanted: One error, or one per curve (curves, 1).
    """
    above = errors > wanted
    # The first True of the reversed row is the last size that is too small; the one after it is sufficient
    after_last = len(x) - above[:, ::-1].argmax(axis=1)
    return x[np.where(above.any(axis=1), np.minimum(after_last, len(x) - 1), 0)]  # the first size where none is above


def _expected(fitted: LearningCurve, images: float, width: Width) -> float:
    """Compute the interval's expected width with one more run."""
    forecasts = pd.concat([fitted.predict([images], level) for level in OUTCOMES])
    outcomes = [*forecasts["low"], forecasts["error"].iloc[0], *forecasts["high"]]
    highest = 0.99 * AT_CHANCE * fitted.chance_error  # an outcome at chance could not be fitted
    return float(np.mean([width(fitted.with_run(images, min(error, highest))) for error in outcomes]))
