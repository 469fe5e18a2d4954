"""Estimates how many images a target accuracy takes."""

from dataclasses import dataclass

from datavol.cli.text import per_cent
from datavol.errors import InsufficientData
from datavol.study.curves.checks import check_share
from datavol.study.curves.forecasts import ImagesNeeded
from datavol.study.questions.curve_runs import CurveRuns


@dataclass(frozen=True)
class Target:
    """Stores how many images a target accuracy takes.

    Attributes:
        accuracy: The target, a share.
        needed: The images.
        fractions: The images as shares of the full set, above 1 where more are needed: low, estimate, high.
    """

    accuracy: float
    needed: ImagesNeeded
    fractions: tuple[float | None, float | None, float | None]

    def __str__(self) -> str:
        images = self.needed.sentence(f"an accuracy of {per_cent(self.accuracy)}")
        if (likely := self.fractions[1]) is None or self.needed.high == self.needed.smallest:
            return images
        return f"{images}: " + (f"{likely:.2g} times" if likely > 1 else f"{per_cent(likely)} of") + " the full set"

    @property
    def reason(self) -> str:
        """Describe the method."""
        return "by where the learning curve and both edges of its interval for one new run reach it"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the target, a share, and the images."""
        return {"target": self.accuracy} | {name: getattr(self.needed, name) for name in ("low", "estimate", "high")}


def images_for_target(curve: CurveRuns, target: float, level: float = 0.95) -> Target:
    """Estimate how many images a target accuracy takes.

    Raises:
        ConfigError: If the target is not a share between 0 and 1.
        InsufficientData: If no curve can be fitted, or guessing reaches the target.
    """
    check_share("target", target)
    fitted = curve.fit(level)
    if 1 - target >= fitted.chance_error:
        guess = per_cent(1 - fitted.chance_error)
        raise InsufficientData(
            f"cannot say how many images {per_cent(target)} takes: guessing reaches {guess}; ask for more"
        )
    needed = fitted.images_for(1 - target)
    edges = (needed.low, needed.estimate, needed.high)
    low, estimate, high = (None if edge is None else edge / curve.full_size for edge in edges)
    return Target(target, needed, (low, estimate, high))
