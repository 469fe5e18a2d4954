"""What must hold of the answers to any study that people run: random designs, random truths."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from factories.simulated_curves import grid, simulated_study
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from datavol.study.audit.findings import Finding
from datavol.study.load.study import Study
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.next_run import NextRun
from datavol.study.questions.saturation import Saturation
from datavol.study.questions.target import Target

GATES = {"guessing", "test_set", "full_set", "fractions", "settled", "audit", "metric", "baseline"}
OWN = {"target", "searched", "one_run", "seconds"}
OF_THE_CURVE = "enough|twice the data buy|How many images|Which run"  # questions that gates refuse
SLOPES = {"steep": 0.9, "usual": 0.35, "shallow": 0.1, "flat": 0.0, "rising": -0.1, "at chance": None}


@dataclass(frozen=True)
class Design:
    """A study as somebody ran it, and what is asked of it."""

    study: Study
    delta: float
    target: float | None
    miss: float | None


@st.composite
def designs(draw):
    """2 to 12 fractions, close or far; 1 to 10 seeds; few test images or many; few classes or many."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    count, apart, largest = pick(2, 3, 4, 5, 6, 8, 10, 12), pick(0.05, 0.3, 1, 2), pick(0.1, 0.3, 0.5, 1.0, 1.0, 1.0)
    fractions = sorted({float(f"{largest * 2 ** (-apart * k):.3g}") for k in range(count)})
    full_size = pick(300, 12_000, 1_281_167)
    fractions = [fraction for fraction in fractions if round(fraction * full_size) >= 2]
    seeds = [(seed, seed) for seed in range(pick(1, 1, 2, 3, 10))]
    classes, test_size = pick(2, 10, 100, 1000), pick(None, 20, 100, 1000, 10_000, 50_000)
    runs, rng = grid(fractions, seeds), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, chance = (runs["fraction"] * full_size).round().to_numpy(), 1 - 1 / classes
    slope, at_full = SLOPES[pick(*SLOPES)], pick(0.01, 0.1, 0.3, 0.6)
    floor = pick(0, 0, 0.5)  # as a share of the error at the full set
    fall = np.ones(len(n)) if slope is None else (n / full_size) ** -slope
    truth = np.full(len(n), chance) if slope is None else np.minimum(at_full * (floor + (1 - floor) * fall), 1) * chance
    errors = np.clip(truth * np.exp(pick(0.002, 0.01, 0.05) * rng.standard_normal(len(n))), 0, 1)
    top1 = 1 - (errors if test_size is None else rng.binomial(test_size, errors) / test_size)
    columns = {"top1": top1, "best_top1": np.minimum(top1 + pick(0, 0.01), 1), "classes": classes}
    columns |= {"validation_images": test_size or np.nan, "seconds_train": pick(60.0, 3600.0)}
    columns |= {"budget": pick("iterations", "epochs")}
    study = simulated_study(rng, runs, columns=columns, full_size=full_size, test_size=None)
    target = pick(None, 0.5, 0.9, float(1 - at_full * chance), float(1 - 0.8 * at_full * chance))
    return Design(study, pick(0.002, 0.01, 0.05), target, None if target is None else pick(None, 0, 20_000))


def check(design: Design, refused: Counter[str], findings: Sequence[Finding] | None = None) -> None:
    """Assert what holds of all answers to a design; count its refusals by gate."""
    asked = {"delta": design.delta, "target": design.target, "miss": design.miss}
    for answer in answers(design.study, findings=findings, **asked):
        assert answer.state != "failed", answer.answer
        assert not re.search(r"\bnan\b|\binf\b|None|100 %(?= with|;| interval)|probability 100", answer.answer)
        if answer.state == "cannot say" and re.search(OF_THE_CURVE, answer.question):
            gates = [gate.name for gate in answer.gates if gate.refuses]
            assert gates, answer.answer
            assert set(gates) <= GATES | OWN
            refused.update({f"{answer.question.split(',')[0][:44]}: {name}": 1 for name in gates})
        elif answer.state == "answered":
            check_answer(answer, design)


def check_answer(answer: Answer, design: Design) -> None:
    result, numbers = answer.result, answer.numbers
    for name, value in numbers.items():
        assert value is None or np.isfinite(value)
        if value is not None and ("probability" in name or name.startswith("reached") or name == "halving"):
            assert 0 <= value <= 1, name
    if {"low", "high"} <= set(numbers):
        assert numbers["low"] <= numbers["high"]
    match result:
        case Saturation():
            assert result.low <= result.full_accuracy <= result.high
            assert all(0 <= one.probability <= 1 for one in result.fractions)
        case Doubling():
            assert result.low <= result.gain <= result.high
            assert result.last_low <= result.last <= result.last_high
            assert result.n == 2 * design.study.runs["full_size"].iloc[0]
        case Target():
            check_target(result)
        case NextRun():
            told, asked = result.candidates, result.asked
            assert (told["then"] <= told["now"]).all()
            assert (told["then"] >= 0).all()
            assert (told["fraction"] <= 1).all()
            if asked != "full":
                assert told["fraction"].min() >= design.study.runs["fraction"].min()


def check_target(result: Target) -> None:
    needed = result.needed
    told = [needed.probability(n) for n in np.geomspace(needed.smallest, needed.limit, 25)]
    assert all(0 <= before <= after <= 1 for before, after in pairwise(told))
    images = [needed.images(share) for share in (0.5, 0.75, 0.9)]
    known = [one for one in images if one is not None]
    assert known == sorted(known)
    assert images[len(known) :] == [None] * (3 - len(known))
    assert all(needed.smallest <= one <= needed.limit for one in known)
    if result.miss is not None:
        n, owned = result.cheapest, result.full_size
        missed = lambda n: max(n - owned, 0) + result.miss * (1 - needed.probability(n))  # noqa: E731
        assert missed(n) <= min(missed(one) for one in (needed.smallest, *known)) + 1e-6


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(designs())
def test_every_design_gets_answers_that_agree_with_themselves_or_a_gate(design):
    check(design, Counter(), findings=())  # the audit, which takes half of the time, is made for the 2,000


GENERATED = settings(  # the same ones every time, and counted, which shrinking would disturb
    deadline=None, database=None, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_two_thousand_designs(capsys):
    refused: Counter[str] = Counter()

    @settings(GENERATED, max_examples=2000)
    @given(designs())
    def every(design):
        refused["designs"] += 1
        check(design, refused)

    every()
    with capsys.disabled():
        print("\n", *(f"{count:6} {what}\n" for what, count in sorted(refused.items())))
