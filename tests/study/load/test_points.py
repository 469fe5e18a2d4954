import re

import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import grid, power_law, simulated_study

from datavol.errors import ConfigError
from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.load.points import read_points, study_of_points
from datavol.study.questions.answers import answers
from datavol.study.questions.common_mistakes import SHARED
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.verdict import verdicts
from datavol.study.tables.summaries import learning_curve_points, points_table

SEEDS = ((0, 0), (1, 1))


@pytest.fixture
def measured():
    """A study as datavol's own runs give it, and its points."""
    runs = grid(seeds=SEEDS)
    study = simulated_study(np.random.default_rng(0), runs, power_law)
    points = study.runs[["images", "top1", "seed"]].set_axis(["n", "value", "seed"], axis=1)
    return study, points.sample(frac=1, random_state=1)


def said(study, **settings):
    """Numbers of answers that points allow too, by question."""
    return {
        answer.question: {name: value for name, value in answer.numbers.items() if "best" not in name}
        for answer in answers(study, **settings)
        if answer.question.startswith(("How", "What would twice"))
    }


def close(numbers):
    return {question: pytest.approx(values, nan_ok=True) for question, values in numbers.items()}


def test_points_are_answered_as_datavol_s_own_runs_of_the_same_accuracies(measured):
    study, points = measured
    own = study_of_points(points, "accuracy", guess=0.1, test_size=10_000)
    assert said(own, delta=0.02, target=0.9) == close(said(study, delta=0.02, target=0.9))
    assert len(said(own, target=0.9)) == len(answers(own, target=0.9)) == 4
    (curve,), (theirs,) = curves_of_study(own), curves_of_study(study)
    assert (curve.name, curve.provenance) == ("points", "from 10 points at 5 sizes")
    assert (curve.chance_error, curve.test_size, curve.full_size) == pytest.approx((0.9, 10_000, 32_000))
    known = {"chance_error": 0.9, "test_size": 10_000, "shared": SHARED, "seed": points["seed"]}
    fitted = fit_learning_curve(points["n"], 1 - points["value"], **known)
    assert curve.fit(0.95).predict([64_000]).equals(fitted.predict([64_000]))
    assert theirs.fit(0.95).predict([64_000]).equals(fitted.predict([64_000]))


def test_errors_and_per_cent_are_the_same_points_told_in_other_numbers(measured):
    _, points = measured
    shares = study_of_points(points, "Top-1", guess=0.1)
    per_cent = study_of_points(points.assign(value=100 * points["value"]), "top1", guess=10, percent=True)
    errors = study_of_points(points.assign(value=1 - points["value"]), "error", guess=0.9)
    accuracies, told = said(shares, target=0.9), said(errors, target=0.1)
    assert said(per_cent, target=0.9) == close(accuracies)
    assert list(told.values()) == list(close(accuracies).values())
    assert "How many images does an error of 10 % take?" in told
    assert "How many images does a top-1 of 90 % take?" in accuracies
    (reached,) = [answer for answer in answers(errors, target=0.1) if "error of" in answer.question]
    assert reached.answer.startswith("an error of 10 % is reached ")
    (twice,) = [answer for answer in answers(errors) if "twice" in answer.question]
    assert " off the error (" in twice.answer


def test_sentences_figures_and_tables_name_the_metric_s_values(measured):
    _, points = measured
    study = study_of_points(points.assign(value=1 - points["value"]), "WER", full_size=64_000)
    enough, _, target, seeds = answers(study, target=0.1)
    accuracy = enough.numbers["full_accuracy"]
    assert f"(forecast: {100 * (1 - accuracy):.3g} %)" in enough.answer
    assert "by the learning curve through the points; " in enough.reason
    assert "; the full set was not measured, so its word error rate is a forecast (" in enough.reason
    assert "best" not in enough.reason
    assert "that stay at or below it" in target.reason
    assert target.answer.startswith("a word error rate of 10 % is reached ")
    assert seeds.state == "answered"
    drawn = learning_curve_points(study.runs, study.measure)
    assert drawn["accuracy"].tolist() == pytest.approx(1 - study.runs["top1"].to_numpy(float))
    assert drawn["guess"].unique().tolist() == [1]
    assert drawn[["low", "high"]].isna().all(axis=None)
    table = points_table(study.runs, study.measure)
    sizes = points.groupby("n")["value"]
    assert table["word error rate (%)"].tolist() == pytest.approx([*(100 * (1 - sizes.mean())), 100])
    assert table["deviation (%)"].iloc[:-1].tolist() == pytest.approx((100 * sizes.std()).tolist())
    assert table["points"].iloc[:-1].tolist() == [2] * 5


def test_a_test_set_gives_bars_of_the_value(measured):
    _, points = measured
    own = study_of_points(points.assign(value=1 - points["value"]), "error", guess=0.9, test_size=500)
    drawn = learning_curve_points(own.runs, own.measure)
    assert (drawn["low"] < drawn["accuracy"]).all()
    assert (drawn["accuracy"] < drawn["high"]).all()


def test_several_curves_are_answered_apart_and_a_short_one_cannot_say(measured):
    _, points = measured
    both = pd.concat([points.assign(curve="b"), points.assign(curve="a", value=points["value"] ** 2)])
    both = pd.concat([both, pd.DataFrame({"n": [5], "value": [0.3], "seed": [0], "curve": "c"})])
    told = answers(study_of_points(both, "mAP"))
    assert [answer.curve for answer in told] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert {answer.state for answer in told if answer.curve == "c"} == {"cannot say"}
    alone = answers(study_of_points(points, "mAP"))
    assert [one.answer for one in told if one.curve == "b"] == [one.answer for one in alone]


def gates_of(points, metric="error", **settings):
    """The gates of the first curve, as a reader has them, by name."""
    gates = verdicts(study_of_points(points, metric, **settings))[0].gates
    assert [gate.command for gate in gates] == [None] * len(gates)  # a command trains or loads runs, and here are none
    return {gate.name: str(gate) for gate in gates}


def test_gates_speak_of_points():
    points = pd.DataFrame({"n": [60, 120, 240], "value": [0.69, 0.64, 0.6]})
    few = gates_of(points, guess=0.63, test_size=60, full_size=400)
    assert few["guessing"] == (
        "with 240 images the error is 60 %, and guessing gives 63 %: that is not clearly better than guessing (train "
        "on more of the data)"
    )
    assert few["test_set"].startswith("one of your 60 test images is 1.7 points, and you ask about 1 point (use about ")
    assert few["test_set"].endswith(" points with --delta)")
    assert few["one_seed"].endswith(" was not measured (repeat a size or two with other seeds)")
    assert few["full_set"].endswith(" what all of it gives is a forecast (train on all of it)")
    twice = pd.concat([points.assign(seed=0), points.assign(seed=1)])
    unknown = gates_of(twice, guess=0.9)
    assert list(unknown) == ["test_set"]
    assert unknown["test_set"].endswith(" tells a difference from chance (give it with --test-size)")
    assert gates_of(twice, "WER") == {}  # no share of images, so that no option takes their number
    short = pd.concat([points.assign(curve="b"), points.assign(curve="a").head(2)])
    assert gates_of(short, guess=0.9)["fractions"] == (
        "a curve takes three measured sizes, there are 2: 60 and 120 images (train on more of them)"
    )


def test_a_verdict_names_what_more_data_does_to_the_metric(measured):
    _, points = measured
    (found,) = verdicts(study_of_points(points.assign(value=1 - points["value"]), "error", guess=0.9))
    assert found.state == "provisional"
    assert re.search(r"; twice the data would take about [.\d]+ points off the error \(", found.sentence)
    (found,) = verdicts(study_of_points(points, "mAP"))
    assert found.state == "given"
    assert re.search(r"; twice the data would buy about [.\d]+ points of mAP \(", found.sentence)


def test_what_was_taken_for_what_is_said():
    points = pd.DataFrame({"n": [100, 200, 400], "value": [0.7, 0.8, 0.85], "epoch": [1, 2, 3]})
    study = study_of_points(points, "AUC", full_size=1000)
    assert study.points.notes == (
        "values: AUROC, higher is better, read as shares, so that 0.5 is 50 %",
        "guessing: 50 %, what tossing coins gives; --guess if it is another",
        "the full set: 1,000 images, as given",
        "test images: how far others would move the AUROC is not known",
        "not read: the columns epoch",
    )
    wrong_way = study_of_points(points, "error", guess=0.9, test_size=50)
    assert wrong_way.points.notes[2:4] == (
        "the full set: 400 images, the largest n",
        "test images: 50, taken to be the same ones for all points",
    )
    assert wrong_way.points.notes[-1] == "note: error rises with n; if higher is better, name another metric"
    other = study_of_points(points, "kappa", better="higher", guess=0)
    assert other.points.notes[0].startswith("values: kappa, higher is better")
    assert study_of_points(points, "mAP@50-95").measure.title == "mAP"
    with pytest.raises(ConfigError, match=r"^metric must be a name of at most 60 letters, got nothing"):
        study_of_points(points, " ")
    with pytest.raises(ConfigError, match=r"^points must have the columns n and value, got n, score$"):
        study_of_points(points[["n"]].assign(score=1), "mAP")


def test_repeats_without_seeds_and_a_file_of_a_spreadsheet_are_read(tmp_path):
    file = tmp_path / "p.csv"
    file.write_bytes(b'\xef\xbb\xbfn, value\r\n100,0.5\r\n100,0.6\r\n\r\n200,0.7\r\n400,"0.8"\r\n,\r\n')
    points = read_points(file)
    assert points.index.tolist() == [2, 3, 5, 6]
    runs = study_of_points(points, "recall", guess=0).runs
    assert runs[["images", "seed", "top1"]].to_numpy().tolist() == [
        [100, 0, 0.5],
        [100, 1, 0.6],
        [200, 0, 0.7],
        [400, 0, 0.8],
    ]
    assert runs["run"].tolist() == ["line 2", "line 3", "line 5", "line 6"]
