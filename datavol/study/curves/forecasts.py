"""What a learning curve foretells besides a table: objects whose `str` is a plain sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImagesNeeded:
    """How many training images an error takes; `str` of it is a sentence.

    Attributes:
        error: The error asked for.
        low: The fewest images: where the interval's lower edge first reaches the error. None if not within the limit.
        estimate: Where the estimate does.
        high: Where the upper edge does: with so many, even an unlucky run should.
        level: Of the interval.
        smallest: The smallest n measured; answers equal to it mean "so many or fewer".
        limit: Four times the largest n, where the search ends.
    """

    error: float
    low: float | None
    estimate: float | None
    high: float | None
    level: float
    smallest: float
    limit: float

    def __str__(self) -> str:
        return self.sentence(f"an error of {100 * self.error:.3g} %")

    def sentence(self, wanted: str) -> str:
        """What is `wanted` takes so many images, such as `an accuracy of 90 %`."""
        if self.low is None:
            return f"{wanted} is not within four times the data ({self.limit:,.0f} images)"
        if self.high == self.smallest:
            return f"{wanted} takes {self.smallest:,.0f} images or fewer"
        low = f"fewer than {self.low:,.0f}" if self.low == self.smallest else f"{self.low:,.0f}"
        high = "more than four times the data" if self.high is None else f"{self.high:,.0f} images"
        likely = "beyond that" if self.estimate is None else f"{self.estimate:,.0f}"
        return f"{wanted} takes {low} to {high} ({100 * self.level:g} % interval), likely {likely}"


@dataclass(frozen=True)
class Gain:
    """What multiplying the data buys; `str` of it is a sentence.

    Attributes:
        factor: Of the largest n.
        n: The number of images after it.
        gain: By how much the error falls (a share; negative: it rises), for the average run.
        low: Lower edge of the interval of the gain.
        high: Upper edge.
        level: Of the interval.
    """

    factor: float
    n: float
    gain: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        gain, low, high = 100 * self.gain, 100 * self.low, 100 * self.high
        points = f"{gain:.2f} points of error, {low:.2f} to {high:.2f} ({100 * self.level:g} % interval)"
        return f"{self.factor:g} times the data ({self.n:,.0f} images) would buy {points}"
