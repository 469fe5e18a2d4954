"""The keys of `sweep`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from datavol.config.section import Section, key
from datavol.errors import ConfigError


class SweepConfig(Section):
    """How the runs of `-m` are trained; none of it touches what they find."""

    parallel: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="sweep.parallel=2"
    )
    retries: int = key("a whole number of at least 0", hashed=False, ge=0, remedy="sweep.retries=1")
    rerun: bool = key("true or false", hashed=False, remedy="sweep.rerun=true")
    fail_fast: bool = key("true or false", hashed=False, remedy="sweep.fail_fast=true")

    @model_validator(mode="after")
    def _check(self) -> SweepConfig:
        if isinstance(self.parallel, int) and self.parallel < 1:
            raise ConfigError(f"sweep.parallel must be auto or at least 1, got {self.parallel}; try sweep.parallel=1")
        return self
