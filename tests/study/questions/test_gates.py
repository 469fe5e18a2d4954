import re
from itertools import product
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from factories.run_folders import write_run
from factories.simulated_curves import FRACTIONS, grid, simulated_study
from scipy.stats import binomtest, norm

from datavol.data.subsets import draw_subset
from datavol.runs.predictions import Predictions
from datavol.study.audit.comparability import audit
from datavol.study.load.study import Study, load_study
from datavol.study.questions.answers import answers
from datavol.study.questions.chance import guessed_right, p_of_guessing, p_of_pairs, rise_at_the_end, shown_difference
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study
from datavol.study.questions.gates import Gate, find_gates

CLASSES = ["ant", "bee", "cat", "dog", "emu"]
PHOTOS = np.repeat(np.arange(5), [88, 38, 38, 38, 38])  # classes of 240 training photos
SHOWN = np.repeat(np.arange(5), [22, 10, 10, 9, 9])  # of 60 to validate; 22 are ants


def named(labels: np.ndarray, classes: np.ndarray, count: int = 5) -> Predictions:
    """What a network said: its likeliest classes, and after them the next ones in turn."""
    ranked = (classes[:, None] + np.arange(min(5, count))) % count
    return Predictions(labels, ranked, np.log(np.full(ranked.shape, 1 / count)).astype(np.float32))


def partly_right(labels: np.ndarray, right: int, count: int = 5, seed: int = 0) -> Predictions:
    """Right on so many images, taken at random, and off by one on the others."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return named(labels, np.where(np.isin(np.arange(len(labels)), order[:right]), labels, (labels + 1) % count), count)


def photo_run(study: Path, fraction: float, said: Predictions, seed: int = 0, **planted: object) -> None:
    """Write a run on the photos that said so of those to validate."""
    subset = draw_subset(PHOTOS, CLASSES, fraction, "independent", seed)
    right = float((said.classes[:, 0] == said.labels).mean())
    among = float((said.classes == said.labels[:, None]).any(axis=1).mean())
    facts = {"classes": CLASSES, "validation_images": len(said.labels), "last.val/images": float(len(said.labels))}
    facts |= {"guess": {}, "last.val/top5": among, "best.val/top5": among, "best.val/top1": right, **planted}
    write_run(study, fraction=fraction, seed=seed, top1=right, subset=subset, predictions=said, planted=facts)


def gates_of(study: Study, delta: float = 0.01, metric: str = "top1") -> dict[str, Gate]:
    (curve,) = curves_of_study(study, metric)
    found = find_gates(curve, study.epochs, audit(study), delta=delta)
    assert len({gate.name for gate in found}) == len(found)
    assert [gate.refuses for gate in found] == sorted((gate.refuses for gate in found), reverse=True)
    return {gate.name: gate for gate in found}


def simulated(test_size: int | None = 10_000, fractions=FRACTIONS, seeds=((0, 0), (1, 1)), **settings) -> Study:
    return simulated_study(np.random.default_rng(0), grid(fractions, seeds), test_size=test_size, **settings)


def curve_of(study: Study, metric: str = "top1") -> CurveRuns:
    (curve,) = curves_of_study(study, metric)
    return curve


def test_300_photos_in_five_classes_get_three_reasons_instead_of_a_verdict(tmp_path):
    for fraction, right in ((0.1, 20), (0.25, 22), (0.5, 23), (1.0, 24)):
        photo_run(tmp_path, fraction, partly_right(SHOWN, right))
    study = load_study(tmp_path)
    gates = gates_of(study)
    assert {name: gate.refuses for name, gate in gates.items()} == {"guessing": 1, "test_set": 1, "one_seed": 0}
    assert gates["guessing"].why == (
        "with 100 % of the data the network is right on 40 % of the 60 test images, and always naming the commonest "
        "class is right on 36.7 %: that is not clearly better than guessing"
    )
    assert gates["test_set"].why == "one of your 60 test images is 1.7 points, and you ask about 1 point"
    for answer in answers(study, target=0.8):
        rests_on_the_curve = any(word in answer.question for word in ("enough", "twice", "take", "next"))
        assert (answer.state == "cannot say" and "not clearly better than guessing" in answer.answer) == (
            rests_on_the_curve
        )
        assert {gate.name for gate in answer.gates} == (set(gates) if rests_on_the_curve else set())


def test_a_network_that_clearly_beats_guessing_passes(tmp_path):
    photo_run(tmp_path, 1.0, partly_right(SHOWN, 45))
    assert "guessing" not in gates_of(load_study(tmp_path))


def test_predictions_of_other_images_do_not_speak_for_a_run(tmp_path):
    photo_run(tmp_path, 1.0, partly_right(SHOWN, 45))
    (kept,) = tmp_path.glob("*/predictions/last.npz")
    photo_run(tmp_path.parent / "other", 1.0, partly_right(SHOWN[:30], 2))
    (other,) = (tmp_path.parent / "other").glob("*/predictions/last.npz")
    kept.write_bytes(other.read_bytes())
    assert p_of_guessing(curve_of(load_study(tmp_path))) < 1e-6


@pytest.mark.parametrize("metric", ["top1", "top5"])
def test_a_network_that_always_names_one_class_is_no_better_whichever_it_is(tmp_path, metric):
    labels = np.repeat(np.arange(20), 50)  # all equally common
    always = named(labels, np.full(1000, 17), 20)
    write_run(tmp_path, predictions=always, fraction=1.0, top1=0.05, planted={"last.val/top5": 0.25})
    curve = curve_of(load_study(tmp_path), metric)
    assert guessed_right(always, metric).sum() == {"top1": 50, "top5": 250}[metric]
    assert p_of_guessing(curve) > 0.4


def test_pairs_are_tested_exactly():
    rng = np.random.default_rng(0)
    right, guessed = rng.random(500) < 0.42, rng.random(500) < 0.37
    better, worse = (right & ~guessed).sum(), (guessed & ~right).sum()
    expected = binomtest(int(better), int(better + worse), alternative="greater").pvalue
    assert p_of_pairs(right, guessed) == pytest.approx(expected, rel=1e-12)
    assert p_of_pairs(right, right) == 1


@pytest.mark.parametrize("seeds", [1, 2, 3, 10])
def test_seeds_do_not_turn_guessing_into_knowing(tmp_path, monkeypatch, seeds):
    """Networks as good as the guess, on the same images: false alarms stay rare with any number of them."""
    labels = np.repeat(np.arange(5), [80, 30, 30, 30, 30])
    study = simulated(200, (1.0,), [(seed, seed) for seed in range(seeds)], columns={"folder": "made up"})
    curve = CurveRuns("a", "top1", study.runs.assign(error=0.6, best_error=0.6), {})
    alarms = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        said = iter([named(labels, as_good_as_the_guess(labels, rng)) for _ in range(seeds)])
        monkeypatch.setattr("datavol.study.questions.common_mistakes.kept_predictions", lambda _, said=said: next(said))
        alarms += p_of_guessing(curve) < 0.05
    assert alarms <= 10


def as_good_as_the_guess(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Classes that differ from always naming 0 on 60 images, for better or worse by the toss of a coin."""
    better = rng.binomial(60, 0.5)
    classes = np.zeros_like(labels)
    right = rng.choice(np.flatnonzero(labels > 0), better, replace=False)
    classes[right] = labels[right]
    classes[rng.choice(np.flatnonzero(labels == 0), 60 - better, replace=False)] = 1
    return classes


def test_the_guess_among_equally_common_classes_does_not_depend_on_their_names():
    labels, rng = np.repeat(np.arange(20), 50), np.random.default_rng(0)
    classes = np.where(rng.random(1000) < 0.05, labels, 17)
    found = {
        p_of_pairs(names[classes] == names[labels], guessed_right(named(names[labels], names[classes], 20), "top1"))
        for names in (np.arange(20), np.arange(20)[::-1], rng.permutation(20))
    }
    assert len(found) == 1


@pytest.mark.parametrize(("test_size", "guesses"), [(60, True), (3000, False)])
def test_without_predictions_the_number_of_test_images_decides(test_size, guesses):
    """Studies from W&B: always naming one of two classes gives 50 %, and the network 60 %."""
    columns = {"classes": 2, "top1": 0.6, "best_top1": 0.6, "folder": None}
    study = simulated(test_size, columns=columns)
    assert p_of_guessing(curve_of(study)) == pytest.approx(
        binomtest(round(0.6 * test_size), test_size, 0.5, alternative="greater").pvalue
    )
    assert ("guessing" in gates_of(study)) == guesses


@pytest.mark.parametrize(("top1", "refused"), [(0.12, True), (0.17, False)])
def test_near_guessing_is_refused_however_clearly_it_is_better(top1, refused):
    study = simulated(50_000, columns={"classes": 1000, "top1": top1, "best_top1": top1})
    assert ("guessing" in gates_of(study)) == refused


def test_what_the_estimator_refuses_near_guessing_is_a_gate():
    study = simulated(50_000, columns={"classes": 1000, "top1": 0.04, "best_top1": 0.04})
    assert "no forecast is known to hold" in gates_of(study)["guessing"].why
    assert all(answer.state == "cannot say" for answer in answers(study)[:2])


def test_single_runs_on_the_same_images_are_compared_as_mcnemar_does(tmp_path):
    smaller, larger = (partly_right(SHOWN, right, seed=right) for right in (30, 40))
    for fraction, said in ((0.5, smaller), (1.0, larger)):
        photo_run(tmp_path, fraction, said)
    right = [said.classes[:, 0] == said.labels for said in (smaller, larger)]
    b, c = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    expected = norm.ppf(0.975) * sqrt(b + c - (b - c) ** 2 / 60) / 60
    assert shown_difference(curve_of(load_study(tmp_path)), 0.95) == pytest.approx(expected)


def test_runs_that_agree_on_every_image_still_differ_by_chance(tmp_path):
    for fraction in (0.5, 1.0):
        photo_run(tmp_path, fraction, partly_right(SHOWN, 45))
    assert shown_difference(curve_of(load_study(tmp_path)), 0.95) == pytest.approx(norm.ppf(0.975) / 60)


def test_runs_on_different_images_share_no_chance(tmp_path):
    for fraction, labels in ((0.25, SHOWN), (0.5, SHOWN), (1.0, SHOWN[::-1].copy())):
        photo_run(tmp_path, fraction, partly_right(labels, 45))
    error = (15 + 1) / 62
    expected = norm.ppf(0.975) * sqrt(2 * error * (1 - error) / 60)
    assert shown_difference(curve_of(load_study(tmp_path)), 0.95) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("test_size", "delta", "gate"),
    [
        (50_000, 0.01, None),
        (1000, 0.01, False),  # 2 points are shown
        (1000, 0.0009, True),  # less than an image
        (None, 0.01, False),
    ],
)
def test_test_images_show_only_so_much(test_size, delta, gate):
    found = gates_of(simulated(test_size), delta).get("test_set")
    assert (found.refuses if found else None) is gate


@pytest.mark.parametrize(("gap", "refuses"), [(0.001, True), (0.3, False)])
def test_few_test_images_refuse_only_what_they_hide(gap, refuses):
    """A gap far beyond chance answers whether a smaller fraction is enough: it is not."""
    top1 = 0.5 - gap * (1 - np.repeat(FRACTIONS, 2))
    study = simulated(101, columns={"top1": top1, "best_top1": top1})
    assert gates_of(study)["test_set"].refuses == refuses


def test_as_many_test_images_as_are_asked_for_show_the_difference():
    study = simulated(1000)
    wanted = int(gates_of(study)["test_set"].remedy.split()[2].replace(",", ""))
    more = Study(study.runs.assign(validation_images=wanted), study.epochs)
    assert "test_set" not in gates_of(more)
    assert "test_set" in gates_of(Study(study.runs.assign(validation_images=wanted // 2), study.epochs))


@pytest.mark.parametrize(("largest", "refuses"), [(1.0, None), (0.5, False), (0.25, False), (0.2, True)])
def test_the_full_set_is_forecast_within_four_times_only(largest, refuses):
    study = simulated(fractions=(largest / 8, largest / 4, largest / 2, largest))
    found = gates_of(study).get("full_set")
    assert (found.refuses if found else None) is refuses
    told = answers(study, target=0.8)
    assert (told[0].state == "cannot say") is bool(refuses)
    assert told[2].state == "answered"  # images within four times the largest are asked about


@pytest.mark.parametrize("fractions", [(0.5,), (0.5, 1.0)])
def test_a_curve_takes_three_fractions(fractions):
    assert gates_of(simulated(fractions=fractions))["fractions"].refuses


def test_seeds_count_only_within_a_fraction():
    assert "one_seed" not in gates_of(simulated())
    assert not gates_of(simulated(seeds=((0, 0),)))["one_seed"].refuses
    assert "one_seed" in gates_of(simulated(seeds=((0, 0), (0, 0))))  # trained again, by the same seed
    spread = simulated(fractions=(0.25, 0.5, 1.0), seeds=((0, 0),))
    spread.runs["seed"] = spread.runs["init_seed"] = [0, 1, 2]
    assert "one_seed" in gates_of(spread)


@pytest.mark.parametrize(("slope", "worse"), [(0.1, True), (0.001, False), (-0.1, False)])
def test_data_that_made_it_worse_are_not_called_enough_without_a_word(slope, worse):
    gates = gates_of(simulated(truth=lambda n: 0.2 * (n / 2000) ** slope))
    assert ("worse" in gates) is worse
    assert not worse or gates["worse"].why.startswith("more data made it worse: the accuracy is 8")


@pytest.mark.parametrize("images", [2000, 6000])
def test_what_test_images_show_is_more_than_what_is_asked_also_as_it_is_written(images):
    why = gates_of(simulated(images, truth=lambda n: 0.3 * (n / 32_000) ** -0.3))["test_set"].why
    assert float(re.findall(r"([\d.]+) point", why)[0]) > 1


def cosine(end: float, epochs: int) -> np.ndarray:
    """Accuracies of a run whose learning rate anneals to 0."""
    return end - 0.3 * np.exp(-6 * np.arange(1, epochs + 1) / epochs)


@pytest.mark.parametrize(
    ("curve", "refuses"),
    [
        (lambda end: cosine(end, 10), None),
        (lambda end: cosine(end, 100), None),
        (lambda end: end + np.array([-0.3, -0.1, -0.05, -0.04, -0.03, -0.02, 0]), False),
        (lambda end: end + np.linspace(-0.5, 0, 8), True),
        (lambda end: end + np.array([-0.4, 0]), True),
        (lambda end: end + np.array([-0.2, 0.05, 0.02, 0]), False),  # past its best
        (lambda end: end + np.zeros(1), None),  # one evaluation tells nothing
    ],
)
def test_training_that_had_not_settled_is_seen(curve, refuses):
    study = simulated(columns={"best_top1": None})
    lines = {index: curve(top1) for index, top1 in study.runs["top1"].items()}
    rows = [(i, k, value) for i, line in lines.items() for k, value in enumerate(line, 1)]
    epochs = pd.DataFrame(rows, columns=["run", "iteration", "val/top1"]).sample(frac=1, random_state=0)
    best = pd.Series({index: line.max() for index, line in lines.items()})
    found = gates_of(Study(study.runs.assign(best_top1=best), epochs)).get("settled")
    assert (found.refuses if found else None) is refuses


def test_a_rise_is_that_of_the_last_over_the_quarter_before_it():
    study = simulated(fractions=(1.0,), seeds=((0, 0),))
    epochs = pd.DataFrame({"run": 0, "iteration": range(8), "val/top1": [0, 0, 0, 0, 0.5, 0.6, 0.8, 0.9]})
    assert rise_at_the_end(curve_of(study), epochs).to_dict() == pytest.approx({1.0: 0.9 - 0.7})


def test_a_grave_finding_refuses_the_curve_that_it_concerns_alone(tmp_path):
    for model, fraction, seed in product(("mobilenet_v2", "resnet50"), (0.25, 0.5, 1.0), (0, 1)):
        write_run(tmp_path, model, fraction, seed, done=3 if (model, fraction, seed) == ("resnet50", 0.5, 1) else None)
    good, bad = audit_gates(tmp_path)
    assert good == []
    assert any("the accuracy was read before the schedule had ended" in why for why in bad)


def test_curves_that_differ_from_each_other_alone_are_no_finding_along_either(tmp_path):
    for draw, fraction in product(("independent", "nested"), (0.25, 0.5, 1.0)):
        write_run(tmp_path, fraction=fraction, draw=draw, planted={"precision": "16"} if draw == "nested" else {})
    assert any(finding.name == "precision" for finding in audit(load_study(tmp_path)))
    assert audit_gates(tmp_path) == [[], []]


def audit_gates(folder: Path) -> list[list[str]]:
    study = load_study(folder)
    return [
        [gate.why for gate in find_gates(curve, study.epochs, audit(study)) if gate.name == "audit"]
        for curve in curves_of_study(study)
    ]


def test_nothing_finished_another_metric_and_two_versions_are_gates():
    assert list(gates_of(simulated(columns={"state": "running"}))) == ["no_run"]
    assert gates_of(simulated(columns={"top5": None}), metric="top5")["metric"].refuses
    assert gates_of(simulated(columns={"classes": 4}), metric="top5")["baseline"].remedy == "ask of top1"
    mixed = simulated()
    mixed.runs.loc[0, "fingerprint"] = "g"
    assert "different versions of the data" in gates_of(mixed)["baseline"].why


def test_commands_repeat_what_was_typed_with_other_values(tmp_path):
    for fraction, right in ((0.25, 30), (0.5, 45)):
        run = write_run(tmp_path / "a b", fraction=fraction, predictions=partly_right(SHOWN, right))
        typed = ["data=digits", "model=mobilenet_v2", f"fraction={fraction}", "seed=0", "+data.note='a b'", "epochs=4"]
        (run.path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))
    commands = {name: gate.command for name, gate in gates_of(load_study(tmp_path / "a b")).items()}
    same = """python -m datavol.run -m data=digits model=mobilenet_v2 '+data.note='"'"'a b'"'"'' epochs=4"""
    assert commands["one_seed"] == f"{same} fraction=0.25,0.5 seed=0,1,2"
    assert commands["fractions"] == f"{same} fraction=0.25,0.5,1 seed=0"
    assert commands["full_set"] == f"{same.replace(' -m data=', ' data=')} fraction=1 seed=0"
    assert commands["test_set"].startswith(f"python -m datavol.report '{tmp_path}/a b' --delta ")


def test_records_without_their_command_line_have_remedies_in_words():
    assert all(gate.command is None and gate.remedy for gate in gates_of(simulated(60, (0.1, 0.2))).values())
