"""What `python -m datavol.subset` prints: a list, or what several subsets share."""

import itertools
import sys

import numpy as np
import pytest
from factories.sources import touch
from scipy.stats import hypergeom

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.data.sources.imagenet_shape import imagenet_class_sizes
from datavol.errors import ConfigError
from datavol.study.tables.thesis import thesis_numbers
from datavol.subset import main, prepare_subsets, shared

THREE = ["experiment=thesis/three_subsets", "plan.images=1281167"]


def test_the_classes_are_those_of_imagenet():
    sizes = imagenet_class_sizes()
    assert (len(sizes), sizes.sum(), sizes.min(), sizes.max()) == (1000, 1_281_167, 732, 1300)
    assert (sizes == 1300).sum() == 895
    numbers = thesis_numbers()
    thesis = numbers.loc[numbers["quantity"] == "subset_images", "value"].item()
    assert sum(round(size * 0.05) for size in sizes.tolist()) == thesis  # which 895 classes of 1,300 alone do not give


def test_table_1_is_that_of_the_thesis_within_chance():
    """Four draws, six pairs: overall within 0.3 points of 5 %, and 12 to 18 % in the class that shares the most."""
    pairs = shared(prepare_subsets(compose([*THREE, "draw_seed=0,1,2,3"], multirun=True)))
    assert len(pairs) == 6
    assert set(pairs["images"]) == {64_062}
    assert pairs["expected_share"].tolist() == pytest.approx([0.05] * 6, abs=1e-5)
    assert pairs["share"].between(0.047, 0.053).all()
    assert pairs["largest_share"].between(0.12, 0.18).all()


def test_twelve_to_eighteen_per_cent_is_what_chance_gives_nearly_always():
    """From the hypergeometric counts of all classes: 94 times in 100."""
    sizes = imagenet_class_sizes()
    drawn = np.array([round(size * 0.05) for size in sizes.tolist()])
    at_most = np.prod(hypergeom.cdf(np.floor(0.18 * drawn), sizes, drawn, drawn))
    below = np.prod(hypergeom.cdf(np.ceil(0.12 * drawn) - 1, sizes, drawn, drawn))
    assert at_most - below == pytest.approx(0.94, abs=0.01)


@pytest.mark.parametrize("draw", ["independent", "nested"])
def test_what_subsets_share_is_what_sets_of_their_images_share(draw):
    runs = compose(["fraction=0.05,0.25", "seed=0,1", f"draw={draw}"], multirun=True)
    prepared = prepare_subsets(runs)
    labels = prepared[0].source.train.labels
    sets = [set(one.subset.indices.tolist()) for one in prepared]
    pairs = shared(prepared)
    for (a, b), pair in zip(itertools.combinations(sets, 2), pairs.to_dict("records"), strict=True):
        assert (pair["common"], pair["images"]) == (len(a & b), min(len(a), len(b)))
        assert pair["share"] == pytest.approx(len(a & b) / min(len(a), len(b)))
        shares = []
        for number in range(10):
            first, second = ({i for i in images if labels[i] == number} for images in (a, b))
            shares.append(len(first & second) / min(len(first), len(second)))
        assert pair["largest_share"] == pytest.approx(max(shares))
        assert pair["class"] == int(np.argmax(shares))


def test_the_command_says_what_three_subsets_share(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["subset", "-m", "fraction=0.25", "draw_seed=0,1,2"])
    main()
    said = capsys.readouterr().out
    assert [said.count(f"25 %, seed {seed}") for seed in range(3)] == [2, 2, 2]
    assert "by chance: two independent draws" in said


def test_the_command_prints_a_list_as_ever(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["subset", "fraction=0.25", "--indices", "seed=1"])
    main()
    indices = prepare(compose(["fraction=0.25", "seed=1"])[0].config).subset.indices
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("# datavol list 1: data=digits, fingerprint ")
    assert lines == list(map(str, indices))


def test_one_subset_shares_nothing():
    with pytest.raises(ConfigError, match=r"two subsets or more, got 1; try -m draw_seed=0,1,2"):
        shared(prepare_subsets(compose(["fraction=0.25", "init_seed=0,1"], multirun=True)))


def test_subsets_of_two_data_sets_are_not_compared():
    with pytest.raises(ConfigError, match="subsets of one data set, got several; ask for one at a time"):
        prepare_subsets(compose(["fraction=0.25", "data.classes=5,10"], multirun=True))


def test_subsets_of_groups_share_groups(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAVOL_CACHE", str(tmp_path / "cache"))
    touch(tmp_path, *(f"data/{name}/clip{clip}_{i}.png" for name in "ab" for clip in range(10) for i in range(4)))
    line = [f"data.root={tmp_path}/data", "data.val_fraction=0.2", r'data.group="^(.+)_"', "recipe.batch_size=8"]
    runs = compose(["data=image_folder", *line, "fraction=0.5", "seed=0,1", "draw_by=groups,items"], multirun=True)
    prepared = prepare_subsets(runs)
    groups = prepared[0].source.train.groups
    pairs = shared(prepared).set_index(["first", "second"])["common_groups"]
    names = ["50 %, seed 0, whole groups", "50 %, seed 1, whole groups", "50 %, seed 0, images of all groups"]
    held = {name: set() for name in names}
    for one in prepared:
        name = (
            f"50 %, seed {one.subset.draw_seed}, "
            + ("whole groups", "images of all groups")[one.subset.draw_by == "items"]
        )
        held[name] = set(groups[one.subset.indices].tolist())
    assert pairs[names[0], names[1]] == len(held[names[0]] & held[names[1]]) < 8
    assert pairs[names[0], names[2]] == len(held[names[0]]) == 8
    assert {one.manifest["groups"]["train"] for one in prepared} == {16}
