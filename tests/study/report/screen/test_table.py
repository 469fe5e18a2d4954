"""The rows of the table as text."""

from dataclasses import replace

import pytest

from datavol.study.report.screen.contents import Now, Saved, Twice, Wanted
from datavol.study.report.screen.label_cost import LabelCost
from datavol.study.report.screen.table import costs, rows

WANTED = Wanted(value=0.85, even=3900, likely=5400, smallest=600, limit=48_000, by_limit=0.99, by_now=0.98)


@pytest.fixture
def screen(screens):
    now = Now(images=12_000, value=0.8693, low=0.862, high=0.877, of=12_000, forecast=False)
    twice = Twice(images=24_000, gain=0.0101, low=-0.005, high=0.0231)
    saved = Saved(likely=9000, probability=0.86, sure=6000)
    return replace(screens["wants more"], now=now, twice=twice, wanted=WANTED, saved=saved, hours=0.35)


def row(screen, name):
    return next(one for one in rows(screen) if one.name == name)


def test_now_and_twice_the_images_have_intervals_and_money(screen):
    now, twice = row(screen, "all you have"), row(screen, "twice as many")
    assert (now.images, now.value, now.labels) == ("12,000", "86.9 % (86.2 to 87.7)", "1,200 EUR")
    assert (twice.images, twice.value, twice.labels) == ("24,000", "+1.0 points (-0.5 to 2.3)", "+1,200 EUR")


@pytest.mark.parametrize(
    ("changed", "images", "told", "labels"),
    [
        ({}, "3,900 to 5,400", "50 to 90 % sure", "nothing more"),
        ({"even": 15_000, "likely": 28_000}, "15,000 to 28,000", "50 to 90 % sure", "+300 to 1,600 EUR"),
        ({"even": 15_000, "likely": None, "by_limit": 0.7, "by_now": 0.3}, "15,000 or more", "50 % sure; 70 % with 48,000", "+300 EUR or more"),  # noqa: E501
        ({"likely": None, "by_now": 0.7}, "3,900 or more", "70 % sure with all you have", ""),
        ({"even": None, "likely": None, "by_limit": 0.16}, "over 48,000", "16 % sure even then", "+3,600 EUR or more"),
        ({"even": 600, "likely": 600}, "600 or fewer", "90 % sure", "nothing more"),
    ],
)  # fmt: skip
def test_the_target_takes_images_that_are_told_as_a_range(changed, images, told, labels, screen):
    found = row(replace(screen, wanted=replace(WANTED, **changed)), "for 85 %")
    assert (found.images, found.value, found.labels) == (images, told, labels)


@pytest.mark.parametrize(
    ("likely", "sure", "images", "told", "labels"),
    [
        (9000, 6000, "6,000 to 9,000", "95 to 86 % sure", "600 to 900 EUR"),
        (9000, 9000, "9,000", "86 % sure", "900 EUR"),
        (9000, 0, "9,000", "86 % sure", "900 EUR"),
        (0, 0, "none", "", ""),
    ],
)
def test_what_could_be_saved(likely, sure, images, told, labels, screen):
    found = row(replace(screen, saved=Saved(likely, 0.86, sure)), "could be saved")
    assert (found.images, found.value, found.labels) == (images, told, labels)


@pytest.mark.parametrize(
    ("gain", "low", "high", "told"),
    [
        (0.01, -0.005, 0.02, "a point costs about 1,200 EUR (600 EUR at best; it may buy none)"),
        (0.02, 0.01, 0.04, "a point costs about 600 EUR (300 to 1,200 EUR)"),
        (0.0, -0.01, 0.01, "a point costs 1,200 EUR at best, and probably there is none to buy"),
        (-0.02, -0.03, -0.01, "would buy no point"),
    ],
)
def test_a_point_costs_what_its_interval_allows(gain, low, high, told, screen):
    first, *_ = costs(replace(screen, twice=Twice(24_000, gain, low, high)))
    assert told in first


def test_a_training_takes_longer_only_where_it_does(screen):
    assert "with few images or many" in [*costs(screen)][-1]
    longer = replace(screen, hours_grow=True)
    assert row(longer, "all you have").training == "21 min"
    assert row(longer, "twice as many").training == "42 min"
    assert len([*costs(longer)]) == 1


def test_without_a_cost_there_is_no_money(screen):
    free = replace(screen, label_cost=None)
    assert not any(one.labels for one in rows(free))
    assert not any("label" in one for one in costs(free))


def test_any_currency_stands_where_it_was(screen):
    assert row(replace(screen, label_cost=LabelCost(0.1, "$", True)), "could be saved").labels == "$600 to $900"
