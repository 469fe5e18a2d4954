"""Predicts what a question may cost, from earlier runs or from timing one."""

from __future__ import annotations

from dataclasses import dataclass

from datavol.asking.measured import Parts
from datavol.asking.question import Rule
from datavol.config.run import Run
from datavol.planning.plan import plan_runs
from datavol.planning.speed import find_speeds, seconds_left

TYPICAL = {"Enough": 5, "MoreData": 3, "Reach": 8}
"""Full runs until an answer, as a rule: see `benchmarks/ASKING.md`."""


@dataclass(frozen=True)
class Cost:
    """Stores what a run takes, and how many a question may need."""

    seconds: float | None  # of a full run; None where not known
    most: int
    typical: int
    places: int  # runs at once

    def __str__(self) -> str:
        runs = f"as a rule {self.typical} runs of full length, at most {self.most}"
        if self.seconds is None:
            return runs
        each, usual, all_of_it = (duration(self.seconds * runs) for runs in (1, self.typical, self.most))
        return f"{runs}; a run takes about {each}: as a rule {usual}, at most {all_of_it} of training"


def cost_of(rule: Rule, run: Run, parts: Parts, places: int, environment: dict[str, str]) -> Cost:
    """Predict a question's cost; times a run where none has finished yet."""
    typical = min(rule.most, TYPICAL[type(rule).__name__])
    return Cost(_seconds(run, parts, environment), rule.most, typical, places)


def _seconds(run: Run, parts: Parts, environment: dict[str, str]) -> float | None:
    known = parts.get(1)
    if known is not None:
        seconds = known.curve.runs["seconds_train"] + known.curve.runs["seconds_val"]
        if seconds.notna().any():
            return float(seconds.median())
    # Of a cluster this machine is the login node, whose speed tells nothing
    may_time = run.config.plan.timing and not run.on_cluster
    if not may_time and run.config.plan.images_per_second is None:
        return None
    plans = plan_runs([run])
    return seconds_left(plans[0], find_speeds(plans, environment)[0])


def duration(seconds: float) -> str:
    """Write a duration in two digits.

    >>> duration(42), duration(600), duration(7000), duration(400000)
    ('42 s', '10 min', '1.9 h', '4.6 days')
    """
    for unit, size, most in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds / 86400:.2g}'):g} days"
