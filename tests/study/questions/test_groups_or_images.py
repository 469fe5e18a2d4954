"""Tests the comparison of more groups with more images of each, on simulated curves whose truth is known."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from factories.simulated_curves import FRACTIONS, grid, simulated_study

from datavol.errors import InsufficientData
from datavol.study.load.study import Study
from datavol.study.questions.answers import answers
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.questions.groups_or_images import counterpart, groups_or_images

FULL = 32_000
SEEDS = [(seed, seed) for seed in range(3)]
QUESTION = "More groups, or more images of each?"


def truth(n, slope):
    """A power law whose curves meet at the full set."""
    return 0.08 * (np.asarray(n, float) / FULL) ** -slope


def drawn(by, slope, seed=0, fractions=FRACTIONS, **settings) -> Study:
    columns = {"draw_by": by, "groups": "{}", "drawn_groups": 400, "run": None}
    rng = np.random.default_rng(seed)
    study = simulated_study(
        rng, grid(fractions, SEEDS), partial(truth, slope=slope), columns=columns, noise=0.01, **settings
    )
    names = [f"{by}{i}" for i in range(len(study.runs))]
    return replace(study, runs=study.runs.assign(run=names))


def both(groups_slope, items_slope, seed=0, **settings) -> Study:
    parts = [drawn("groups", groups_slope, 2 * seed, **settings), drawn("items", items_slope, 2 * seed + 1, **settings)]
    return Study(pd.concat([part.runs for part in parts], ignore_index=True), pd.DataFrame())


def asked(study, level=0.95):
    curves = curves_of_study(study)
    (by_groups,) = (curve for curve in curves if curve.runs["draw_by"].iloc[0] == "groups")
    return groups_or_images(by_groups, counterpart(by_groups, curves), level)


def test_two_curves_are_told_apart_by_name_and_compared_once():
    study = both(0.6, 0.05)
    assert [curve.name for curve in curves_of_study(study)] == [
        "resnet50 by plain on made_up (whole groups)",
        "resnet50 by plain on made_up (images of all groups)",
    ]
    (answer,) = (one for one in answers(study, findings=()) if one.question == QUESTION)
    assert answer.state == "answered"
    assert answer.curve.endswith("(whole groups)")
    assert answer.answer.startswith("more groups (probability ")
    assert "twice the groups (800) would buy " in answer.answer
    assert ", twice the images of each " in answer.answer
    assert answer.runs.count("finished runs") == 2


@pytest.mark.parametrize(("slopes", "better"), [((0.6, 0.05), "groups"), ((0.05, 0.6), "images"), ((0.3, 0.3), None)])
def test_the_better_way_is_named_and_equal_ones_are_not_told_apart(slopes, better):
    found = asked(both(*slopes))
    assert found.better == better
    gains = [0.08 * (1 - 2**-slope) for slope in slopes]
    assert found.groups_low - 0.005 <= gains[0] <= found.groups_high + 0.005
    assert found.images_low - 0.005 <= gains[1] <= found.images_high + 0.005
    assert found.more_low <= gains[0] - gains[1] <= found.more_high
    assert (str(found).startswith("cannot be told apart yet: ")) == (better is None)


def test_of_equal_ways_one_is_seldom_named():
    named = [asked(both(0.3, 0.3, seed)).better for seed in range(8)]
    assert sum(one is not None for one in named) <= 2  # 0.05 x 8 is expected at most


def test_the_full_set_counts_for_both_ways():
    study = both(0.6, 0.05)
    only_items = study.runs[(study.runs["draw_by"] == "items") | (study.runs["fraction"] < 1)]
    fewer = asked(Study(only_items.reset_index(drop=True), pd.DataFrame()))
    assert fewer.better == "groups"
    assert fewer.groups_high - fewer.groups_low < 0.2


def test_one_way_alone_is_refused_with_the_command_for_the_other():
    (answer,) = (one for one in answers(drawn("groups", 0.5), findings=()) if one.question == QUESTION)
    assert answer.state == "cannot say"
    assert answer.answer == (
        "cannot say: whole groups were drawn, and never images of all groups (train with draw_by=items as well)"
    )


def test_twice_the_full_set_is_refused_beyond_four_times_the_largest_subset():
    with pytest.raises(InsufficientData, match=r"twice the full set .* nothing validates forecasts beyond 4 times"):
        asked(both(0.6, 0.05, fractions=FRACTIONS[:3]))


def test_a_gate_of_either_curve_refuses():
    study = both(0.6, 0.05, test_size=30)
    (answer,) = (one for one in answers(study, findings=()) if one.question == QUESTION)
    assert (answer.state, answer.gates[0].refuses) == ("cannot say", True)


def test_data_without_groups_are_not_asked():
    study = drawn("items", 0.3)
    plain = replace(study, runs=study.runs.assign(groups=None, drawn_groups=pd.NA))
    assert QUESTION not in {one.question for one in answers(plain, findings=())}


def test_whole_groups_of_uneven_sizes_are_one_size_of_the_curve_per_fraction():
    """Seeds draw other groups, of more or fewer images; one subset more would else count as the largest size."""
    study = drawn("groups", 0.3)
    jitter = np.random.default_rng(0).integers(-40, 41, len(study.runs)) * (study.runs["fraction"] < 1)
    uneven = replace(study, runs=study.runs.assign(images=study.runs["images"] + jitter))
    (curve,) = curves_of_study(uneven)
    assert curve.runs["images"].nunique() == curve.runs["fraction"].nunique()
    for fraction, runs in uneven.runs.groupby("fraction"):
        assert curve.runs.loc[runs.index, "images"].unique() == [round(runs["images"].mean())]
        assert curve.fraction_of(curve.runs.loc[runs.index[0], "images"]) == fraction
