"""Trains the runs that a look names, by the sweep's own launcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datavol.asking.set_up import SetUp
from datavol.config.ask import AskConfig
from datavol.config.run import Run
from datavol.data.duplicates.words import severity_of_leak
from datavol.data.prepare import Prepared
from datavol.errors import HELD, ConfigError
from datavol.runs.guessing import guessed
from datavol.study.looks.look import Step
from datavol.sweep.local import conclude, ended_by_signal, train_here
from datavol.sweep.prepared import prepare_runs
from datavol.sweep.slurm import launch_on_slurm
from datavol.sweep.status import Display


@dataclass
class StepTrainer:
    """Trains steps of a set-up, as `datavol.run -m` would.

    Attributes:
        set_up: What is the same in all of them.
        cluster: Parameters of a SLURM launcher; None trains on this machine.
        told: Whether what was found in the data has been said.
        test_images: Validation images, once runs were prepared.
        guess: The accuracy of always guessing the commonest class, likewise.
    """

    set_up: SetUp
    cluster: Mapping[str, Any] | None = None
    told: bool = False
    test_images: int = 0
    guess: float = 0.0

    def __call__(self, steps: Sequence[Step]) -> None:
        """Train steps to their end; finished runs are skipped, stopped ones resumed.

        Raises:
            SystemExit: With the sweep's code, if a run failed, is trained elsewhere, or a signal came.
        """
        runs = self.prepared(steps)
        settings = self.set_up.config.sweep
        if self.cluster is not None:
            launch_on_slurm(runs, settings, self.cluster, summed_up=False)
            return
        with Display() as display:
            jobs, number = train_here(runs, settings, display)
            if number is not None:
                ended_by_signal(jobs, number, display)
            if any(job.status.state not in ("finished", "skipped") or job.status.elsewhere for job in jobs):
                conclude(jobs, display, summed_up=False)  # which says what failed, and exits
                raise SystemExit(HELD)
            display.show([job.status for job in jobs])

    def prepared(self, steps: Sequence[Step]) -> list[Run]:
        """Check the runs of steps, and draw their subsets.

        Raises:
            ConfigError: For the first thing that is wrong, validation images in train among it.
        """
        try:
            runs, first = prepare_runs([self.set_up.to_train(step) for step in steps], quiet=self.told)
        except ConfigError as error:
            raise _as_asked(error, self.set_up.config.ask) from None
        if not self.told:
            _check_leaks(first, self.set_up)
        labels = first.source.val.labels
        self.told, self.test_images = True, len(labels)
        self.guess = guessed(np.bincount(labels)).get("val/top1", 0.0)
        return runs


def _as_asked(error: ConfigError, asked: AskConfig) -> ConfigError:
    """Say of a fraction that is too small which key of a question helps."""
    rule, _, fraction = str(error).rpartition("; try fraction=")
    if not rule.startswith("fraction must"):
        return error
    name = "ask.enough" if asked.enough is not None else "the fraction that this question starts from"
    return ConfigError(f"{name}{rule.removeprefix('fraction')}; try ask.enough={fraction.partition(' ')[0]}")


def _check_leaks(prepared: Prepared, set_up: SetUp) -> None:
    """Raise a ConfigError where validation images in train refuse every answer."""
    if (found := prepared.duplicates) is None:
        return
    leaked, images = int(found["leaked"]), int(found["validation_images"])
    if severity_of_leak(leaked, images) == "major":
        audit = " ".join(["python -m datavol.audit", *(one for one in set_up.overrides if one.startswith("data"))])
        raise ConfigError(
            f"validation images must not be in train where an answer is to hold, got {leaked:,} of {images:,} (as said "
            f"above); try {audit}, which writes a list for data.exclude; or data.audit=false, if they only look alike"
        )
