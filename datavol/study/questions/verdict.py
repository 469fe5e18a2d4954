"""Sums each learning curve up in a verdict, given, provisional or refused.

for verdict in verdicts(load_study("studies/mine")):
    print(verdict)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from datavol.cli.text import level_text, per_cent, points, probability
from datavol.study.load.measure import TOP1
from datavol.study.load.study import Study
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.curve_runs import Metric
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.gates import Gate
from datavol.study.questions.saturation import Saturation

State = Literal["given", "provisional", "refused"]


@dataclass(frozen=True)
class Verdict:
    """Stores what a learning curve says of how much is enough.

    Attributes:
        curve: Name of the learning curve.
        state: `given`; `provisional`, where gates weaken it; `refused`, where one forbids it.
        sentence: How much is enough and what more would buy, in plain words; why not where it is refused.
        gates: Those that weaken or refuse it, the latter first.
    """

    curve: str
    state: State
    sentence: str
    gates: tuple[Gate, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """Write the verdict, then a line for each gate and command."""
        texts = [f"{self.curve}: verdict {self.state}: {self.sentence}"]
        for gate in self.gates:
            texts.append(f"  {'refused' if gate.refuses else 'weakened'} by {gate.name}: {gate}")
            texts += [f"    {gate.command}"] if gate.command else []
        return texts


def verdicts(
    study: Study,
    *,
    delta: float = 0.01,
    target: float | None = None,
    metric: Metric = "top1",
    level: float = 0.95,
) -> list[Verdict]:
    """Give every learning curve of a study its verdict.

    Arguments are those of `answers`.

    Raises:
        ConfigError: If an argument is out of range.
    """
    return verdicts_of(answers(study, delta=delta, target=target, metric=metric, level=level))


def verdicts_of(answered: Iterable[Answer]) -> list[Verdict]:
    """Give every learning curve the verdict of its answers."""
    return [_verdict(curve, [*those]) for curve, those in groupby(answered, key=lambda answer: answer.curve)]


def _verdict(curve: str, answered: list[Answer]) -> Verdict:
    enough, twice = answered[:2]  # the first two of `answers`
    if not isinstance(enough.result, Saturation):
        refused = "how much data is enough cannot be said yet"
        return Verdict(curve, "refused", enough.answer if enough.state == "failed" else refused, enough.gates)
    sentence = "; ".join([*_enough(enough.result), _more(twice)])
    return Verdict(curve, "provisional" if enough.gates else "given", sentence, enough.gates)


def _enough(found: Saturation) -> Iterator[str]:
    near = f"within {points(found.delta)} of what all of it gives"
    if found.fraction is None:
        largest = per_cent(found.fractions[-1].fraction)
        yield f"more than {largest} of the data is needed to come {near}"
        yield f"{largest} is so with {probability(found.probability)}"
    elif found.fraction == 1:
        yield f"all of the data is needed: no smaller fraction that was trained is likely to come {near}"
    else:
        yield f"{per_cent(found.fraction)} of the data is enough to come {near}, with {probability(found.probability)}"
        if found.sure != found.fraction:
            surely = "no smaller fraction than all of it" if found.sure in (None, 1) else per_cent(found.sure)
            yield f"{surely} is so with {level_text(found.level)}"


def _more(twice: Answer) -> str:
    if twice.state != "answered":
        return "what twice the data would buy cannot be said yet"
    gain, low, high = (_tenths(twice.numbers[name] or 0) for name in ("gain", "low", "high"))
    # In tenths of a point: nobody decides by less
    buys = f"buy about {gain:.1f} points" if gain > 0 else "not be likely to buy anything"
    if gain > 0 and isinstance(twice.result, Doubling) and twice.result.measure is not TOP1:
        buys = twice.result.measure.bought(f"about {gain:.1f} points")
    return f"twice the data would {buys} ({low:.1f} to {high:.1f} points)"


def _tenths(share: float) -> float:
    """Round a share to tenths of a point, never to -0."""
    return round(100 * share, 1) + 0.0
