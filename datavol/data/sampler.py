"""Orders the samples of a run; only this module knows the fraction.

Each pass over a subset of n images is a fresh seeded shuffle: sample k of a run is element k mod n of the seeded
permutation number k // n. Passes run on across batches and budget epochs, so that every batch is full, every fraction
has the same number of iterations, no image repeats within a pass, and over a run the counts of any two images differ by
at most one.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from datavol.data.budget import Budget
from datavol.runs.randomness import permutation


def sample_order(subset: NDArray[np.int64], order_seed: int, start: int, stop: int) -> NDArray[np.int64]:
    """List the training-set positions of a run's samples start .. stop-1."""
    n = len(subset)
    # All passes that the samples touch, whole, then the samples' part of them
    passes = [subset[permutation(n, "order", order_seed, p)] for p in range(start // n, -(-stop // n))]
    return np.concatenate(passes)[start % n : start % n + stop - start] if passes else subset[:0]


def balanced_order(
    subset: NDArray[np.int64], labels: NDArray[np.int64], order_seed: int, start: int, stop: int
) -> NDArray[np.int64]:
    """Give samples start .. stop-1 with every class equally often.

    In round r of C samples each of the C classes comes once, in a seeded order; a class of n images shows element
    r mod n of its seeded permutation number r // n. `labels` are the classes of the positions in `subset`.
    """
    groups = [(c, subset[labels == c]) for c in np.unique(labels)]
    samples = np.arange(start, stop)  # (K,)
    rounds = samples // len(groups)
    touched = range(start // len(groups), -(-stop // len(groups)))
    # turns[r, j] is the number of the class that comes j-th in round r of those touched, (rounds, C)
    turns = np.stack([permutation(len(groups), "turns", order_seed, r) for r in touched])
    turn = turns[rounds - touched.start, samples % len(groups)]  # each sample's class, (K,)
    order = np.empty(len(samples), dtype=np.int64)
    for number, (c, images) in enumerate(groups):
        own = np.flatnonzero(turn == number)
        # One image per round: the class has passes of its own, the longer the more images it has
        passes, elements = np.divmod(rounds[own], len(images))
        for p in np.unique(passes):
            within = passes == p
            order[own[within]] = images[permutation(len(images), "order", order_seed, c, p)][elements[within]]
    return order


class BudgetSampler(Sampler[tuple[int, int]]):
    """Yields one rank's samples of a budget epoch as (k, position).

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
        self.rank, self.share = rank, budget.batch_size // world_size  # images of this rank in a global batch
        self.epoch, self.done = 0, 0  # batches of the epoch that were trained on before a resume

    def set_epoch(self, epoch: int) -> None:
        """Choose the budget epoch, counted from 0."""
        if epoch != self.epoch:  # the epoch that a resumed run is in keeps what is done
            self.epoch, self.done = epoch, 0

    def set_iteration(self, iteration: int) -> None:
        """Resume after an iteration of the run, also within a budget epoch."""
        self.epoch, self.done = divmod(iteration, self.budget.iterations_per_epoch)

    def __len__(self) -> int:
        """Count the whole epoch: Lightning counts what is done itself."""
        return self.budget.iterations_per_epoch * self.share

    def __iter__(self) -> Iterator[tuple[int, int]]:
        batch = self.budget.batch_size
        images = self.budget.iterations_per_epoch * batch
        start = self.epoch * images
        order = self._order(start, start + images)
        # From the first global batch that is not done, always the slice of it that is this rank's
        for first in range(self.done * batch + self.rank * self.share, images, batch):
            for k in range(first, first + self.share):
                yield start + k, int(order[k])

    def _order(self, start: int, stop: int) -> NDArray[np.int64]:
        if self.balanced_by is None:
            return sample_order(self.subset, self.order_seed, start, stop)
        return balanced_order(self.subset, self.balanced_by, self.order_seed, start, stop)


class UnpaddedSampler(Sampler[tuple[int, int]]):
    """Yields each position once over all ranks, as (k, position).

    PyTorch's `DistributedSampler` would repeat images until all ranks have equally many.
    """

    def __init__(self, positions: NDArray[np.int64], rank: int = 0, world_size: int = 1) -> None:
        self.positions, self.own = positions, range(rank, len(positions), world_size)  # dealt in turn

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.own, self.positions[self.own].tolist(), strict=True)
