"""Declares the keys of `ask`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from datavol.config.section import Section, key
from datavol.errors import ConfigError

QUESTIONS = {"enough": "0.25", "doubling": "0.01", "target": "0.9"}
"""Keys that ask a question, with a value that works."""


class AskConfig(Section):
    """Declares what `python -m datavol.ask` is to find out, and when it stops."""

    enough: float | None = key(
        "a fraction above 0 and below 1, or null", hashed=False, gt=0, lt=1, remedy=QUESTIONS["enough"]
    )
    doubling: float | None = key(
        "half of an interval's width, a share above 0 and below 1, or null",
        hashed=False,
        gt=0,
        lt=1,
        remedy=QUESTIONS["doubling"],
    )
    target: float | None = key(
        "an accuracy above 0 and below 1, or null", hashed=False, gt=0, lt=1, remedy=QUESTIONS["target"]
    )
    delta: float = key("a share above 0 and below 1; 0.01 is a point", hashed=False, gt=0, lt=1, remedy="0.01")
    level: float = key("a certainty from 0.8 to 0.99", hashed=False, ge=0.8, le=0.99, remedy="0.95")
    zone: float = key("a share of at least 0 and below 1", hashed=False, ge=0, lt=1, remedy="0.002")
    most: int = key("a number of runs, at least 4", hashed=False, ge=4, remedy="18")
    hours: float | None = key("hours above 0, or null", hashed=False, gt=0, remedy="8")
    rungs: Literal["auto"] | list[Annotated[int, Field(ge=2, le=64)]] = key(
        "auto, or a list of whole numbers from 2 to 64, such as [8,4,2], or []", hashed=False, remedy="[8,4,2]"
    )

    @model_validator(mode="after")
    def _check(self) -> AskConfig:
        asked = [name for name in QUESTIONS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ConfigError(
                f"one question must be asked at a time, got ask.{asked[0]} and ask.{asked[1]}; leave one of them out"
            )
        if self.enough is None and (self.zone or self.rungs != "auto"):
            name, value = ("zone", f"{self.zone:g}") if self.zone else ("rungs", str(self.rungs))
            raise ConfigError(
                f"ask.{name} must be left out without ask.enough, got {value}; leave it out, or try ask.enough=0.25"
            )
        return self


def without_question(overrides: Sequence[str]) -> None:
    """Raise a ConfigError where keys of `ask` are given to another command."""
    for one in overrides:
        if (name := one.partition("=")[0]).startswith("ask."):
            raise ConfigError(f"{name} must be given to python -m datavol.ask, got {one}; leave it out here")
