"""Estimates how surely numbers of images reach a target accuracy."""

from dataclasses import dataclass

from datavol.cli.text import about, chance
from datavol.study.curves.checks import check_share
from datavol.study.curves.forecasts import TOLD, ImagesNeeded, check_miss
from datavol.study.load.measure import TOP1, Measure
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.gates import Gate, Refused

SLACK = 1.01  # the limit counts as reached up to 1 % above it, where subsets' images were rounded
UNLIKELY = 0.01


@dataclass(frozen=True, eq=False)
class Target:
    """Stores how surely numbers of images reach a target accuracy.

    Attributes:
        accuracy: The target, a share.
        needed: Probabilities by number of images; `needed.probability(n)` is that of n.
        full_size: Images of the full set.
        miss: The price of missing the target, in images; None if none was given.
        measure: What accuracies are in words.
    """

    accuracy: float
    needed: ImagesNeeded
    full_size: int
    miss: float | None = None
    measure: Measure = TOP1

    def reached(self, n: float) -> float | None:
        """Return the probability that n images reach it; None beyond forecasts."""
        if n > SLACK * self.needed.limit:
            return None
        return self.needed.probability(min(n, self.needed.limit))

    @property
    def cheapest(self) -> float | None:
        """Return the n that costs least; None without a price of missing."""
        return None if self.miss is None else self.needed.cheapest(self.miss, self.full_size)

    def __str__(self) -> str:
        sentence = self.needed.sentence(self.measure.of(self.accuracy))
        full, twice = self.reached(self.full_size), self.reached(2 * self.full_size)
        told = self.needed.within_limit >= UNLIKELY  # below it, smaller sizes need no words
        if told and full is not None:
            sentence += f"; with the full set ({self.full_size:,}) with {chance(full)}"
        if told and twice is not None:
            sentence += f", with twice the full set with {chance(twice)}"
        if self.miss is None or (n := self.cheapest) is None:
            return sentence
        least = f"{about(n)} images cost least (reached with {chance(self.needed.probability(n))})"
        if n <= self.full_size:
            least = f"no images beyond the full set pay (reached with {chance(self.needed.probability(n))})"
        return f"{sentence}; if missing it costs as much as {self.miss:,.0f} images, {least}"

    @property
    def reason(self) -> str:
        """Describe the method."""
        searched = f"from {self.needed.smallest:,.0f} to {self.needed.limit:,.0f} images"
        beyond = "below" if self.measure.lower else "above"
        return f"by the share of equally likely learning curves that stay at or {beyond} it, {searched}"

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the target, numbers of images, and probabilities.

        - `target`: the accuracy, a share;
        - `images_50`, `images_75`, `images_90`: images that reach it with 50, 75 and 90 %, None beyond `limit`;
        - `limit`, `reached_limit`: four times the largest subset, and the probability that so many images reach it;
        - `full`, `reached_full`, `reached_twice`: images of the full set, and the probability that it, or twice as
          many, reaches it; None beyond `limit`;
        - with a price of missing it, `miss`, `images_miss`, `reached_miss`: the price, the images that cost least, and
          the probability that they reach it.
        """
        needed, twice = self.needed, self.reached(2 * self.full_size)
        numbers = {"target": self.accuracy} | {f"images_{100 * share:.0f}": needed.images(share) for share in TOLD}
        numbers |= {"limit": needed.limit, "reached_limit": needed.within_limit, "full": self.full_size}
        numbers |= {"reached_full": self.reached(self.full_size), "reached_twice": twice}
        if (n := self.cheapest) is not None:
            numbers |= {"miss": self.miss, "images_miss": n, "reached_miss": needed.probability(n)}
        return numbers


def images_for_target(curve: CurveRuns, target: float, level: float = 0.95, miss: float | None = None) -> Target:
    """Estimate how surely numbers of images reach a target accuracy.

    Args:
        curve: The runs.
        target: The accuracy, a share.
        level: Of the curve's intervals.
        miss: What missing the target costs, in images' worth of labelling; asks which number of images costs least.

    Raises:
        ConfigError: If the target is not a share between 0 and 1, or the price no number of images.
        InsufficientData: If no curve can be fitted, or guessing reaches the target.
    """
    check_share("target", target)
    if miss is not None:
        check_miss(miss)
    fitted = curve.fit(level)
    if 1 - target >= fitted.chance_error:
        written = curve.measure.written
        why = f"guessing reaches {written(1 - fitted.chance_error)}, and you ask for {written(target)}"
        raise Refused(Gate("target", why, f"ask for {'less' if curve.measure.lower else 'more'}", refuses=True))
    return Target(target, fitted.images_for(1 - target), curve.full_size, miss, curve.measure)
