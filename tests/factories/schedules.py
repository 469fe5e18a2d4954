"""Follows torch's schedulers from iteration to iteration."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def scheduled_lrs(optimiser: Optimizer, scheduler: LRScheduler, iterations: int, every: int = 1) -> list[float]:
    """Record each iteration's learning rate; the scheduler moves after `every` of them."""
    lrs = []
    for iteration in range(1, iterations + 1):
        lrs.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if iteration % every == 0:
            scheduler.step()
    return lrs
