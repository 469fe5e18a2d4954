"""Make worlds of measured learning curves, in which adaptive studies are played.

A world knows the mean error of every fraction, for all of the budget and for parts of it where those were measured.
Around it runs vary as repeats of networks did, the more the smaller the fraction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from datavol.study.looks.evidence import GROWTH
from datavol.study.questions.common_mistakes import SHARED

DATA = Path(__file__).parent / "data"
TEST_IMAGES = 10_000
HALVES = 2.0 ** np.arange(-5, 1)  # fractions where a table has doublings
ASKED = (0.125, 0.25, 0.5)  # fractions that are asked for where a table has doublings
FULL_SIZES = {"fashion_mnist": (8192, 4096, 2048, 1024), "networks": (60_000, 30_000, 15_000, 7500)}
LCDB_CURVES = 100
FALSE_HINTS = (0.7, 1.8)
"""Standard deviation of a pair in that which its test images hint at, in `budgets.csv`. Other tables have no repeats,
or such as draw all of the data anew, which a study does not: for each of their worlds noise is drawn between these."""


@dataclass(frozen=True, eq=False)
class World:
    """Describes what studies would find if they trained without end.

    Attributes:
        source: The table.
        curve: What belongs together when worlds are drawn anew.
        fractions: Ascending; the last is 1 (fractions,).
        errors: Mean errors by the part of the budget: 1 all of it, 8 an eighth (fractions,) each.
        sd: Standard deviation of a run on all of the data.
        hints: Standard deviation of a pair's difference, by what its test images hint at (fractions,).
        full_size: Images.
        chance_error: Of guessing.
        branches: Whether shorter runs branch off the trunk of longer ones.
        beyond: Mean error on twice the data, where it was measured.
        growth: Standard deviations of runs grow with fraction ** -growth.
    """

    source: str
    curve: str
    fractions: np.ndarray
    errors: Mapping[int, np.ndarray]
    sd: float
    hints: np.ndarray
    full_size: int
    chance_error: float
    branches: bool = False
    beyond: float | None = None
    growth: float = GROWTH

    @property
    def parts(self) -> tuple[int, ...]:
        """Parts of the budget that were measured, the shortest first."""
        return tuple(sorted((part for part in self.errors if part > 1), reverse=True))

    def error(self, fraction: float, part: int = 1) -> float:
        """Mean error, between measured fractions by a line in logarithms of both."""
        logs = np.interp(np.log(fraction), np.log(self.fractions), np.log(np.maximum(self.errors[part], 1e-5)))
        return float(np.exp(logs))

    def gap(self, fraction: float, part: int = 1) -> float:
        """How much worse a fraction is than all of the data."""
        return self.error(fraction, part) - self.error(1.0, part)

    def sd_of(self, fraction: float) -> float:
        """Standard deviation of a run."""
        return self.sd * fraction**-self.growth

    def hint(self, fraction: float) -> float:
        """Standard deviation of a pair with the full set, by its test images."""
        return float(np.interp(np.log(fraction), np.log(self.fractions), self.hints))

    def noisier(self, times: float) -> World:
        """The same world with larger noise, of which nothing hints."""
        return replace(self, sd=times * self.sd)

    def misjudged(self, fraction: float, times: float) -> World:
        """The same world where the noise of a pair is so many times what is hinted at."""
        pair = np.hypot(self.sd_of(fraction), self.sd)
        return replace(self, hints=np.full(len(self.fractions), pair / times))

    def shifted(self, fraction: float, gap: float) -> World:
        """A world whose fraction is exactly so much worse than all of the data.

        Larger gaps shrink in proportion, those of short runs as well; smaller ones grow by as much at all lengths.
        """
        here, now = np.isclose(self.fractions, fraction), self.gap(fraction)

        def moved(part: int) -> np.ndarray:
            short = self.gap(fraction, part)
            wanted = short * gap / now if now > gap else short + gap - now
            return np.where(here, self.error(1.0, part) + wanted, self.errors[part])

        return replace(self, errors={part: moved(part) for part in self.errors})


def every_world() -> list[World]:
    """All worlds of all tables."""
    return [*budget_worlds(), *doubling_worlds("fashion_mnist"), *doubling_worlds("networks"), *lcdb_worlds()]


def budget_worlds() -> list[World]:
    """Worlds of the networks that were trained for four budgets; of all of them, and up to the half."""
    table = pd.read_csv(DATA / "budgets.csv")
    worlds = []
    for key, study in table.groupby(["network", "labels", "schedule"]):
        sd, growth = sd_of_runs(study)
        for iterations in sorted(study["iterations"].unique())[-2:]:
            whole = study[study["iterations"] == iterations]
            # What McNemar's test makes of the images that only one of a pair gets right
            ones = (whole["lost"] + whole["won"]) / TEST_IMAGES - ((whole["lost"] - whole["won"]) / TEST_IMAGES) ** 2
            hints = np.sqrt(ones / TEST_IMAGES).groupby(whole["fraction"]).mean()
            parts = {part: study[study["iterations"] == iterations // part] for part in (1, 2, 4, 8)}
            errors = {
                part: runs.groupby("fraction")["error"].mean().to_numpy() for part, runs in parts.items() if len(runs)
            }
            name, full, branches = ", ".join(map(str, key)), int(whole["n"].max()), key[2] == "cool-down"
            world = World("budgets", name, hints.index.to_numpy(), errors, sd, hints.to_numpy(), full, 0.9, branches)
            worlds.append(replace(world, growth=growth))
    return worlds


def doubling_worlds(source: str) -> list[World]:
    """Worlds of learning curves at every doubling, each cut at several sizes that stand for all of the data."""
    table, rng = pd.read_csv(DATA / f"{source}.csv"), np.random.default_rng(0)
    keys = ["learner"] if source == "fashion_mnist" else ["network", "labels", "iterations"]
    worlds = []
    for key, runs in table.groupby(keys):
        for full in FULL_SIZES[source]:
            runs = runs.assign(fraction=_halving(runs["n"], full))
            known = runs[runs["fraction"].isin(HALVES)]
            errors = known.groupby("fraction")["error"].mean()
            shared = known.groupby("fraction")["shared"].mean().to_numpy() if "shared" in runs else SHARED
            hints = hints_of(errors.to_numpy(), shared)
            after = runs.loc[runs["fraction"] == 2, "error"]
            name, errors_of = ", ".join(map(str, key)), {1: errors.to_numpy()}
            beyond = float(after.mean()) if len(after) else None
            sd = drawn_sd(rng, hints)
            worlds.append(World(source, name, HALVES, errors_of, sd, hints, full, 0.9, beyond=beyond))
    return worlds


def lcdb_worlds(count: int = LCDB_CURVES) -> list[World]:
    """Worlds of mean curves of other learners; what repeats would show is drawn."""
    rng = np.random.default_rng(0)
    table = pd.read_csv(DATA / "lcdb.csv")
    curves = [(key, curve) for key, curve in table.groupby(["dataset", "learner"]) if len(curve) > len(HALVES)]
    worlds = []
    for place in rng.permutation(len(curves)):
        (dataset, learner), curve = curves[place]
        *_, full, last = curve["n"]
        known = curve.assign(fraction=_halving(curve["n"], full)).drop_duplicates("fraction").set_index("fraction")
        errors, chance = known.reindex(HALVES)["error"].to_numpy(), float(curve["chance_error"].iloc[0])
        if np.isnan(errors).any() or errors[-1] > 0.9 * chance or errors.min() < 0.005:
            continue
        hints = hints_of(errors, SHARED)
        beyond = float(curve["error"].iloc[-1]) if abs(np.log2(last / full) - 1) < 0.2 else None
        name = f"{dataset}, {learner}"
        worlds.append(
            World("lcdb", name, HALVES, {1: errors}, drawn_sd(rng, hints), hints, int(full), chance, beyond=beyond)
        )
        if len(worlds) == count:
            break
    return worlds


def drawn_sd(rng: np.random.Generator, hints: np.ndarray) -> float:
    """Draw the standard deviation of a run on all of the data, from what a pair with a quarter of them hints at."""
    return float(hints[-3] * np.exp(rng.uniform(*np.log(FALSE_HINTS))) / np.hypot(1, 0.25**-GROWTH))


def sd_of_runs(runs: pd.DataFrame) -> tuple[float, float]:
    """Fit standard deviations of repeats, over all budgets.

    Returns:
        That of a run on all of the data, and the power of the fraction with which they fall.
    """
    variances = runs.groupby(["fraction", "iterations"])["error"].var().groupby("fraction").mean()
    slope, start = np.polyfit(np.log(variances.index.to_numpy()), np.log(variances.to_numpy()), 1)
    return float(np.exp(start / 2)), float(-slope / 2)


def hints_of(errors: np.ndarray, shared: float | np.ndarray) -> np.ndarray:
    """Standard deviations over test images of the difference to the last error, a share of whose noise is shared."""
    variances = errors * (1 - errors)
    return np.sqrt((1 - shared) * (variances + variances[-1]) / TEST_IMAGES)


def _halving(n: Iterable[float], full: float) -> np.ndarray:
    """Sizes as fractions of a full one, rounded to whole doublings."""
    return 2.0 ** np.round(np.log2(np.asarray(n, float) / full))
