"""The analyses on a real study: the records in examples/fashion_mnist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datavol.data.sources.arrays import FASHION_CLASSES
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.load.study import Study, load_study
from datavol.study.tables.confidence import class_accuracies, margins, reliability_bins
from datavol.study.tables.overlap import expected_overlap, overlap_matrix

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
FRACTIONS = [0.05, 0.125, 0.25, 0.5, 0.75, 1.0]
GRID = "mobilenet_v2 by small"


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(EXAMPLE)


def grid(study: Study, seed: int | None = None) -> pd.DataFrame:
    """The runs of the six fractions."""
    runs = study.runs[(study.runs["model"] == "mobilenet_v2") & (study.runs["recipe"] == "small")]
    return runs if seed is None else runs[runs["seed"] == seed]


def test_all_runs_are_there_and_finished_at_one_commit(study):
    runs = study.runs
    assert (runs["state"] == "finished").all()
    counts = runs.groupby(["model", "recipe"])["fraction"].apply(lambda fractions: sorted(set(fractions)))
    assert counts.to_dict() == {
        ("mobilenet_v2", "plain"): [0.05, 0.25, 1.0],
        ("mobilenet_v2", "regularised"): [0.05, 0.25, 1.0],
        ("mobilenet_v2", "small"): FRACTIONS,
        ("resnet50", "small"): [0.05, 0.125, 0.25, 1.0],
    }
    assert grid(study).groupby("fraction").size().tolist() == [3] * 6
    assert len(set(runs["commit"])) == 1
    assert not runs["code_changed"].any()
    assert set(runs["iterations"]) == {940}


def test_the_records_are_small_and_of_no_machine():
    files = [file for file in EXAMPLE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 10e6
    assert not [file for file in files if file.suffix == ".ckpt"]
    texts = [file.read_text() for file in files if file.suffix in (".json", ".yaml", ".md", ".csv")]
    assert not [text for text in texts if "/tmp/" in text or "/home/" in text or "/root/" in text]


def test_the_audit_finds_nothing_grave(study):
    assert [finding for finding in audit(study) if finding.severity == "major"] == []


def test_the_subsets_are_what_their_manifests_say_and_overlap_as_chance_has_it(study):
    for run in grid(study)["folder"]:
        folder = RunFolder(Path(run))
        assert folder.images_per_class.sum() == len(folder.indices) == len(set(folder.indices.tolist()))
        assert np.ptp(folder.images_per_class) <= 1  # Fashion-MNIST's classes are even
    some = grid(study)[grid(study)["fraction"] == 0.25]
    shared, expected = overlap_matrix(some).to_numpy(), expected_overlap(some).to_numpy()
    others = ~np.eye(3, dtype=bool)
    assert np.abs(shared - expected)[others].max() < 0.03


def test_what_was_saved_of_every_image_gives_what_was_logged(study):
    for _, run in study.runs.iterrows():
        predictions = RunFolder(Path(run["folder"])).predictions()
        assert predictions is not None
        right = predictions.classes[:, 0] == predictions.labels
        assert right.mean() == pytest.approx(run["top1"], abs=1e-12)
        assert (predictions.classes == predictions.labels[:, None]).any(1).mean() == pytest.approx(
            run["top5"], abs=1e-12
        )
        shares = np.exp(predictions.log_probabilities.astype(np.float64))
        margin = (shares[:, 0] - shares[:, 1]) / shares[:, 0]
        assert margin[right].mean() == pytest.approx(run["margin_correct"], abs=1e-6)
        assert margin[~right].mean() == pytest.approx(run["margin_incorrect"], abs=1e-6)
        bins = reliability_bins(predictions)
        assert bins["images"].sum() == 10_000
        assert len(margins(predictions)) == 10_000
        assert class_accuracies(predictions)["images"].tolist() == [1000] * len(FASHION_CLASSES)


def test_a_curve_from_half_of_the_data_foresees_the_full_set(study):
    runs = grid(study)
    half = runs[runs["fraction"] <= 0.5]
    curve = fit_learning_curve(half["images"], 1 - half["top1"], chance_error=0.9, test_size=10_000)
    (forecast,) = curve.predict([12_000]).to_dict("records")
    errors = 1 - runs.loc[runs["fraction"] == 1, "top1"]
    assert ((forecast["low"] <= errors) & (errors <= forecast["high"])).all()
    assert forecast["high"] - forecast["low"] < 0.06
