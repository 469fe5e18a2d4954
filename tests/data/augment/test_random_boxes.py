"""Tests boxes drawn by the batch against torchvision's, drawn singly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import v2

from datavol.data.augment.random_boxes import CHANCES, erasures, random_crops
from datavol.runs.randomness import uniforms

SIDES = st.integers(1, 600)
MANY = 4000


@given(SIDES, SIDES, st.floats(0.01, 1.0), st.integers(0, 2**32))
def test_boxes_lie_in_their_image(height, width, smallest, seed):
    chances = np.random.default_rng(seed).random((20, CHANCES + 1))
    heights, widths = np.full(20, height), np.full(20, width)
    crops = random_crops(chances[:, :CHANCES], heights, widths, smallest)
    assert (crops[:, 2:] > 0).all()
    for boxes in (crops, erasures(chances, heights, widths, 1.0)):
        top, left, tall, wide = boxes.T
        assert (boxes >= 0).all()
        assert (top + tall <= height).all()
        assert (left + wide <= width).all()


@pytest.mark.parametrize(("height", "width", "smallest"), [(375, 500, 0.08), (28, 28, 0.6), (40, 300, 0.08)])
def test_crops_are_distributed_as_torchvision_s(height, width, smallest):
    """Compare also where a third of the crops are the central fallback."""
    torch.manual_seed(0)
    transform = v2.RandomResizedCrop(8, scale=(smallest, 1.0))
    image = torch.empty(3, height, width)
    made = [transform.make_params([image]) for _ in range(MANY)]
    theirs = np.array([[one[name] for name in ("top", "left", "height", "width")] for one in made])
    chances = uniforms(np.arange(MANY), CHANCES, "test", 0)
    ours = random_crops(chances, np.full(MANY, height), np.full(MANY, width), smallest)
    assert (ks_2samp(ours, theirs, axis=0).pvalue > 0.001).all()


def test_erasures_are_distributed_as_torchvision_s():
    torch.manual_seed(0)
    transform = v2.RandomErasing(p=1.0)
    image = torch.empty(3, 32, 24)
    made = [transform.make_params([image]) for _ in range(MANY)]
    theirs = np.array([[one[name] for name in ("i", "j", "h", "w")] for one in made if one["v"] is not None])
    chances = uniforms(np.arange(MANY), CHANCES + 1, "test", 1)
    ours = erasures(chances, np.full(MANY, 32), np.full(MANY, 24), 1.0)
    ours = ours[ours[:, 2] > 0]
    assert abs(len(ours) - len(theirs)) < 0.03 * MANY
    assert (ks_2samp(ours, theirs, axis=0).pvalue > 0.001).all()
    assert (erasures(chances, np.full(MANY, 32), np.full(MANY, 24), 0.0) == 0).all()
    some = erasures(chances, np.full(MANY, 32), np.full(MANY, 24), 0.1)[:, 2] > 0
    assert 0.08 < some.mean() < 0.12


def test_a_crop_of_nothing_that_fits_is_central():
    boxes = random_crops(np.full((2, CHANCES), 0.999), np.array([10, 300]), np.array([300, 10]), 0.9)
    assert boxes.tolist() == [[0, 143, 10, 13], [143, 0, 13, 10]]


@given(st.integers(0, 10**9), st.lists(st.integers(0, 200), min_size=1, max_size=30), st.integers(1, 9))
def test_numbers_depend_on_sample_and_key_alone(start, offsets, count):
    samples = start + np.array(offsets)
    together = uniforms(samples, count, "test", 3)
    alone = np.concatenate([uniforms(samples[i : i + 1], count, "test", 3) for i in range(len(samples))])
    np.testing.assert_array_equal(together, alone)
    assert together.shape == (len(samples), count)
    assert ((together >= 0) & (together < 1)).all()
    assert not np.array_equal(together, uniforms(samples, count, "test", 4))


def test_numbers_are_uniform_and_unrelated_between_samples():
    numbers = uniforms(np.arange(2000), 6, "test", 0)
    assert ks_2samp(numbers.ravel(), np.random.default_rng(0).random(12000)).pvalue > 0.001
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.03
