"""Decides whether a fraction is enough: pairs of runs, short ones first.

The rule and its thresholds were simulated on worlds made from measured curves: `benchmarks/asking.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from datavol.cli.text import chance, per_cent
from datavol.study.curves.checks import Array
from datavol.study.looks.evidence import Evidence, Noise, Pair
from datavol.study.looks.look import Look, Step
from datavol.study.looks.thresholds import threshold_of
from datavol.study.looks.words import length, points, span

SHORT_MARGIN = 1.25
"""So many times the allowed gap that of a short pair must surely be: it is a lower bound, but not a sure one."""
FIRST_HOPE, HOPE = 0.05, 0.2
"""Below this chance that any further pair decides, after the first pair and later, a question is given up.

In simulations of pairs, .05 throughout took a fifth more runs and told one question in 40 more."""
PATHS = 2000  # simulated continuations


@dataclass(frozen=True)
class Posterior:
    """Stores what pairs tell of a gap: Student's t around their mean."""

    mean: float
    scale: float
    dof: float

    def below(self, gap: float) -> float:
        """Return the probability that the gap is at most so large."""
        return float(student.cdf((gap - self.mean) / self.scale, self.dof))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central interval of a level."""
        reach = float(student.ppf((1 + level) / 2, self.dof)) * self.scale
        return self.mean - reach, self.mean + reach


def posterior(gaps: Array, noise: Noise) -> Posterior:
    """Weigh pairs' gaps with what is known of their noise (pairs,)."""
    dof = noise.dof + len(gaps) - 1
    # The variance of one gap: that known before counts as `noise.dof` repeats
    squares = noise.dof * noise.variance + float(((gaps - gaps.mean()) ** 2).sum())
    return Posterior(float(gaps.mean()), float((squares / dof / len(gaps) + noise.test_variance) ** 0.5), dof)


@dataclass(frozen=True)
class Rung:
    """Compares two runs before the full pairs, for less training.

    With equal iterations both are short; with equal passes both are whole, and the larger fraction is below all.
    """

    small: Step
    large: Step


@dataclass(frozen=True)
class Enough:
    """Asks whether a fraction is at most `delta` worse than all.

    Attributes:
        fraction: The fraction.
        delta: The allowed gap, a share.
        level: Certainty: at most 1 - level of certain answers may be wrong.
        zone: Gaps so near `delta` count as either.
        most: Full runs at most.
        parts: Of the budget, for short runs, the shortest first; empty with equal passes.
        equal_passes: Whether fractions are trained for equally many passes: then a larger fraction costs more.
        at_once: Pairs that are trained between two looks.
    """

    fraction: float
    delta: float
    level: float = 0.95
    zone: float = 0.0
    most: int = 18
    parts: tuple[int, ...] = (8, 4, 2)
    equal_passes: bool = False
    at_once: int = 1

    @property
    def text(self) -> str:
        """Write the question."""
        return f"Is {per_cent(self.fraction)} of the data enough, to {points(self.delta)}?"

    @property
    def rungs(self) -> list[Rung]:
        """List what is compared before full pairs, the cheapest first."""
        if not self.equal_passes:
            return [Rung(Step(self.fraction, 0, part), Step(1.0, 0, part)) for part in self.parts]
        larger = [self.fraction * 2**doublings for doublings in range(1, 8)]
        return [Rung(Step(self.fraction, 0), Step(float(f"{one:.6g}"), 0)) for one in larger if one <= 0.5 + 1e-9]

    def look(self, evidence: Evidence) -> Look:
        """Judge the finished runs."""
        climbed = [pair for rung in self.rungs if (pair := _pair(evidence, rung)) is not None]
        pairs = evidence.pairs(self.fraction)
        number = len(climbed) + len(pairs)
        if pairs:
            return self._judge(pairs, evidence, number)
        for rung in self.rungs:
            if (pair := _pair(evidence, rung)) is None:
                return Look(
                    number,
                    "open",
                    f"{self._so_far(climbed)}; next {length(rung.large.part)}",
                    next=(rung.small, rung.large),
                )
            if (refuted := self._judge_short(pair, evidence, number)) is not None:
                return refuted
            if pair.gap <= self.delta:
                break  # nothing that is shorter than the whole training can say "enough"
        return Look(number, "open", f"{self._so_far(climbed)}; next whole runs", next=self._next(pairs))

    def _next(self, pairs: list[Pair]) -> tuple[Step, ...]:
        done = {pair.small.step.seed for pair in pairs}
        room = self.most // 2 - len(pairs)
        seeds = [seed for seed in range(len(done) + self.at_once) if seed not in done][: min(self.at_once, room)]
        return tuple(Step(fraction, seed) for seed in seeds for fraction in (self.fraction, 1.0))

    def _so_far(self, climbed: list[Pair]) -> str:
        if not climbed:
            return "nothing was trained yet"
        pair = climbed[-1]
        return f"after {length(pair.large.step.part)} the gap is {points(pair.gap)}, which does not rule it out"

    def _judge_short(self, pair: Pair, evidence: Evidence, number: int) -> Look | None:
        """Say "not enough" if a cheap comparison shows it; it can't say more."""
        noise = evidence.noise([pair])
        known = posterior(np.array([pair.gap]), noise)
        bar = threshold_of(self.level, noise.dof, self.most // 2)
        if (probability := known.below(SHORT_MARGIN * self.delta)) > 1 - bar:
            return None
        part, larger = pair.large.step.part, per_cent(pair.large.step.fraction)
        shown = f"already after {length(part)} all of it is" if part > 1 else f"already {larger} of it is"
        sentence = (
            f"{per_cent(self.fraction)} of the data is not enough: {shown} {points(pair.gap)} better, and you allow "
            f"{points(self.delta)}"
        )
        why = "the gap grows with training" if part > 1 else "all of it is better still"
        basis = f"one pair of runs; {why}; noise from {noise.source}"
        return Look(
            number, "answered", sentence, basis, "not enough", probability, bar, numbers=self._numbers(known, 1)
        )

    def _judge(self, pairs: list[Pair], evidence: Evidence, number: int) -> Look:
        """Weigh whole pairs: answer, give up, or ask for more."""
        gaps = np.array([pair.gap for pair in pairs])
        noise = evidence.noise(pairs)
        known = posterior(gaps, noise)
        bar = threshold_of(self.level, noise.dof, self.most // 2)
        gap = f"{_better(known.mean)} ({span(*known.interval(self.level))})"
        count = f"{len(pairs)} pair{'s' * (len(pairs) > 1)} of runs"
        look = Look(
            number,
            "answered",
            f"{gap}, and you allow {points(self.delta)}",
            f"{count}; noise from {noise.source}",
            probability=known.below(self.delta),
            threshold=bar,
            numbers=self._numbers(known, len(pairs)),
        )
        share = per_cent(self.fraction)
        if said := self._certain(known, bar):
            says, words, sure = said
            sentence = f"{share} of the data is {words}: {look.sentence}"
            return replace(look, says=says, sentence=sentence, probability=sure)
        if (smallest := 1 / (evidence.test_images or np.inf)) > self.delta:
            sentence = (
                f"one of {evidence.test_images:,} test images is {points(smallest)}, and you ask whether {share} is "
                f"enough to {points(self.delta)}"
            )
            return replace(look, state="out of reach", sentence=sentence)
        hope = _hope(gaps, noise, self.delta, self.zone, bar, self.most // 2)
        if hope < (HOPE if len(pairs) > 1 else FIRST_HOPE):
            sentence = f"after {count}, {share} of the data against all of it, {look.sentence}"
            return replace(look, state="cannot be told", sentence=sentence)
        sentence = self._undecided(gap, known, noise, bar, len(pairs))
        return replace(look, state="open", sentence=sentence, next=self._next(pairs))

    def _certain(self, known: Posterior, bar: float) -> tuple[str, str, float] | None:
        """Say in short and in words what is probable enough, and the look's probability."""
        probability = known.below(self.delta)
        if probability >= bar:
            return "enough", "enough", probability
        if probability <= 1 - bar:
            return "not enough", "not enough", probability
        near = known.below(self.delta + self.zone) - known.below(self.delta - self.zone)
        return ("either", "at the limit, where either answer will do", near) if self.zone and near >= bar else None

    def _undecided(self, gap: str, known: Posterior, noise: Noise, bar: float, pairs: int) -> str:
        probability = known.below(self.delta)
        answer = "enough" if probability >= 0.5 else "not enough"
        sure = f"{chance(max(probability, 1 - probability))} sure that {per_cent(self.fraction)} is {answer}"
        text = f"{gap}; {sure}, and {100 * bar:.1f} % is asked for"
        if pairs > 1:
            return text
        far = points(self._shown(noise, bar))
        return f"{text}; {self.most // 2} pairs would tell gaps that are {far} away from {points(self.delta)}"

    def _shown(self, noise: Noise, bar: float) -> float:
        """Compute how far from `delta` a gap must be to be told by all pairs."""
        pairs = self.most // 2
        scale = (noise.variance / pairs + noise.test_variance) ** 0.5
        return float(student.ppf(bar, noise.dof + pairs - 1)) * scale

    def _numbers(self, known: Posterior, pairs: int) -> dict[str, float]:
        low, high = known.interval(self.level)
        return {"gap": known.mean, "low": low, "high": high, "pairs": pairs, "delta": self.delta}


def _pair(evidence: Evidence, rung: Rung) -> Pair | None:
    small, large = evidence.trained(rung.small), evidence.trained(rung.large)
    return None if small is None or large is None else Pair(small, large)


def _better(gap: float) -> str:
    if abs(gap) < 0.0005:
        return "all of it is as good"
    return f"all of it is {points(abs(gap))} {'better' if gap > 0 else 'worse'}"


def _hope(gaps: Array, noise: Noise, delta: float, zone: float, bar: float, most: int) -> float:
    """Simulate the chance that further pairs decide, up to `most`."""
    more = most - len(gaps)
    if more <= 0:
        return 0.0
    rng = np.random.default_rng(0)
    dof = noise.dof + len(gaps) - 1
    squares = noise.dof * noise.variance + float(((gaps - gaps.mean()) ** 2).sum())
    variance = squares / rng.chisquare(dof, PATHS)  # of one gap (paths,)
    true = gaps.mean() + (variance / len(gaps) + noise.test_variance) ** 0.5 * rng.standard_normal(PATHS)
    future = true[:, None] + variance[:, None] ** 0.5 * rng.standard_normal((PATHS, more))
    every = np.concatenate([np.broadcast_to(gaps, (PATHS, len(gaps))), future], axis=1)
    counts = np.arange(1, most + 1)
    means = every.cumsum(axis=1) / counts
    spread = (every**2).cumsum(axis=1) - counts * means**2  # sums of squares about the mean, pair by pair
    pooled = (noise.dof * noise.variance + spread) / (noise.dof + counts - 1)
    scale = (pooled / counts + noise.test_variance) ** 0.5
    freedom = noise.dof + counts - 1
    reach = student.ppf(bar, freedom)  # where either answer is certain; quicker than its probability
    certain = np.abs(delta - means) >= reach * scale
    if zone:
        above, below = (student.cdf((delta + edge - means) / scale, freedom) for edge in (zone, -zone))
        certain |= above - below >= bar
    return float(certain[:, len(gaps) :].any(axis=1).mean())
