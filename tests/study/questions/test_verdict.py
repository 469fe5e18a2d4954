import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import grid, saturating, simulated_study

from datavol.errors import ConfigError
from datavol.study.load.study import Study
from datavol.study.questions.answers import answers
from datavol.study.questions.verdict import verdicts, verdicts_of


def one(seeds=((0, 0), (1, 1)), truth=saturating, columns=None, **settings) -> Study:
    return simulated_study(np.random.default_rng(0), grid(seeds=seeds), truth, columns=columns, **settings)


def flat(n: np.ndarray) -> np.ndarray:
    return np.full_like(n, 0.2, dtype=float)


def steep(n: np.ndarray) -> np.ndarray:
    return 0.8 * (n / 1000) ** -0.3


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        (flat, "6.25 % of the data is enough to come within 1 point of what all of it gives, with probability"),
        (steep, "all of the data is needed: no smaller fraction that was trained is likely to come within 1 point"),
    ],
)
def test_a_verdict_says_how_much_is_enough_and_what_more_would_buy(truth, says):
    (verdict,) = verdicts(one(truth=truth, test_size=50_000, noise=0.003))
    assert (verdict.state, verdict.gates) == ("given", ())
    assert verdict.sentence.startswith(says)
    assert "; twice the data would " in verdict.sentence


def test_a_weakened_verdict_is_provisional_and_a_refused_one_says_nothing():
    (weak,) = verdicts(one(seeds=((0, 0),)))
    assert weak.state == "provisional"
    assert "% of the data" in weak.sentence or "all of the data" in weak.sentence
    assert weak.lines[1].startswith("  weakened by one_seed: no fraction was trained with a second seed")
    (refused,) = verdicts(one(seeds=((0, 0),), test_size=60))
    assert (refused.state, refused.sentence) == ("refused", "how much data is enough cannot be said yet")
    assert [gate.name for gate in refused.gates][-1] == "one_seed"  # refusing gates come first


def test_tenths_of_a_point_have_no_minus_before_nought():
    known = {"noise": 0.001, "test_size": None, "columns": {"best_top1": 0.99999}}
    (verdict,) = verdicts(one(truth=lambda n: np.full_like(n, 1e-5, dtype=float), **known))
    assert verdict.sentence.endswith("twice the data would not be likely to buy anything (0.0 to 0.0 points)")


def test_one_curve_may_be_refused_while_another_is_given():
    near = {"model": "vit", "top1": 0.1004, "best_top1": 0.1004}
    runs = [study.runs for study in (one(test_size=50_000), one(columns=near, test_size=50_000))]
    study = Study(pd.concat(runs, ignore_index=True), pd.DataFrame())
    assert [verdict.state for verdict in verdicts(study)] == ["given", "refused"]


def test_a_verdict_says_what_is_beyond_reach():
    runs = grid((0.05, 0.1, 0.2, 0.4), ((0, 0), (1, 1)))
    (verdict,) = verdicts(simulated_study(np.random.default_rng(0), runs, steep))
    assert verdict.state == "provisional"
    assert verdict.sentence.startswith("more than 40 % of the data is needed to come within 1 point of what all of it")
    assert verdict.sentence.endswith(
        "; what twice the data would buy cannot be said yet"
    )  # it is five times the largest
    assert [gate.name for gate in verdict.gates] == ["full_set"]


def test_a_target_is_asked_within_four_times_though_the_verdict_is_refused():
    small = simulated_study(np.random.default_rng(0), grid((0.0125, 0.025, 0.05, 0.1), ((0, 0), (1, 1))))
    told = answers(small, target=0.6)
    assert verdicts_of(told)[0].state == "refused"
    assert told[2].state == "answered"


def test_a_question_that_failed_is_no_verdict(monkeypatch):
    def fail(*_: object) -> None:
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr("datavol.study.questions.answers.saturation", fail)
    (verdict,) = verdicts(one())
    assert verdict.state == "refused"
    assert "LinAlgError: singular" in verdict.sentence


def test_verdicts_come_in_the_order_of_answers_and_refuse_what_these_refuse():
    told = [one(columns={"model": model}) for model in "ba"]
    study = Study(pd.concat([study.runs for study in told], ignore_index=True), pd.DataFrame())
    said = answers(study)
    assert [verdict.curve for verdict in verdicts_of(said)] == list(dict.fromkeys(answer.curve for answer in said))
    with pytest.raises(ConfigError, match=r"^delta must be"):
        verdicts(study, delta=1)
