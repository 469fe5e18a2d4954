import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import open_source
from datavol.errors import ConfigError


def opened(*overrides: str):
    return open_source(compose(["logger=csv", *overrides])[0].config.data)


def test_a_list_keeps_these_classes_and_counts_them_anew():
    whole, few = opened(), opened("data.classes=[7,2,4]")
    assert few.classes == ("2", "4", "7")
    for split, full in ((few.train, whole.train), (few.val, whole.val)):
        kept = np.isin(full.labels, [2, 4, 7])
        assert isinstance(split, ArraySplit)
        np.testing.assert_array_equal(split.images, full.images[kept])
        np.testing.assert_array_equal(np.array([2, 4, 7])[split.labels], full.labels[kept])
    assert few.fingerprint != whole.fingerprint


def test_a_number_of_classes_is_drawn_by_its_seed():
    first, again, other = (opened("data.classes=4", f"data.narrow_seed={seed}") for seed in (0, 0, 1))
    assert first.classes == again.classes != other.classes
    assert len(set(first.classes)) == 4
    assert first.fingerprint == again.fingerprint


DIGITS = compose(["logger=csv"])[0].config.data


@settings(deadline=None)
@given(st.integers(20, 1438))
def test_fewer_images_serve_as_the_full_set(images):
    source = open_source(DIGITS.model_copy(update={"images": images}))
    assert abs(len(source.train.labels) - images) <= 5  # per class it is rounded
    assert len(source.val.labels) == 359
    whole = np.bincount(open_source(DIGITS).train.labels)
    counts = np.bincount(source.train.labels)
    assert np.abs(counts - whole * images / 1438).max() <= 0.5 + 1e-9


def test_the_budget_epoch_follows_the_narrowed_set():
    config = compose(["logger=csv", "data.images=720", "fraction=0.5", "recipe.batch_size=64"])[0].config
    prepared = prepare(config)
    assert prepared.budget.iterations_per_epoch == -(-len(prepared.source.train.labels) // 64)
    assert prepared.subset.full_size == len(prepared.source.train.labels)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.classes=1"], "data.classes must be null or at least 2 classes, got 1; try data.classes=10"),
        (["data.classes=11"], "data.classes must be at most the 10 classes there are, got 11"),
        (["data.classes=[3,eight]"], "data.classes must name classes of the data, got 'eight'"),
        (["data.images=2000"], "data.images must be at most the 1,438 training images, got 2,000"),
        (["data.images=3"], "fraction must leave every class at least one image"),
    ],
)
def test_what_is_not_there_is_refused(overrides, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        opened(*overrides)
