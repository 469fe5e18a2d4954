"""Which image stands where: the only part of training that knows the fraction.

Sample k of a run is element k mod n of the seeded permutation number k // n of its subset of n images, and passes run
on across batches and budget epochs. Every batch is full, every fraction has the same number of iterations, within a
pass no image repeats, and over a run every image is seen floor or ceil of the same count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from datavol.data.budget import Budget
from datavol.runs.randomness import permutation


def sample_order(subset: NDArray[np.int64], order_seed: int, start: int, stop: int) -> NDArray[np.int64]:
    """Samples start .. stop-1 of a run, as positions in the full training set."""
    n = len(subset)
    passes = [subset[permutation(n, "order", order_seed, p)] for p in range(start // n, -(-stop // n))]
    offset = start // n * n
    return np.concatenate(passes)[start - offset : stop - offset] if passes else subset[:0]


def balanced_order(
    subset: NDArray[np.int64], labels: NDArray[np.int64], order_seed: int, start: int, stop: int
) -> NDArray[np.int64]:
    """The same with every class equally often, whatever its images.

    In round r of C samples each of the C classes has its turn once, in a seeded order; a class of n images shows
    element r mod n of its seeded permutation number r // n.

    Args:
        subset: Positions in the full training set.
        labels: Their classes, the same shape.
        order_seed: The seed.
        start: The first sample.
        stop: The sample after the last.
    """
    groups = [(c, subset[labels == c]) for c in np.unique(labels)]
    samples = np.arange(start, stop)
    rounds = samples // len(groups)
    known = range(start // len(groups), -(-stop // len(groups)))
    turns = np.stack([permutation(len(groups), "turns", order_seed, r) for r in known])
    turn = turns[rounds - known.start, samples % len(groups)]
    order = np.empty(len(samples), dtype=np.int64)
    for number, (c, images) in enumerate(groups):
        at = np.flatnonzero(turn == number)
        passes, places = np.divmod(rounds[at], len(images))
        for p in np.unique(passes):
            chosen = passes == p
            order[at[chosen]] = images[permutation(len(images), "order", order_seed, c, p)][places[chosen]]
    return order


class BudgetSampler(Sampler[tuple[int, int]]):
    """One rank's samples of one budget epoch, as (k, position in the full training set).

    Rank r of W takes the r-th share of every global batch, so that the ranks together see exactly the batches of the
    one-process order. With `balanced_by`, the classes of the subset's images, every class comes equally often.
    Lightning calls `set_epoch` before every budget epoch.
    """

    def __init__(
        self,
        subset: NDArray[np.int64],
        budget: Budget,
        order_seed: int,
        rank: int = 0,
        world_size: int = 1,
        balanced_by: NDArray[np.int64] | None = None,
    ) -> None:
        self.subset, self.budget, self.order_seed, self.balanced_by = subset, budget, order_seed, balanced_by
        self.share = budget.batch_size // world_size
        self.rank = rank
        self.epoch, self.done = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the budget epoch, counted from 0."""
        if epoch != self.epoch:
            self.epoch, self.done = epoch, 0

    def set_iteration(self, iteration: int) -> None:
        """Go on after so many iterations of the run, also inside a budget epoch."""
        self.epoch, self.done = divmod(iteration, self.budget.iterations_per_epoch)

    def __len__(self) -> int:
        """Samples of the whole budget epoch, also where a part is done: Lightning counts that part itself."""
        return self.budget.iterations_per_epoch * self.share

    def __iter__(self) -> Iterator[tuple[int, int]]:
        batch = self.budget.batch_size
        images = self.budget.iterations_per_epoch * batch
        start = self.epoch * images
        order = self._order(start, start + images)
        for first in range(self.done * batch + self.rank * self.share, images, batch):
            for k in range(first, first + self.share):
                yield start + k, int(order[k])

    def _order(self, start: int, stop: int) -> NDArray[np.int64]:
        if self.balanced_by is None:
            return sample_order(self.subset, self.order_seed, start, stop)
        return balanced_order(self.subset, self.balanced_by, self.order_seed, start, stop)


class UnpaddedSampler(Sampler[tuple[int, int]]):
    """Every image of a list once, dealt to the ranks in turn: nothing is padded or repeated to even the ranks out."""

    def __init__(self, positions: NDArray[np.int64], rank: int = 0, world_size: int = 1) -> None:
        self.positions, self.rank, self.world_size = positions, rank, world_size

    def __len__(self) -> int:
        return len(range(self.rank, len(self.positions), self.world_size))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for k in range(self.rank, len(self.positions), self.world_size):
            yield k, int(self.positions[k])
