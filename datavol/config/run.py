"""Declares a whole run: top of the schema, rules across sections, identity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from datavol.config.ask import AskConfig
from datavol.config.data import AnyData, ImbalanceConfig, OwnDataConfig
from datavol.config.identity import hash_of
from datavol.config.logger import AnyLogger, OwnLoggerConfig
from datavol.config.model import AnyModel, OwnModelConfig
from datavol.config.objects import Objects
from datavol.config.plan import PlanConfig
from datavol.config.recipe import RecipeConfig
from datavol.config.section import PathText, Section, Text, key
from datavol.config.sweep import SweepConfig
from datavol.config.trainer import CheckpointConfig, TrainerConfig
from datavol.errors import ConfigError

SEED: dict[str, Any] = {"ge": 0, "lt": 2**63}


class Config(Section):
    """Declares one whole run."""

    study: Text = key(
        "a folder's name of letters, digits, '.', '_' and '-'",
        hashed=False,
        remedy="my_study",
        pattern=r"^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
    )
    fraction: float = key("a number above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.25")
    seed: int = key("a whole number of at least 0", hashed=False, remedy="0", **SEED)
    draw_seed: int = key("a whole number of at least 0", hashed=True, remedy="0", **SEED)
    init_seed: int = key("a whole number of at least 0", hashed=True, remedy="0", **SEED)
    order_seed: int = key("a whole number of at least 0", hashed=True, remedy="0", **SEED)
    draw: Literal["independent", "nested", "disjoint"] = key(
        "independent, nested or disjoint", hashed=True, remedy="independent"
    )
    draw_by: Literal["items", "groups"] = key(
        "items (images) or groups (of data.group)", hashed=True, added="items", remedy="items"
    )
    imbalance: ImbalanceConfig = key("a section", hashed=True)
    sampling: Literal["uniform", "balanced"] = key(
        "uniform (over images) or balanced (over classes)", hashed=True, remedy="uniform"
    )
    subset_file: PathText | None = key("a text file with one index or path per line, or null", hashed=True)
    epochs: int = key("budget epochs, a whole number of at least 1", hashed=True, ge=1, remedy="90")
    budget: Literal["iterations", "epochs"] = key("iterations or epochs", hashed=True, remedy="iterations")
    start_from: PathText | None = key("a checkpoint of another run, or null", hashed=True)
    trunk: PathText | None = key(
        "the folder of a shorter run or of a study, or null", hashed=False, added=None, remedy="null"
    )
    check_every: int = key(
        "iterations between two looks for a non-finite loss, at least 1", hashed=False, ge=1, remedy="50"
    )
    evaluate_train: bool = key(
        "true or false: also evaluate the training subset under the evaluation transform", hashed=False
    )
    predictions: Literal["last", "all", "none"] = key(
        "last, all or none: whose top-5 classes and probabilities are kept, image by image", hashed=False, remedy="last"
    )
    objective: Text = key(
        "a column of metrics.csv such as val/top1, or of the best evaluation, best/val/top1",
        hashed=False,
        added="val/top1",
        remedy="val/top1",
        pattern=r"^(best/)?(val|train)/.+$",
    )
    checkpoint: CheckpointConfig = key("a section", hashed=False)
    plan: PlanConfig = key("a section", hashed=False)
    ask: AskConfig = key("a section", hashed=False)
    sweep: SweepConfig = key("a section", hashed=False)
    model: AnyModel = key("a section", hashed=True)
    data: AnyData = key("a section", hashed=True)
    recipe: RecipeConfig = key("a section", hashed=True)
    trainer: TrainerConfig = key("a section", hashed=True)
    imports: list[str] = key(
        "a list of modules to import first, such as [my_package]", hashed=True, added=[], remedy="[my_package]"
    )
    code: dict[str, str] = key(
        "hashes of the user's modules, left to datavol", hashed=True, remedy="{}", added={}, default={}
    )
    metrics: Objects = key("names, each with a _target_", hashed=False, added={}, remedy="{}")
    callbacks: Objects = key("names, each with a _target_", hashed=True, added={}, remedy="{}")
    logger: AnyLogger = key("a section", hashed=False)

    @model_validator(mode="after")
    def _check(self) -> Config:
        warmup = self.recipe.schedule.warmup_epochs
        if self.epochs <= warmup:
            raise ConfigError(
                f"epochs must be above the {warmup:g} budget epochs of recipe.schedule.warmup_epochs, got "
                f"{self.epochs}; try epochs={int(warmup) + 1} or recipe.schedule.warmup_epochs=0"
            )
        schedule = self.recipe.schedule
        if schedule.cooldown is not None and schedule.hold(self.epochs) < warmup:
            fitting = next(epochs for epochs in count(self.epochs) if schedule.hold(epochs) >= warmup)
            raise ConfigError(
                f"epochs must leave the {warmup:g} budget epochs of recipe.schedule.warmup_epochs before the "
                f"cool-down, which begins after {schedule.hold(self.epochs)}, got {self.epochs}; try epochs={fitting}"
            )
        self._check_trunk()
        own_network = isinstance(self.model, OwnModelConfig)  # which may load weights itself
        random = self.model.weights is None and self.start_from is None and not own_network
        if self.recipe.freeze is not None and random:
            raise ConfigError(
                f"recipe.freeze must be null without model.weights, since random layers learn nothing, got "
                f"{self.recipe.freeze}; try recipe.freeze=null"
            )
        own = isinstance(self.data, OwnDataConfig)  # whose class may have groups
        if self.draw_by == "groups" and getattr(self.data, "group", None) is None and not own:
            remedy = "try data.group=folder, or " if "group" in type(self.data).model_fields else ""
            raise ConfigError(
                f"draw_by must be items without data.group, which says what belongs together, got groups; {remedy}"
                "leave draw_by out"
            )
        if self.draw_by == "groups" and self.subset_file is not None:
            raise ConfigError("draw_by must be items when subset_file names the subset, got groups; leave draw_by out")
        if self.subset_file is not None and self.imbalance.profile != "none":
            raise ConfigError(
                f"imbalance.profile must be none when subset_file names the subset, got {self.imbalance.profile}; "
                "leave it out"
            )
        if self.subset_file is not None and self.fraction != 1:
            raise ConfigError(
                f"fraction must be left at 1 when subset_file names the subset, got {self.fraction:g}; "
                "leave fraction out"
            )
        self._check_pretrained()
        return self

    def _check_trunk(self) -> None:
        schedule = self.recipe.schedule
        asked = ["trunk"] * (self.trunk is not None) + ["checkpoint.trunk"] * self.checkpoint.trunk
        if asked and schedule.cooldown is None:
            raise ConfigError(
                f"{asked[0]} must be left out unless the schedule is wsd, whose runs have a trunk in common, got "
                f"{schedule.name}; leave it out, or try recipe=small_wsd"
            )
        if asked and schedule.hold(self.epochs) < 1:
            fitting = next(epochs for epochs in count(self.epochs) if schedule.hold(epochs) >= 1)
            raise ConfigError(
                f"epochs must leave a budget epoch before the cool-down with {asked[0]}, got {self.epochs}; "
                f"try epochs={fitting}"
            )
        if self.trunk is not None and self.start_from is not None:
            raise ConfigError(f"trunk must be null with start_from, got {self.trunk}; leave one of them out")

    def _check_pretrained(self) -> None:
        recipe = self.recipe
        own = isinstance(self.model, OwnModelConfig)  # which may load weights itself
        if recipe.weights is not None and self.model.weights is None and not own:
            raise ConfigError(
                f"model.weights must be given with recipe={recipe.name}, which starts from pretrained ones, got null; "
                f"try model.weights={recipe.weights}, or recipe=small from scratch"
            )
        if not recipe.on_features:
            return
        if getattr(self.data, "on_damaged", "stop") != "stop":
            raise ConfigError(
                "data.on_damaged must be stop with recipe.on_features, got replace; leave damaged images out by "
                "data.exclude, and try data.on_damaged=stop"
            )
        off = {"crop_scale": 1.0, "flip": 0.0, "auto": None, "erase": 0.0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0}
        for name, value in off.items():
            if (got := getattr(recipe.augment, name)) != value:
                words = "null" if value is None else f"{value:g}"
                raise ConfigError(
                    f"recipe.augment.{name} must be {words} with recipe.on_features, which sees whole images, got "
                    f"{got}; try recipe.augment.{name}={words} or recipe=fine_tune"
                )

    @property
    def has_own_code(self) -> bool:
        """Return whether classes of the user's train the run or watch it."""
        return bool(self.code or self.metrics or isinstance(self.logger, OwnLoggerConfig))

    @property
    def run_hash(self) -> str:
        """Hash the scientific configuration to eight hexadecimal digits.

        It is every key marked `hashed`.
        """
        return hash_of(self)

    @property
    def run_name(self) -> str:
        """Name the run's folder: readable, and ending in the hash."""
        seeds = (self.draw_seed, self.init_seed, self.order_seed)
        seed = f"seed{seeds[0]}" if len(set(seeds)) == 1 else "seeds" + "-".join(map(str, seeds))
        volume = "listed" if self.subset_file else f"{self.fraction * 100:g}pct"
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(self.model.name))
        return f"{name}-{volume}-{seed}-{self.run_hash}"


def check_batch_shares(batch_size: int, world_size: int, accumulate: int = 1) -> None:
    """Raise a ConfigError unless ranks get equal shares of a batch."""
    parts = world_size * accumulate
    if batch_size % parts:
        micro = f" with {accumulate} micro-batches each" if accumulate > 1 else ""
        raise ConfigError(
            f"recipe.batch_size must divide evenly among {world_size} devices{micro}, got {batch_size}; "
            f"try recipe.batch_size={max(1, round(batch_size / parts)) * parts}"
        )


@dataclass(frozen=True)
class Run:
    """Describes one run to the process that trains it."""

    overrides: tuple[str, ...]  # as on the command line
    values: dict[str, Any]  # the composed configuration, plain
    config: Config  # the same, checked
    folder: Path  # of its record
    on_cluster: bool = False  # a SLURM job will train it
    manifest: Mapping[str, Any] | None = field(default=None, compare=False)  # `subset.json`, once the subset is drawn
    indices: NDArray[np.int64] | None = field(default=None, compare=False)  # (N,), sorted, once it is drawn
