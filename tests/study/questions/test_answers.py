from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from factories.run_folders import write_run
from factories.simulated_curves import FRACTIONS, grid, power_law, saturating, simulated_study
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError, InsufficientData
from datavol.study.load.study import Study, load_study
from datavol.study.questions.answers import Answer, answers
from datavol.study.questions.curve_runs import curves_of_study

CROSSED = list(product((0, 1), (0, 1)))
WHOLE_CURVE = tuple(
    f"large by plain on made_up: {question}" for question in ("How much", "What would", "How many images", "Which run")
)


def both(*studies: Study) -> Study:
    return Study(pd.concat([study.runs for study in studies], ignore_index=True), pd.DataFrame())


def one(seed=0, fractions=FRACTIONS, seeds=CROSSED, truth=saturating, columns=None, **changed) -> Study:
    return simulated_study(np.random.default_rng(seed), grid(fractions, seeds), truth, columns=columns, **changed)


def states(told: list[Answer]) -> list[str]:
    return ["?" if answer.state == "cannot say" else "!" for answer in told]


def test_a_full_study_answers_everything_but_what_takes_predictions():
    told = answers(one(), target=0.85)
    assert len(told) == 10  # tests/golden has their words
    assert "".join(states(told))[:6] == "!!!?!!"
    for answer in told:
        assert "nan" not in str(answer)
        assert str(answer).endswith("rom 20 finished runs at 5 fractions.")
        assert (answer.result is None) == (answer.state == "cannot say") == (answer.numbers == {})


def test_a_newcomer_reads_a_sentence():
    told = str(answers(one(noise=0.002, test_size=None))[0])
    assert told.startswith("resnet50 by plain on made_up: How much data is enough, to 1 point? All of it: no smaller")


def of_large(*others: Study) -> list[str]:
    study = one(fractions=(0.0625, 0.125, 0.25), columns={"model": "large"})
    told = answers(both(study, *others), target=0.87)
    return [str(answer) for answer in told if answer.curve.startswith("large ")]


def test_a_network_that_went_further_lends_its_curve_and_is_named():
    told, alone = of_large(one(seed=1, columns={"model": "small"})), of_large()
    lent = "; with the curve of small (up to 32,000 images), as far as they are alike."
    assert [text.endswith(lent) for text in told] == [text.startswith(WHOLE_CURVE) for text in told]
    assert 0 < sum(text.endswith(lent) for text in told) < len(told)
    assert told[0] != alone[0].removesuffix(".") + lent  # its numbers change as well


@pytest.mark.parametrize(
    "columns",
    [
        {"model": "small", "images": [2000, 4000, 8000, 9000, 9900]},
        *({"model": "small", name: "other"} for name in ("data", "recipe", "fingerprint")),
        {"model": "small", "top1": 0.1, "best_top1": 0.1},
    ],
    ids=["hardly further", "other data", "other recipe", "other version", "guesses"],
)
def test_networks_that_lend_nothing_change_no_answer(columns):
    seeds = [(0, 0)]
    assert of_large(one(seed=1, seeds=seeds, columns=columns)) == of_large()


@pytest.mark.parametrize("fractions", [(0.5,), (0.5, 1.0)])
def test_one_or_two_fractions_say_nothing_of_curves(fractions):
    told = answers(one(fractions=fractions), target=0.85)
    assert "".join(states(told)) == "????!!????"
    assert "a curve takes three measured fractions" in told[0].answer


def test_chance_says_nothing():
    told = answers(one(truth=lambda n: np.full_like(n, 0.895, dtype=float)))
    assert states(told)[:2] == ["?", "?"]
    assert "not clearly better than guessing" in told[0].answer
    assert [gate.name for gate in told[0].gates] == ["guessing"]


def test_runs_that_did_not_finish_are_counted_and_never_used():
    whole = one()
    expected = answers(whole)
    more = whole.runs.iloc[:4].assign(state=["failed", "running", "superseded", "unreadable"], top1=0.0)
    more.loc[3, ["data", "model", "recipe", "budget", "draw"]] = None
    told = answers(Study(pd.concat([whole.runs, more], ignore_index=True), whole.epochs))
    assert [answer.answer for answer in told] == [answer.answer for answer in expected]
    left_out = "1 running, 1 failed, 1 superseded, 1 unreadable"
    assert told[0].runs == f"from 20 finished runs at 5 fractions; left out: {left_out}"


def test_a_curve_without_a_finished_run_cannot_say():
    told = answers(one(columns={"state": "running"}))
    assert set(states(told)) == {"?"}
    assert told[0].answer == "cannot say: no run has finished; wait, or type its command again"


def test_networks_data_sets_and_draws_are_answered_apart():
    vit = one(1, truth=power_law, columns={"model": "vit"})
    other = one(2, columns={"data": "other", "classes": 100, "validation_images": 500})
    study = both(one(0), vit, other, one(3, columns={"draw": "nested"}))
    curves = curves_of_study(study)
    assert [curve.name for curve in curves] == [
        "resnet50 by plain on made_up (draw independent)",
        "resnet50 by plain on made_up (draw nested)",
        "vit by plain on made_up (draw independent)",
        "resnet50 by plain on other (draw independent)",
    ]
    assert [curve.test_size for curve in curves] == [10_000, 10_000, 10_000, 500]
    assert [curve.chance_error for curve in curves] == pytest.approx([0.9, 0.9, 0.9, 0.99])
    alone = [answer.answer for answer in answers(vit)]
    assert [answer.answer for answer in answers(study) if answer.curve.startswith("vit")] == alone


def test_versions_of_the_data_are_not_mixed():
    study = both(one(0), one(1, columns={"fingerprint": "g"}))
    assert "different versions of the data (fingerprint)" in answers(study)[0].answer


def test_chance_is_that_of_the_classes(tmp_path):
    for fraction in (0.25, 0.5, 1.0):
        write_run(tmp_path, fraction=fraction, planted={"guess": {}})
    study = load_study(tmp_path)
    (top1,), (top5,) = curves_of_study(study), curves_of_study(study, "top5")
    assert top1.chance_error == pytest.approx(1 - 250 / 1570)
    assert top5.chance_error == pytest.approx(1 - (250 + 230 + 200 + 180 + 150) / 1570)
    (few,) = curves_of_study(one(columns={"classes": 4}), "top5")
    with pytest.raises(InsufficientData, match="with 4 classes every top5 guess is right; ask of top1"):
        _ = few.chance_error
    (unknown,) = curves_of_study(one(columns={"classes": None}))
    with pytest.raises(InsufficientData, match="nothing tells how many classes there are; load the study's folder"):
        _ = unknown.chance_error


def test_a_folder_is_answered_like_a_frame(tmp_path):
    for fraction, seed in product((0.125, 0.25, 0.5, 1.0), (0, 1)):
        write_run(tmp_path, fraction=fraction, seed=seed)
    told = answers(load_study(tmp_path))
    assert states(told)[:2] == ["!", "!"]
    assert "seed sets draw_seed, init_seed and order_seed alike" in told[4].answer
    assert states(answers(load_study(tmp_path), metric="top5"))[0] == "!"


def test_levels_near_1_are_told_as_they_were_asked():
    told = " ".join(str(answer) for answer in answers(one(), level=0.9999999))
    assert "99.99999 %" in told
    assert "100 % interval" not in told


@pytest.mark.parametrize("wrong", [{"delta": 1.0}, {"target": 90}, {"level": 95}, {"miss": -1}, {"metric": "top3"}])
def test_bad_questions_get_one_line(wrong):
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} must be"):
        answers(one(), **wrong)


def test_the_order_of_rows_does_not_matter():
    study = both(one(0), one(1, columns={"model": "vit"}))
    shuffled = replace(study, runs=study.runs.sample(frac=1, random_state=0, ignore_index=True))
    assert [answer.answer for answer in answers(shuffled)] == [answer.answer for answer in answers(study)]


@st.composite
def studies(draw):
    """Anything that finished runs can be: few fractions or many, any seeds, any accuracies."""
    fractions = draw(st.lists(st.sampled_from([0.01, 0.05, 0.1, 0.125, 0.3, 0.5, 0.75, 1.0]), min_size=1, max_size=5))
    seeds = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5))
    runs = grid(sorted(set(fractions)), seeds)
    top1 = draw(st.lists(st.floats(0, 1), min_size=len(runs), max_size=len(runs)))
    choices = {
        "classes": [2, 10, 1000],
        "budget": ["iterations", "epochs"],
        "seconds_train": [0.0, 0.5, 1e5, np.nan],
        "validation_images": [1, 100, 50_000],
    }
    columns = {name: draw(st.sampled_from(values)) for name, values in choices.items()}
    columns |= {"top1": top1, "best_top1": top1}
    return simulated_study(np.random.default_rng(0), runs, columns=columns)


@settings(max_examples=25, deadline=None)
@given(studies(), st.sampled_from([0.001, 0.01, 0.3]), st.sampled_from([None, 0.05, 0.6, 0.999]))
def test_every_study_gets_sentences(study, delta, target):
    for answer in answers(study, delta=delta, target=target):
        assert (answer.state == "cannot say") == answer.answer.startswith("cannot say")
        assert not any(word in str(answer) for word in ("nan", "inf ", "None"))


def test_a_question_that_fails_says_so_and_leaves_the_others_their_answers(monkeypatch):
    def fail(*_: object) -> None:
        raise np.linalg.LinAlgError("Matrix is not\npositive definite")

    whole = answers(one())
    monkeypatch.setattr("datavol.study.questions.answers.doubling", fail)
    told = answers(one())
    assert [answer.state for answer in told].count("failed") == 1
    assert told[1].answer == ("this question failed, and is left out (LinAlgError: Matrix is not positive definite)")
    assert (told[1].numbers, told[1].result) == ({}, None)
    assert list(map(str, told[:1] + told[2:])) == list(map(str, whole[:1] + whole[2:]))


def test_many_sizes_with_little_noise_leave_a_covariance_that_has_draws():
    study = simulated_study(
        np.random.default_rng(0),
        grid(tuple(np.arange(1, 11) / 10)),
        lambda n: 0.24 * (n / 1281167) ** -0.3,
        full_size=1281167,
        test_size=50_000,
        noise=0.01,
        columns={"classes": 1000},
    )
    (curve,) = curves_of_study(study)
    sizes = [0.05 * 1281167, *curve.runs["images"].to_numpy(float), 2 * 1281167]
    errors = curve.fit(0.95).average_errors(sizes, 500)
    assert errors.shape == (500, len(sizes))
    assert np.isfinite(errors).all()
    assert np.abs(np.median(errors, axis=0)[1:-1] - 0.24 * (np.array(sizes[1:-1]) / 1281167) ** -0.3).max() < 0.02
