"""Decides what twice the data would buy, from three runs on."""

from dataclasses import dataclass, replace

import numpy as np

from datavol.cli.text import level_text
from datavol.errors import InsufficientData
from datavol.study.looks.look import Look, Step
from datavol.study.looks.words import points, span
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling, doubling
from datavol.study.questions.next_run import WORTH, next_runs

START = (1.0, 0.5, 0.25)
MANY = 16  # repeats of a size, at no noise, which leave nothing but the curve unknown


@dataclass(frozen=True)
class MoreData:
    """Asks what twice the data would buy.

    Attributes:
        delta: The least gain that counts, a share.
        width: Half of the width that the interval of the gain may have; None asks whether it is above `delta`.
        level: Of the interval.
        most: Runs at most.
        at_once: Runs that are trained between two looks.
    """

    delta: float = 0.01
    width: float | None = None
    level: float = 0.95
    most: int = 18
    at_once: int = 1

    @property
    def text(self) -> str:
        """Write the question."""
        if self.width is None:
            return f"Would twice the data help, by {points(self.delta)} or more?"
        return f"What would twice the data buy, to {points(self.width)} either way?"

    def look(self, curve: CurveRuns | None) -> Look:
        """Judge the finished runs."""
        runs = 0 if curve is None else len(curve.runs)
        measured = set() if curve is None else set(curve.runs["fraction"])
        if missing := [fraction for fraction in START if fraction not in measured]:
            return Look(0, "open", "three sizes are needed first", next=tuple(Step(one, 0) for one in missing))
        assert curve is not None
        number = max(1, runs - len(START) + 1)
        try:
            return self._judge(curve, number)
        except InsufficientData as no:
            return Look(number, "cannot be told", str(no), curve.provenance)

    def _judge(self, curve: CurveRuns, number: int) -> Look:
        """Answer, give up, or ask for the runs that narrow the interval most."""
        found, runs = doubling(curve, self.level), len(curve.runs)
        told = self._told(found)
        numbers = {"gain": found.gain, "low": found.low, "high": found.high}
        look = Look(number, "answered", told, curve.provenance, numbers=numbers)
        if said := self._decided(found):
            return replace(look, says=said[0], sentence=f"{said[1]}: {told}")
        best = doubling(_noiseless(curve), self.level)
        candidates = next_runs(curve, "doubling", level=self.level)
        following = candidates.iloc[0]
        hopeless = following["now"] - following["then"] < WORTH * following["now"]
        if hopeless or not self._decided(best):
            return replace(look, state="out of reach", sentence=f"{told}; {self._beyond(best)}")
        if runs >= self.most:
            return replace(look, state="cannot be told", sentence=f"{told}, after {runs} runs: too wide to tell")
        named = candidates[["fraction", "seed"]].head(min(self.at_once, self.most - runs))
        steps = tuple(Step(float(fraction), int(seed)) for fraction, seed in named.to_numpy())
        return replace(look, state="open", next=steps)

    def _told(self, found: Doubling) -> str:
        sure = f"{span(found.low, found.high)} with {level_text(self.level)} certainty"
        return f"twice the data ({found.n:,} images) would buy about {points(found.gain)} ({sure})"

    def _decided(self, found: Doubling) -> tuple[str, str] | None:
        """Say in short and in words what is certain."""
        if self.width is not None:
            near = (found.high - found.low) / 2
            return (f"to {points(near)}", f"known to {points(near)} either way") if near <= self.width else None
        if found.low >= self.delta:
            return "yes", f"yes, more data would help by at least {points(self.delta)}"
        if found.high <= self.delta:
            return "no", f"no, more data would help by less than {points(self.delta)}"
        return None

    def _beyond(self, best: Doubling) -> str:
        if self.width is None:
            return (
                f"whether that is above {points(self.delta)} no further run on the data at hand tells, only more data"
            )
        near = points((best.high - best.low) / 2)
        return f"no number of runs on the data at hand tells it closer than {near} either way"


def _noiseless(curve: CurveRuns) -> CurveRuns:
    """Imagine many runs of every measured size that all agree."""
    sizes = curve.runs.groupby("images", as_index=False).first()
    sizes["error"] = curve.runs.groupby("images")["error"].mean().to_numpy()
    many = sizes.loc[np.repeat(sizes.index, MANY)].reset_index(drop=True)
    seeds = np.tile(np.arange(MANY), len(sizes))
    noiseless = many.assign(validation_images=10**9, draw_seed=seeds, init_seed=seeds, order_seed=seeds, groups=None)
    return replace(curve, runs=noiseless)
