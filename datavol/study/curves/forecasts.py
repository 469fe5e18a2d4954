"""Stores forecasts of a learning curve whose `str` is a sentence."""

from dataclasses import dataclass

import numpy as np

from datavol.cli.text import about, chance, level_text, probability
from datavol.errors import ConfigError
from datavol.study.curves.checks import Array

TOLD = (0.5, 0.75, 0.9)  # probabilities whose numbers of images are told


@dataclass(frozen=True, eq=False)
class ImagesNeeded:
    """Stores how likely numbers of training images reach an error.

    Attributes:
        error: The error asked for.
        sizes: For every equally likely curve of the average run the n from which it stays at or below the error,
            ascending (curves,): `smallest` means so many or fewer, inf beyond `limit`.
        smallest: The smallest n measured, where the search begins.
        limit: Four times the largest n, where it ends.
    """

    error: float
    sizes: Array
    smallest: float
    limit: float

    @property
    def within_limit(self) -> float:
        """Return the probability that `limit` images reach the error."""
        return self.probability(self.limit)

    def probability(self, n: float) -> float:
        """Return the probability that n images reach the error.

        It grows with n.

        Raises:
            ConfigError: If n is not between `smallest` and `limit`.
        """
        if not self.smallest <= n <= self.limit:
            reach = f"{self.smallest:,.0f} to {self.limit:,.0f} images"
            raise ConfigError(f"n must be {reach}, got {n:g}; nothing validates forecasts beyond that")
        return float(np.searchsorted(self.sizes, n, side="right") / len(self.sizes))

    def images(self, probability: float) -> float | None:
        """Find the least n that reaches the error so probably.

        Returns:
            None if that takes more than `limit`.
        """
        enough = np.arange(1, len(self.sizes) + 1) / len(self.sizes) >= probability
        least = self.sizes[int(enough.argmax())] if enough.any() else np.inf
        return float(least) if np.isfinite(least) else None

    def cheapest(self, miss: float, owned: float = 0) -> float:
        """Find the cheapest n if missing the error has a price.

        Args:
            miss: The price, in images. The expected cost of n images, of which `owned` cost nothing, is
                max(n - owned, 0) + miss * (1 - probability(n)).
            owned: Images that are there already; no smaller n is named within the sizes searched.

        Raises:
            ConfigError: If the price is no number of images.
        """
        check_miss(miss)
        # Between two of the curves' sizes only the cost of the images grows: the least is at one of them
        least = min(max(self.smallest, owned), self.limit)
        n = np.unique([least, *self.sizes[np.isfinite(self.sizes) & (self.sizes > least)]])
        missed = 1 - np.searchsorted(self.sizes, n, side="right") / len(self.sizes)
        return float(n[np.argmin(n + miss * missed)])  # less `owned`, which is the same for all

    def __str__(self) -> str:
        return self.sentence(f"an error of {100 * self.error:.3g} %")

    def sentence(self, wanted: str) -> str:
        """Write the sentence about `wanted`, such as `an accuracy of 90 %`."""
        beyond = f"four times the largest subset ({self.limit:,.0f} images)"
        told = [(n, share) for share in TOLD if (n := self.images(share)) is not None]
        if not told:
            return f"{wanted} is reached within {beyond} only with {probability(self.within_limit)}"
        # Of probabilities that take the same number, as it is told, the highest; the smallest size has its own
        same = {about(n): (n, share if n > self.smallest else self.probability(n)) for n, share in told}
        parts = list(same.values())
        texts = [f"with {about(n)}" + " or fewer" * (n == self.smallest) + f" with {chance(p)}" for n, p in parts]
        n, p = parts[0]
        texts[0] = f"with {about(n)} images" + " or fewer" * (n == self.smallest) + f" with {probability(p)}"
        if len(told) < len(TOLD):
            texts.append(f"within {beyond} with {chance(self.within_limit)}")
        return f"{wanted} is reached {', '.join(texts)}"


def settled(n: Array, excess: Array) -> Array:
    """Find the size from which each curve has no excess any more.

    Args:
        n: Sizes, ascending (sizes,).
        excess: Errors above the wanted one (curves, sizes).

    Returns:
        A size per curve, interpolated (curves,): the first n where nothing exceeds, inf where the last still does.
    """
    above, curves = excess > 0, np.arange(len(excess))
    # The first True of the reversed row is the last size that is too small; between it and the next lies the crossing
    last_above = len(n) - 1 - above[:, ::-1].argmax(axis=1)
    before = np.minimum(last_above, len(n) - 2)
    over, under = excess[curves, before], excess[curves, before + 1]
    crosses = (over > 0) & (under <= 0)
    # Linear in log n: the share of the way from the one size to the other at which the excess is 0
    share = np.where(crosses, over, 0) / np.where(crosses, over - under, 1)
    found = n[before] * (n[before + 1] / n[before]) ** share
    return np.where(above.any(axis=1), np.where(above[:, -1], np.inf, found), n[0])


def check_miss(miss: float) -> None:
    """Raise a ConfigError unless `miss` is a number of images.

    It is the price of missing a target.
    """
    if not (miss >= 0 and np.isfinite(miss)):
        raise ConfigError(
            f"miss must be a number of images, got {miss:g}; give what missing the target costs, as 20000"
        )


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
        points = f"{gain:.2f} points of error, {low:.2f} to {high:.2f} ({level_text(self.level)} interval)"
        return f"{self.factor:g} times the data ({self.n:,.0f} images) would buy {points}"
