import math

import numpy as np
import pytest
from factories.run_folders import made_up_predictions, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.runs.predictions import Predictions
from datavol.study.load.study import load_study
from datavol.study.tables.image_fates import fate_counts, learned_from, learned_images, learned_table, validation_keys

LABELS = np.array([0, 0, 0, 1, 1, 3])


def saying(right: str, labels: np.ndarray = LABELS) -> Predictions:
    """Predictions that are right where the text has a 1."""
    first = np.where([mark == "1" for mark in right], labels, labels + 1)
    classes = np.stack([first, labels + 2], axis=1)
    return Predictions(labels, classes, np.log(np.full(classes.shape, 0.5, dtype=np.float32)))


RIGHT, WRONG = saying("111111"), saying("000000")


def images_of(folder, agreement=0.5):
    return learned_images(load_study(folder).runs, agreement)


def fate_by_hand(shares: list[list[bool]], agreement: float) -> tuple[str, int | None]:
    """Of one image from the runs' verdicts at every fraction, the smallest first; by the words of the definition."""
    recognised = [verdicts.count(True) > agreement * len(verdicts) for verdicts in shares]
    start = next((start for start in range(len(recognised)) if all(recognised[start:])), None)
    return ("learned" if start is not None else "forgotten" if any(recognised) else "never"), start


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1)))
def test_the_fraction_an_image_is_learned_from_is_that_of_the_definition(images):
    starts = learned_from(np.array(images).T)
    for verdicts, start in zip(images, starts, strict=True):
        fate, expected = fate_by_hand([[verdict] for verdict in verdicts], 0.5)
        assert start == (expected if fate == "learned" else len(verdicts))


@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.7, 0.99])
def test_fates_are_those_of_a_loop_over_images_and_runs(tmp_path, agreement):
    """Two networks, fractions of one to four seeds, and runs that kept nothing, failed, or were trained again."""
    rng = np.random.default_rng(3)
    verdicts: dict[str, dict[float, list[np.ndarray]]] = {"mobilenet_v2": {}, "resnet50": {}}
    labels = rng.integers(0, 10, 200)
    for model, seeds in {"mobilenet_v2": {0.05: 4, 0.25: 3, 0.5: 2, 1.0: 1}, "resnet50": {0.05: 2, 1.0: 3}}.items():
        for fraction, count in seeds.items():
            verdicts[model][fraction] = [rng.random(200) < 0.4 + 0.4 * fraction for _ in range(count)]
            for seed, right in enumerate(verdicts[model][fraction]):
                text = "".join("1" if one else "0" for one in right)
                write_run(tmp_path, model, fraction, seed, predictions=saying(text, labels))
    write_run(tmp_path, "resnet50", 0.25)
    wrong = saying("0" * 200, labels)
    write_run(tmp_path, "resnet50", 0.5, state="failed", done=2, predictions=wrong)
    write_run(tmp_path, "resnet50", 1.0, 7, predictions=wrong).supersede()
    images = images_of(tmp_path, agreement)
    assert images["label"].value_counts().to_dict() == {"mobilenet_v2": 200, "resnet50": 200}
    for row in images.to_dict("records"):
        own = verdicts[row["label"]]
        by_fraction = [[bool(run[row["image"]]) for run in own[fraction]] for fraction in sorted(own)]
        fate, start = fate_by_hand(by_fraction, agreement)
        assert row["fate"] == fate
        assert row["class"] == labels[row["image"]]
        assert row["fraction"] == sorted(own)[start] if fate == "learned" else math.isnan(row["fraction"])
        for fraction, right in zip(sorted(own), by_fraction, strict=True):
            assert row[f"right_{fraction}"] == pytest.approx(np.mean(right))
    assert images.columns[-4:].tolist() == ["right_0.05", "right_0.25", "right_0.5", "right_1.0"]
    assert images.loc[images["label"] == "resnet50", "right_0.5"].isna().all()


def test_counts_are_those_of_the_images_and_what_was_not_measured_is_missing(tmp_path):
    for fraction, right in {0.05: "110100", 0.25: "100110", 1.0: "101110"}.items():
        write_run(tmp_path, "mobilenet_v2", fraction, predictions=saying(right))
    for fraction, right in {0.05: "000000", 1.0: "111000"}.items():
        write_run(tmp_path, "resnet50", fraction, predictions=saying(right))
    counts = fate_counts(images_of(tmp_path))
    assert list(counts) == [0.05, 0.25, 1.0, "forgotten", "never"]
    assert counts.loc["mobilenet_v2"].to_numpy().tolist() == [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert counts.loc[("resnet50", 0)].fillna(-1).tolist() == [0, -1, 3, 0, 0]
    table = learned_table(images_of(tmp_path), ["cat", "dog", "owl", "yak"])
    assert table["class"].tolist() == ["all", "cat", "dog", "yak"] * 2
    assert table.columns.tolist()[3:] == ["from 5 %", "from 25 %", "from 100 %", "forgotten", "never"]
    assert table["images"].tolist() == [6, 3, 2, 1] * 2
    assert table.iloc[0, 3:].tolist() == [2, 1, 1, 1, 1]
    assert table.iloc[4, 3:].fillna(-1).tolist() == [0, -1, 3, 0, 3]


def test_curves_of_another_length_are_apart(tmp_path):
    for epochs, smaller in ((2, WRONG), (4, RIGHT)):
        write_run(tmp_path, fraction=0.05, epochs=epochs, predictions=smaller)
        write_run(tmp_path, fraction=1.0, epochs=epochs, predictions=RIGHT)
    learned = images_of(tmp_path).groupby("label")["fraction"].unique().map(list).to_dict()
    assert learned == {"mobilenet_v2, 2 budget epochs": [1.0], "mobilenet_v2, 4 budget epochs": [0.05]}


def test_one_fraction_other_validation_images_and_an_agreement_of_all_are_refused(tmp_path):
    write_run(tmp_path, fraction=0.05, predictions=RIGHT)
    write_run(tmp_path, fraction=1.0)
    with pytest.raises(ConfigError, match="two fractions or more"):
        images_of(tmp_path)
    write_run(tmp_path, fraction=1.0, predictions=saying("111111", LABELS[::-1].copy()))
    with pytest.raises(ConfigError, match="same images, got others among those of mobilenet_v2"):
        images_of(tmp_path)
    with pytest.raises(ConfigError, match=r"agreement must be .*, got 1;"):
        images_of(tmp_path, 1)


def test_truncated_predictions_are_named(tmp_path):
    file = write_run(tmp_path, predictions=made_up_predictions(0.7)).path / "predictions" / "last.npz"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ConfigError, match=r"got none whole: .*last\.npz must be .*BadZipFile"):
        images_of(tmp_path)


def test_the_names_of_images_come_from_the_data(tmp_path):
    (run,) = compose(["fraction=0.25"])
    prepared = prepare(run.config)
    RunFolder(tmp_path).start(run.values, [], prepared.manifest, prepared.subset.indices)
    val = prepared.source.val
    assert validation_keys(tmp_path) == [val.key(position) for position in range(len(val.labels))]
