"""Decides how many images a target takes, near the size where it is reached."""

from dataclasses import dataclass
from math import log2

import numpy as np

from datavol.cli.text import about, chance, per_cent
from datavol.errors import InsufficientData
from datavol.study.looks.look import Look, Step
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.target import Target, images_for_target

FIRST, SMALL = 0.25, 0.0625
REPEATS = 3  # of the full set, where the crossing lies beyond it
NEAR = 0.2  # a size within a fifth of a measured one tells as much as that one again


@dataclass(frozen=True)
class Reach:
    """Asks how many images reach a target accuracy.

    Attributes:
        target: The accuracy, a share.
        level: Of the interval.
        delta: Difference of accuracies that counts, where test images have to show one.
        width: Doublings between the ends of the interval at which the number counts as known.
        most: Runs at most.
        at_once: Runs that are trained between two looks.
    """

    target: float
    level: float = 0.95
    delta: float = 0.01
    width: float = 1.0
    most: int = 18
    at_once: int = 1

    @property
    def text(self) -> str:
        """Write the question."""
        return f"How many images does an accuracy of {per_cent(self.target)} take?"

    def look(self, curve: CurveRuns | None) -> Look:
        """Judge the finished runs."""
        if (first := self._first(curve)) is not None:
            return Look(0, "open", "three sizes are needed first", next=(first,))
        assert curve is not None
        number = max(1, len(curve.runs) - 2)
        try:
            found = images_for_target(curve, self.target, self.level)
        except InsufficientData as no:
            return Look(number, "cannot be told", str(no), curve.provenance)
        low, middle, high = self._sizes(found)
        told = self._told(found, low, high)
        numbers = {"images": middle, "low": low, "high": high, "reached_limit": found.needed.within_limit}
        if found.needed.within_limit <= 1 - self.level:
            return Look(number, "out of reach", told, curve.provenance, numbers=numbers)
        if high <= found.needed.smallest or (np.isfinite(high) and log2(high / low) <= self.width):
            return Look(number, "answered", told, curve.provenance, f"{about(middle)} images", numbers=numbers)
        if len(curve.runs) >= self.most:
            return Look(number, "cannot be told", told, curve.provenance, numbers=numbers)
        if not (steps := self._next(curve, found)):
            beyond = f"{told}; no further run on the data at hand tells it closer, only more data"
            return Look(number, "cannot be told", beyond, curve.provenance, numbers=numbers)
        return Look(number, "open", told, curve.provenance, next=steps, numbers=numbers)

    def _first(self, curve: CurveRuns | None) -> Step | None:
        """Choose runs until three sizes are measured; then None."""
        if curve is None or curve.runs.empty:
            return Step(FIRST, 0)
        by_fraction = curve.runs.groupby("fraction")["error"].mean()
        if len(by_fraction) >= 3:
            return None
        if len(by_fraction) == 1:
            known = float(by_fraction.index[0])
            if known >= 1:
                return Step(FIRST, 0)
            return Step(SMALL if 1 - by_fraction.iloc[0] > self.target and known > SMALL else 1.0, 0)
        low, high = float(by_fraction.index.min()), float(by_fraction.index.max())
        between = _rounded((low * high) ** 0.5)
        # Of two that are so near that none lies between, the next is half of the smaller
        return Step(between if low < between < high else _rounded(low / 2), 0)

    def _sizes(self, found: Target) -> tuple[float, float, float]:
        edges = [(1 - self.level) / 2, 0.5, (1 + self.level) / 2]
        low, middle, high = np.quantile(found.needed.sizes, edges, method="higher")
        return float(low), float(middle), float(high)

    def _told(self, found: Target, low: float, high: float) -> str:
        wanted = f"an accuracy of {per_cent(self.target)}"
        needed = found.needed
        if needed.within_limit <= 1 - self.level:
            return (
                f"even four times the most that was trained on ({about(needed.limit)} images) would reach {wanted} "
                f"with a chance of {chance(needed.within_limit)} only"
            )
        if high <= needed.smallest:
            return f"{wanted} takes {about(needed.smallest)} images or fewer"
        if not np.isfinite(high):
            reached = chance(needed.within_limit)
            return (
                f"{wanted} takes {about(low)} images at least; {about(needed.limit)} images would get there with "
                f"{reached}, and nothing is known beyond"
            )
        fewer = " or fewer" if low <= needed.smallest else ""
        return f"{wanted} takes {about(low)}{fewer} to {about(high)} images"

    def _next(self, curve: CurveRuns, found: Target) -> tuple[Step, ...]:
        """Choose sizes near the crossing; none if it lies beyond the data."""
        full, sizes = curve.full_size, found.needed.sizes
        middle, low, high = np.quantile(sizes, [0.5, 0.16, 0.84], method="higher")
        runs = curve.runs
        measured = np.unique(runs["images"].to_numpy())
        new = []
        for n in (middle, low, high):
            inside = found.needed.smallest < n < full
            if inside and not np.isclose(n, measured, rtol=NEAR).any():
                new.append(Step(_rounded(n / full), 0))
                measured = np.append(measured, n)
        if new:
            return tuple(new[: min(self.at_once, self.most - len(runs))])
        if low > full and len(runs[runs["images"] == measured.max()]) >= REPEATS:
            return ()
        nearest = measured[np.abs(np.log(measured / min(middle, full))).argmin()]
        return (self._repeat(curve, float(nearest)),)

    def _repeat(self, curve: CurveRuns, images: float) -> Step:
        there = curve.runs[curve.runs["images"] == images]
        used = set(there["seed"])
        seed = next(seed for seed in range(len(used) + 1) if seed not in used)
        return Step(float(there["fraction"].iloc[0]), seed)


def _rounded(fraction: float) -> float:
    """Round a fraction to two digits, as somebody would type it."""
    return min(1.0, float(f"{fraction:.2g}"))
