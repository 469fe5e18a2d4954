"""Trains runs that die in the middle, as if their process were killed."""

import pytest

from datavol.training import trainer as trainer_module
from datavol.training.callbacks.monitoring import Progress


class Stopped(Exception):
    """Stands for whatever kills a process."""


def die(train, *, epoch: int | None = None, iteration: int | None = None) -> None:
    """Call `train` until a budget epoch is measured but not kept, or through the step of an iteration."""

    class Dying(Progress):
        def on_validation_end(self, trainer, pl_module):
            if trainer.current_epoch == epoch:
                raise Stopped

        def on_train_batch_end(self, trainer, pl_module, *_):
            if pl_module.iteration == iteration:
                raise Stopped

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trainer_module, "Progress", Dying)
        with pytest.raises(Stopped):
            train()
