"""Turns the keys of `ask` into a rule of `datavol.study.looks`."""

from math import ceil

from datavol.asking.set_up import SetUp
from datavol.cli.text import per_cent
from datavol.config.ask import QUESTIONS, AskConfig
from datavol.config.identity import canonical
from datavol.errors import ConfigError
from datavol.runs.guessing import GUESSING
from datavol.study.looks.enough import Enough
from datavol.study.looks.more_data import MoreData
from datavol.study.looks.reach import Reach

Rule = Enough | MoreData | Reach

SHOWN = 3  # test images that a difference has to be where the user names none


def shown_delta(asked: AskConfig, test_images: int, *, given: bool) -> float:
    """Choose a difference that test images can show at all.

    Raises:
        ConfigError: If a smaller one was given.
    """
    smallest = 1 / test_images
    # Three images, in points, below which single images would decide
    shown = max(0.01, ceil(100 * SHOWN * smallest - 1e-9) / 100)
    if not given:
        return max(asked.delta, shown) if asked.delta < smallest * SHOWN else asked.delta
    if asked.delta < smallest * (1 - 1e-9):
        raise ConfigError(
            f"ask.delta must be at least one test image, {smallest:.2g} of {test_images:,}, got {asked.delta:g}; try "
            f"ask.delta={shown:g}, or use more test images"
        )
    return asked.delta


def check_target(asked: AskConfig, guess: float) -> None:
    """Raise a ConfigError where always guessing the commonest class reaches the target."""
    if asked.target is not None and asked.target <= guess:
        raise ConfigError(
            f"ask.target must be above what {GUESSING} gives, {per_cent(guess)} of the test images, got "
            f"{asked.target:g}; try ask.target={(1 + guess) / 2:.2g}"
        )


def key_of(asked: AskConfig) -> dict[str, float]:
    """Name what makes a question this one, whatever machine answers it."""
    named = {name: getattr(asked, name) for name in QUESTIONS}
    return {name: value for name, value in named.items() if value is not None} | {
        "delta": asked.delta,
        "level": asked.level,
        "zone": asked.zone,
    }


def rule_of(asked: AskConfig, set_up: SetUp, places: int) -> Rule:
    """Choose the rule that answers the question.

    `places` runs are trained at once.
    """
    if asked.enough is not None:
        return Enough(
            canonical(asked.enough),  # as its runs record it
            asked.delta,
            asked.level,
            asked.zone,
            asked.most,
            set_up.parts,
            equal_passes=set_up.config.budget == "epochs",
            at_once=max(1, places // 2),
        )
    if asked.target is not None:
        return Reach(asked.target, asked.level, asked.delta, most=asked.most, at_once=places)
    return MoreData(asked.delta, asked.doubling, asked.level, asked.most, places)
