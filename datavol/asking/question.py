"""Turns the keys of `ask` into a rule of `datavol.study.looks`."""

from datavol.asking.set_up import SetUp
from datavol.config.ask import QUESTIONS, AskConfig
from datavol.study.looks.enough import Enough
from datavol.study.looks.more_data import MoreData
from datavol.study.looks.reach import Reach

Rule = Enough | MoreData | Reach


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
            asked.enough,
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
