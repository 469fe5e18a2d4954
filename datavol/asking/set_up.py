"""Composes the runs of an adaptive study: one set-up, many fractions and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from datavol.cli.text import written
from datavol.config.compose import RunComposer, compose
from datavol.config.run import Config, Run
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import configuration_of
from datavol.study.looks.look import Step

CHOSEN = ("fraction", "seed", "draw_seed", "init_seed", "order_seed", "subset_file", "start_from", "trunk")
"""Keys that vary along a question, or that fix what it varies."""

PARTS = (8, 4, 2)
LEAST_EPOCHS = 5  # of a short run: with fewer a schedule is hardly one
WARMUPS = 2  # how many times its warm-up a short run must last
ANNEALED = ("cosine", "wsd", "step", "constant", "poly", "linear", "onecycle", "tanh")
"""Schedules whose shape follows the number of epochs, or is made to."""


@dataclass(frozen=True, eq=False)
class SetUp:
    """Composes what is the same in all runs of a question.

    Attributes:
        overrides: Of the command line, with what was chosen for own images; none of `ask` and `CHOSEN`.
        config: A run on all of the data.
        asked_parts: `ask.rungs`.
        typed: The command line.
    """

    overrides: tuple[str, ...]
    config: Config
    asked_parts: Sequence[int] | str = "auto"
    typed: tuple[str, ...] = ()
    _composed: dict[Step, Run] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, typed: Sequence[str], chosen: Sequence[str] = ()) -> SetUp:
        """Compose the set-up of a command line, and of what was chosen beside it.

        Raises:
            ConfigError: For the first thing that is wrong, and where several set-ups are asked for.
        """
        overrides = [*typed, *chosen]
        for one in overrides:
            if (name := _name(one)) in CHOSEN:
                raise ConfigError(f"{name} must be left out, since the question chooses it, got {one}; leave it out")
        runs = compose([*overrides, *_varied(1.0, 0)], multirun=True)
        if len(runs) > 1:
            (first, second), *_ = _differences(runs[0], runs[1])
            raise ConfigError(f"a question must be asked of one set-up, got {first} and {second}; ask of each")
        config = runs[0].config
        if config.sweep.rerun:
            raise ConfigError("sweep.rerun must be false for a question, which rests on its runs, got true")
        if (folds := getattr(config.data, "folds", None)) is not None:
            raise ConfigError(
                f"data.folds must be null for a question, whose runs are compared image by image, got {folds}; "
                "try data.folds=null data.val_fraction=0.2"
            )
        kept = tuple(one for one in overrides if not _name(one).startswith("ask."))
        return cls(kept, config, config.ask.rungs, tuple(typed))

    def with_delta(self, delta: float) -> SetUp:
        """Change the difference that counts."""
        return replace(
            self, config=self.config.model_copy(update={"ask": self.config.ask.model_copy(update={"delta": delta})})
        )

    @property
    def study(self) -> Path:
        """Return the study's folder."""
        return self.folder(1)

    def folder(self, part: int) -> Path:
        """Return the study's folder of the runs of a length."""
        return self.run(Step(1.0, 0, part)).folder.parent

    def run(self, step: Step) -> Run:
        """Compose a run."""
        if step not in self._composed:
            self._composed[step] = self._composer(self._changed(step))
        return self._composed[step]

    def to_train(self, step: Step) -> Run:
        """Compose a run as it is trained, on a shorter one's trunk."""
        run = self.run(step)
        if self.config.recipe.schedule.cooldown is None:
            return run
        longest_first = [part for part in sorted(self.parts) if part > step.part]
        begun = (RunFolder(self.run(Step(step.fraction, step.seed, part)).folder) for part in longest_first)
        trunk = next((folder.path for folder in begun if folder.checkpoint("trunk").exists()), None)
        keys = ["checkpoint.trunk=true"] * (step.part > 1) + [f"trunk={written(trunk)}"] * (trunk is not None)
        return self._composer([*self._changed(step), *keys])

    @cached_property
    def _composer(self) -> RunComposer:
        return RunComposer(self.overrides)

    @property
    def cluster(self) -> dict[str, Any] | None:
        """Return the parameters of a SLURM launcher; None on this machine."""
        return self._composer.cluster

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """List the parts of the training that short runs may take, the shortest first.

        Raises:
            ConfigError: If a part that was asked for is too short, or as long as another.
        """
        if self.config.budget == "epochs":
            if self.asked_parts not in ("auto", []):
                raise ConfigError(
                    f"ask.rungs must be auto with budget=epochs, where short runs tell nothing, got "
                    f"{self.asked_parts}; try ask.rungs=auto, or budget=iterations"
                )
            return ()
        if self.asked_parts == "auto":
            fits = self.config.recipe.schedule.name in ANNEALED and self.config.recipe.schedule.target is None
            return tuple(part for part in PARTS if fits and self._why_not(part) is None)
        assert not isinstance(self.asked_parts, str)
        for part in self.asked_parts:
            if (why := self._why_not(part)) is not None:
                raise ConfigError(f"ask.rungs must leave short runs {why}, got {part}; try ask.rungs=auto")
        parts = tuple(sorted(set(self.asked_parts), reverse=True))
        self._check_lengths(parts)
        return parts

    def _check_lengths(self, parts: Sequence[int]) -> None:
        """Raise a ConfigError where two short runs would be one."""
        for part, longer in pairwise(parts):
            if (epochs := self._epochs(part)) == self._epochs(longer):
                raise ConfigError(
                    f"ask.rungs must be lengths that differ, got {part} and {longer}, both of {epochs} budget epochs; "
                    "leave one of them out"
                )

    def same(self, folder: RunFolder, part: int) -> bool:
        """Return whether a run differs from this set-up's by fraction and seeds alone."""
        seeds = dict.fromkeys(("draw_seed", "init_seed", "order_seed"), 0)
        theirs = configuration_of(folder).model_copy(update={"fraction": 1.0, **seeds})
        return theirs.run_hash == self.run(Step(1.0, 0, part)).config.run_hash

    def _epochs(self, part: int) -> int:
        return max(1, round(self.config.epochs / part))

    def _why_not(self, part: int) -> str | None:
        """Say why a short run is too short to be annealed."""
        epochs, warmup = self._epochs(part), self.config.recipe.schedule.warmup_epochs
        least = max(LEAST_EPOCHS, WARMUPS * warmup)
        return None if epochs >= least else f"of at least {least:g} budget epochs"

    def _changed(self, step: Step) -> list[str]:
        """List the overrides of a step; short runs have their own study."""
        if step.part == 1:
            return _varied(step.fraction, step.seed)
        epochs, schedule = self._epochs(step.part), self.config.recipe.schedule
        changed = [*_varied(step.fraction, step.seed), f"epochs={epochs}", f"study={self.config.study}_{epochs}_epochs"]
        if schedule.name == "step":
            changed.append(f"recipe.schedule.step_size={schedule.step_size / step.part:.6g}")
        return changed


def _name(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _varied(fraction: float, seed: int) -> list[str]:
    # As many digits as the number has: a run that came out at another one would be asked for again and again
    return [f"fraction={repr(float(fraction)).removesuffix('.0')}", f"seed={seed}"]


def _differences(first: Run, second: Run) -> list[tuple[str, str]]:
    return [(a, b) for a, b in zip(first.overrides, second.overrides, strict=True) if a != b]
