"""The analyses on a real study: the records in examples/fashion_mnist."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datavol.data.sources.arrays import FASHION_CLASSES
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.load.study import Study, load_study
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.gates import find_gates
from datavol.study.tables.confidence import class_accuracies, margins, reliability_bins
from datavol.study.tables.overlap import expected_overlap, overlap_matrix

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(EXAMPLE)


@pytest.fixture(scope="module")
def grid(study) -> pd.DataFrame:
    """The runs of the six fractions."""
    return study.runs.query("model == 'mobilenet_v2' and recipe == 'small'")


def test_the_records_are_small_and_of_no_machine():
    files = [file for file in EXAMPLE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 10e6
    assert not [file for file in files if file.suffix == ".ckpt"]
    texts = [file.read_text() for file in files if file.suffix in (".json", ".yaml", ".md", ".csv")]
    assert not [text for text in texts if "/tmp/" in text or "/home/" in text or "/root/" in text]


def test_the_subsets_are_what_their_manifests_say_and_overlap_as_chance_has_it(grid):
    for run in grid["folder"]:
        folder = RunFolder(Path(run))
        assert folder.images_per_class.sum() == len(folder.indices) == len(set(folder.indices.tolist()))
        assert np.ptp(folder.images_per_class) <= 1  # Fashion-MNIST's classes are even
    some = grid[grid["fraction"] == 0.25]
    np.testing.assert_allclose(overlap_matrix(some), expected_overlap(some), rtol=0, atol=0.03)  # 1 on both diagonals


def test_what_was_saved_of_every_image_gives_what_was_logged(study):
    for _, run in study.runs.iterrows():
        predictions = RunFolder(Path(run["folder"])).predictions()
        assert predictions is not None
        right = predictions.classes[:, 0] == predictions.labels
        assert right.mean() == pytest.approx(run["top1"], abs=1e-12)
        among_five = (predictions.classes == predictions.labels[:, None]).any(axis=1)
        assert among_five.mean() == pytest.approx(run["top5"], abs=1e-12)
        shares = np.exp(predictions.log_probabilities.astype(np.float64))
        margin = (shares[:, 0] - shares[:, 1]) / shares[:, 0]
        assert margin[right].mean() == pytest.approx(run["margin_correct"], abs=1e-6)
        assert margin[~right].mean() == pytest.approx(run["margin_incorrect"], abs=1e-6)
        assert reliability_bins(predictions)["images"].sum() == len(margins(predictions)) == 10_000
        assert class_accuracies(predictions)["images"].tolist() == [1000] * len(FASHION_CLASSES)


def test_a_curve_from_half_of_the_data_foresees_the_full_set(grid):
    half = grid[grid["fraction"] <= 0.5]
    curve = fit_learning_curve(half["images"], 1 - half["top1"], chance_error=0.9, test_size=10_000)
    (forecast,) = curve.predict([12_000]).to_dict("records")
    errors = 1 - grid.loc[grid["fraction"] == 1, "top1"]
    assert errors.between(forecast["low"], forecast["high"]).all()
    assert forecast["high"] - forecast["low"] < 0.06


def test_no_curve_is_refused_a_verdict_and_what_weakens_it_is_true(study):
    findings = audit(study)
    gates = {curve.name.split(" on ")[0]: find_gates(curve, study.epochs, findings) for curve in curves_of_study(study)}
    names = {name: [gate.name for gate in those] for name, those in gates.items()}
    assert not any(gate.refuses for those in gates.values() for gate in those)
    # Ten budget epochs are too few for the regularised recipe, which was still rising, most of all on
    # the full set, whose accuracy is 1.6 points below that of 5 %; three curves have one seed
    assert names == {
        "mobilenet_v2 by plain": ["one_seed"],
        "mobilenet_v2 by regularised": ["worse", "settled", "one_seed"],
        "mobilenet_v2 by small": [],
        "resnet50 by small": ["one_seed"],
    }
