"""How many images a target accuracy takes."""

from __future__ import annotations

from dataclasses import dataclass

from datavol.cli.text import per_cent
from datavol.errors import ConfigError, InsufficientData
from datavol.study.curves.forecasts import ImagesNeeded
from datavol.study.questions.curve_runs import CurveRuns


@dataclass(frozen=True)
class Target:
    """How many images a target accuracy takes; `str` of it is a sentence.

    Attributes:
        accuracy: The target, a share.
        needed: The images.
        fractions: `needed` as shares of the full set, above 1 where it takes more: low, estimate, high; None as there.
    """

    accuracy: float
    needed: ImagesNeeded
    fractions: tuple[float | None, float | None, float | None]

    def __str__(self) -> str:
        told = self.needed.sentence(f"an accuracy of {per_cent(self.accuracy)}")
        if (likely := self.fractions[1]) is None or self.needed.high == self.needed.smallest:
            return told
        return (
            f"{told}: {likely:.2g} times the full set" if likely > 1 else f"{told}: {per_cent(likely)} of the full set"
        )

    @property
    def reason(self) -> str:
        """How the numbers came about."""
        return "by where the learning curve and both edges of its interval for one new run reach it"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Images."""
        return {"target": self.accuracy} | {name: getattr(self.needed, name) for name in ("low", "estimate", "high")}


def images_for_target(measured: CurveRuns, target: float, level: float = 0.95) -> Target:
    """How many images a target accuracy takes.

    Raises:
        ConfigError: If the target is not a share between 0 and 1.
        InsufficientData: If no curve can be fitted, or guessing reaches the target.
    """
    if not 0 < target < 1:
        raise ConfigError(f"target must be an accuracy between 0 and 1, got {target:g}; give a share, 0.9 for 90 %")
    curve = measured.fit(level)
    if 1 - target >= curve.chance_error:
        guess = per_cent(1 - curve.chance_error)
        raise InsufficientData(
            f"cannot say how many images {per_cent(target)} takes: guessing reaches {guess}; ask for more"
        )
    needed = curve.images_for(1 - target)
    edges = (needed.low, needed.estimate, needed.high)
    low, estimate, high = (None if edge is None else edge / measured.full_size for edge in edges)
    return Target(target, needed, (low, estimate, high))
