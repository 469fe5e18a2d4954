from itertools import product

import numpy as np
import pytest
from factories.run_folders import LABELS, SIZES, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.data.subsets import draw_subset
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.load.study import load_study
from datavol.study.tables.overlap import (
    class_counts,
    common_images,
    expected_overlap,
    labels_of,
    most_images,
    overlap_matrix,
    overlap_per_class,
    subsets_of,
)


def drawn(folder, draw="independent", fractions=(0.05, 0.25), seeds=(0, 1)):
    for fraction, seed in product(fractions, seeds):
        write_run(folder, fraction=fraction, seed=seed, draw=draw)
    return load_study(folder).finished


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=5))
def test_common_images_are_those_of_sets(sets):
    common = common_images([np.array(sorted(s)) for s in sets], 31)
    assert common.tolist() == [[len(a & b) for b in sets] for a in sets]


def test_the_matrix_holds_what_the_index_lists_say(tmp_path):
    runs = drawn(tmp_path)
    lists = [set(RunFolder(tmp_path / run).indices.tolist()) for run in runs["run"]]
    for of, share in {"row": lambda a, b: len(a), "smaller": lambda a, b: min(len(a), len(b))}.items():
        matrix = overlap_matrix(runs, of)
        assert matrix.to_numpy() == pytest.approx(np.array([[len(a & b) / share(a, b) for b in lists] for a in lists]))
    assert list(matrix) == ["5 %, seed 0", "5 %, seed 1", "25 %, seed 0", "25 %, seed 1"]


def test_runs_of_one_subset_are_one_row(clean):
    assert subsets_of(load_study(clean).finished)["fraction"].tolist() == [0.05, 0.05, 0.25, 0.25, 1, 1]


def test_nested_subsets_lie_within_each_other_and_are_expected_to(tmp_path):
    runs = drawn(tmp_path, "nested")
    for matrix in (overlap_matrix(runs), expected_overlap(runs)):
        assert matrix.loc["5 %, seed 0", "25 %, seed 0"] == 1
        assert 0 < matrix.loc["5 %, seed 0", "25 %, seed 1"] < 1


def test_disjoint_subsets_share_what_their_blocks_share(tmp_path):
    runs = drawn(tmp_path, "disjoint", fractions=(0.05, 0.1, 0.25), seeds=(0, 1, 2))
    assert expected_overlap(runs).to_numpy() == pytest.approx(overlap_matrix(runs).to_numpy())
    assert overlap_matrix(runs).loc["25 %, seed 0", "25 %, seed 2"] == 0


def test_the_expected_share_of_independent_draws_is_the_fraction_of_the_larger(tmp_path):
    runs = drawn(tmp_path, fractions=(0.05, 0.25, 1))
    expected = expected_overlap(runs).loc["5 %, seed 0"]
    assert expected[["5 %, seed 1", "25 %, seed 1"]].tolist() == pytest.approx([0.05, 0.25], abs=0.002)
    assert expected["100 %, seed 0"] == 1


def test_classes_add_up_to_the_whole(tmp_path):
    runs = drawn(tmp_path)
    classes, matrix = overlap_per_class(runs, LABELS), overlap_matrix(runs, "row")
    assert len(classes) == 6 * 10
    for (first, second), row in classes.groupby(["first", "second"])[["common", "images_first"]].sum().iterrows():
        assert row["common"] / row["images_first"] == pytest.approx(matrix.loc[first, second])
    one = classes.iloc[0]
    assert one.expected_share == pytest.approx(one.images_second / SIZES[0])


def test_the_bound_is_above_the_hypergeometric_quantile_and_not_by_much(tmp_path):
    """Of one class, where that quantile is known; the class's size is known from the full subset."""
    labels = np.zeros(1000, dtype=np.int64)
    for seed, fraction in enumerate((0.1, 0.3, 1.0)):
        write_run(tmp_path, fraction=fraction, subset=draw_subset(labels, ["0"], fraction, "independent", seed))
    subsets = subsets_of(load_study(tmp_path).finished)
    most = most_images(subsets, class_counts(subsets), 1e-6)
    exact = hypergeom.isf(1e-6, 1000, 100, 300)
    assert exact <= most[0, 1] <= 1.1 * exact
    assert most[2, 2] == 1000


def test_honest_draws_stay_below_the_bound(tmp_path):
    runs = drawn(tmp_path, fractions=(0.01, 0.05, 0.5), seeds=range(6))
    subsets = subsets_of(runs)
    most = most_images(subsets, class_counts(subsets), 1e-6)
    common = overlap_matrix(runs, "row").to_numpy() * runs["images"].to_numpy()[:, None]
    assert (common <= most)[~np.eye(len(subsets), dtype=bool)].all()


def test_labels_come_from_the_data(tmp_path):
    (run,) = compose(["fraction=0.25"])
    prepared = prepare(run.config)
    RunFolder(tmp_path).start(run.values, [], prepared.manifest, prepared.subset.indices)
    assert labels_of(tmp_path).tolist() == prepared.source.train.labels.tolist()


def test_labels_must_be_those_of_the_run(tmp_path):
    folder = write_run(tmp_path)
    with pytest.raises(ConfigError, match=r"data must be those of the run .*fingerprint ffffffffffff.*; bring them"):
        labels_of(folder.path)


def test_one_subset_is_no_pair_and_runs_of_two_data_sets_have_no_overlap(tmp_path):
    write_run(tmp_path)
    with pytest.raises(ConfigError, match="two subsets or more, got 1; train on another seed"):
        overlap_per_class(load_study(tmp_path).finished, LABELS)
    write_run(tmp_path, planted={"subset.fingerprint": "e" * 64})
    with pytest.raises(ConfigError, match=r"one data set, got 2; select by"):
        overlap_matrix(load_study(tmp_path).finished)


def test_a_truncated_index_list_is_refused(tmp_path):
    file = write_run(tmp_path).path / "subset.npy"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"subset\.npy must be a whole file that datavol wrote, got ValueError"):
        overlap_matrix(load_study(tmp_path).finished)
