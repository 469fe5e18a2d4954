"""Count how often adaptive studies are wrong, and what they take, over worlds of measured curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from benchmarks.asking_curves import by_next_run, gain_width, play, whole_grid
from benchmarks.asking_plays import GRID_RUNS, GRID_SEEDS, Outcome, ask, fixed_pairs, grid
from benchmarks.asking_thresholds import MOBILENETV2
from benchmarks.asking_worlds import ASKED, World
from datavol.errors import InsufficientData
from datavol.study.looks.look import Step
from datavol.study.looks.more_data import MoreData
from datavol.study.looks.reach import Reach

DELTA, LEVEL = 0.01, 0.95
BUDGETS_ASKED = (0.05, 0.125, 0.25, 0.5, 0.75)  # where all were measured
INSIDE = 0.35  # a target is what this fraction reaches: between sizes that a study begins with
FAR = 5.0  # gaps above so many allowed ones are not near the boundary
KINDS = {  # by the gap, in units of what is allowed
    "yes, by far": (-np.inf, 0.3),
    "near the limit": (0.3, 2),
    "no": (2, FAR),
    "no, by far": (FAR, np.inf),
}
NOISES = ("as measured", "hints as on MobileNetV2", "twice")
Design = Callable[[World, float, np.random.Generator], Outcome]


def full_runs(world: World, fraction: float, rng: np.random.Generator) -> Outcome:
    """Ask without short runs."""
    return ask(world, fraction, rng, rungs=False)


def with_rungs(world: World, fraction: float, rng: np.random.Generator) -> Outcome:
    """Ask with the short runs that the world has."""
    return ask(world, fraction, rng, rungs=True)


def second_question(world: World, fraction: float, rng: np.random.Generator) -> Outcome:
    """Ask after three pairs of another fraction, whose full runs serve again."""
    other = next(one for one in (0.25, 0.5) if one != fraction)
    finished = [Step(one, seed) for one in (other, 1.0) for seed in range(GRID_SEEDS)]
    return ask(world, fraction, rng, rungs=False, finished=finished)


def next_run(world: World, fraction: float, rng: np.random.Generator) -> Outcome:
    """Follow the advice on the next run."""
    says, runs = by_next_run(world, fraction, rng)
    return Outcome(says, float(runs), 0)


DESIGNS: dict[str, Design] = {
    "full runs alone": full_runs,
    "short runs first": with_rungs,
    "branches first": with_rungs,
    "a second question": second_question,
    "three pairs": fixed_pairs,
    "grid of 18": grid,
    "`next_run`": next_run,
}
SLOW = ("`next_run`",)


def cases(worlds: Sequence[World]) -> list[tuple[World, float]]:
    """Every world with every fraction that is asked for."""
    return [(w, f) for w in worlds for f in (BUDGETS_ASKED if w.source == "budgets" else ASKED)]


def fits(design: str, world: World, fraction: float) -> bool:
    """Whether a design can be played: short runs where there are some, branches by them alone."""
    if world.branches:
        return design == "branches first"
    if design == "short runs first":
        return bool(world.parts)
    return design != "branches first" and (design != "`next_run`" or fraction in ASKED)


def at_the_boundary(worlds: Sequence[World], plays: int, slow_plays: int) -> pd.DataFrame:
    """Play worlds that are shifted so that the fraction's gap is exactly what is allowed; such as are not far from it.

    Returns:
        `noise`, `design`, `plays`, and the shares that say `enough`, `not enough` and nothing (`untold`).
    """
    rows = []
    for noise in NOISES:
        for name, design in DESIGNS.items():
            rng = np.random.default_rng(0)
            fitting = [(w, f) for w, f in cases(worlds) if fits(name, w, f) and w.gap(f) < FAR * DELTA]
            count, said = slow_plays if name in SLOW else plays, []
            for _, (world, fraction) in zip(range(count if fitting else 0), _drawn(fitting, rng), strict=False):
                said.append(
                    design(_with_noise(world.shifted(fraction, DELTA), fraction, noise, rng), fraction, rng).says
                )
            if said:
                shares = {word or "untold": said.count(word) / count for word in ("enough", "not enough", "")}
                rows.append({"noise": noise, "design": name, "plays": count} | shares)
    return pd.DataFrame(rows)


def _drawn(chosen: Sequence[tuple[World, float]], rng: np.random.Generator) -> Iterator[tuple[World, float]]:
    """Draw cases without end, every table as often."""
    by_source: dict[str, list[tuple[World, float]]] = {}
    for case in chosen:
        by_source.setdefault(case[0].source, []).append(case)
    sources = list(by_source.values())
    while True:
        of_source = sources[rng.integers(len(sources))]
        yield of_source[rng.integers(len(of_source))]


def _with_noise(world: World, fraction: float, noise: str, rng: np.random.Generator) -> World:
    if noise == "twice":
        return world.noisier(2)
    if noise == "hints as on MobileNetV2":
        return world.misjudged(fraction, float(np.exp(rng.uniform(*np.log(MOBILENETV2)))))
    return world


def shares(worlds: Sequence[World], plays: int, slow_plays: int) -> pd.DataFrame:
    """Play every case in every design as it is, so often; slow designs in so many cases in all.

    Returns:
        A row per case and design: `source`, `curve`, `kind`, `branches`, `design`, `share` of a grid of 18, `told` and
        `wrong` (shares of its plays).
    """
    rows = []
    for name, design in DESIGNS.items():
        rng = np.random.default_rng(1)
        chosen = [one for one in cases(worlds) if fits(name, *one)]
        if name in SLOW:
            chosen = [chosen[i] for i in rng.permutation(len(chosen))[:slow_plays]]
        for world, fraction in chosen:
            outcomes = [design(world, fraction, rng) for _ in range(1 if name in SLOW else plays)]
            right = "enough" if world.gap(fraction) <= DELTA else "not enough"
            about = {"source": world.source, "curve": world.curve, "kind": kind_of(world.gap(fraction))}
            came_to = {
                "share": np.mean([one.cost for one in outcomes]) / GRID_RUNS,
                "told": np.mean([bool(one.says) for one in outcomes]),
                "wrong": np.mean([one.says not in ("", right) for one in outcomes]),
            }
            rows.append(about | {"design": name} | came_to)
    return pd.DataFrame(rows)


def kind_of(gap: float) -> str:
    """Name the kind of a question by its true gap."""
    return next(name for name, (low, high) in KINDS.items() if low * DELTA <= gap < high * DELTA)


def doublings(worlds: Sequence[World], count: int) -> pd.DataFrame:
    """Ask what twice the data buys, where that was measured.

    Returns:
        `source`, `curve`, `runs`, `state`, `says`, `held` (whether the interval held the gain), `wrong` (whether what
        it says is not so), `to_grid` (the interval's width after three runs, in that of the grid).
    """
    rng, rows = np.random.default_rng(2), []
    known = [world for world in worlds if world.beyond is not None]
    for world in _some(known, count, rng):
        assert world.beyond is not None
        told = play(world, MoreData(DELTA), rng)
        look, gain = told.look, world.error(1.0) - world.beyond
        assert told.first is not None
        row = {"source": world.source, "curve": world.curve, "runs": told.runs, "state": look.state, "says": look.says}
        row["held"] = look.numbers["low"] <= gain <= look.numbers["high"]
        row["wrong"] = (look.says == "yes" and gain < DELTA) or (look.says == "no" and gain > DELTA)
        rows.append(row | {"to_grid": told.first / gain_width(whole_grid(world, rng))})
    return pd.DataFrame(rows)


def targets(worlds: Sequence[World], count: int) -> pd.DataFrame:
    """Ask how many images reach what some 35 % of the data do.

    Returns:
        `source`, `curve`, `runs`, `state`, `held` (whether the interval held the number).
    """
    rng, rows = np.random.default_rng(3), []
    for world in _some([one for one in worlds if not one.branches], count, rng):
        question = Reach(round(1 - world.error(INSIDE), 4))
        # Errors of curves that rise again are reached at a smaller size already
        sizes = np.geomspace(world.fractions[0], 1, 400)
        reached = [1 - world.error(size) >= question.target for size in sizes]
        true = world.full_size * float(sizes[reached.index(True)]) if any(reached) else np.inf
        try:
            told = play(world, question, rng)
        except InsufficientData:
            continue  # a curve at chance, of which nothing is asked
        low, high = told.look.numbers.get("low", np.nan), told.look.numbers.get("high", np.nan)
        row = {"source": world.source, "curve": world.curve, "runs": told.runs, "state": told.look.state}
        rows.append(row | {"held": low * 0.99 <= true <= high * 1.01})
    return pd.DataFrame(rows)


def _some(worlds: Sequence[World], count: int, rng: np.random.Generator) -> list[World]:
    """Draw worlds, half of them of LCDB."""
    halves = [[w for w in worlds if (w.source == "lcdb") is lcdb] for lcdb in (True, False)]
    return [half[i] for half in halves for i in rng.permutation(len(half))[: count // 2]]
