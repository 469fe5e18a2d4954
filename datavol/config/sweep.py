"""Declares the keys of `sweep`."""

from datavol.config.section import Count, Section, key


class SweepConfig(Section):
    """Declares how the runs of `-m` are trained, without effect on results."""

    parallel: Count = key("auto or a whole number of at least 1", hashed=False, remedy="2")
    retries: int = key("a whole number of at least 0", hashed=False, ge=0, remedy="1")
    rerun: bool = key("true or false", hashed=False, remedy="true")
    fail_fast: bool = key("true or false", hashed=False, remedy="true")
