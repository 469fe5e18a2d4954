"""Stores forecasts of a learning curve whose `str` is a sentence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImagesNeeded:
    """Stores how many training images reach an error."""

    error: float  # the error asked for
    low: float | None  # where the interval's lower edge first reaches the error, None if not up to `limit`
    estimate: float | None  # the same of the estimate
    high: float | None  # the same of the upper edge: with so many images even an unlucky run should reach the error
    level: float  # of the interval
    smallest: float  # the smallest n measured; an edge equal to it means "so many or fewer"
    limit: float  # four times the largest n, where the search ends

    def __str__(self) -> str:
        return self.sentence(f"an error of {100 * self.error:.3g} %")

    def sentence(self, wanted: str) -> str:
        """Write the sentence about `wanted`, such as `an accuracy of 90 %`."""
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
    """Stores what multiplying the data buys.

    Attributes:
        factor: Multiple of the largest n.
        n: The number of images that it gives.
        gain: Fall of the average run's error, a share (negative: it rises).
        low, high, level: Interval of the gain.
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
