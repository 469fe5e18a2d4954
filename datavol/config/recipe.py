"""Declares the keys of `conf/recipe/`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from datavol.config.section import Section, Share, key
from datavol.errors import ConfigError


class OptimiserConfig(Section):
    name: Literal["sgd", "adamw"] = key("sgd or adamw", hashed=True)
    lr: float = key("above 0", hashed=True, gt=0, remedy="0.1")
    momentum: float = key(
        "at least 0 and below 1 (adamw takes it as its first beta)", hashed=True, ge=0, lt=1, remedy="0.9"
    )
    nesterov: bool = key("true or false (sgd only)", hashed=True)
    weight_decay: float = key("at least 0", hashed=True, ge=0, remedy="0.0001")

    @model_validator(mode="after")
    def _check(self) -> OptimiserConfig:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ConfigError(
                "recipe.optimiser.nesterov must be false unless the optimiser is sgd with momentum, got true; "
                "try recipe.optimiser.nesterov=false"
            )
        return self


class ScheduleConfig(Section):
    """Declares the schedule; durations are in budget epochs."""

    name: Literal["step", "cosine", "constant"] = key("step, cosine or constant", hashed=True)
    interval: Literal["epoch", "iteration"] = key("epoch or iteration", hashed=True)
    step_size: float = key("budget epochs between two decays, above 0", hashed=True, gt=0, remedy="30")
    gamma: float = key("the factor of a decay, above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.1")
    min_lr: float = key("at least 0", hashed=True, ge=0, remedy="0")
    warmup_epochs: float = key("budget epochs, at least 0", hashed=True, ge=0, remedy="0")
    warmup_start: float = key(
        "the share of the LR at which warm-up starts, above 0, at most 1", hashed=True, gt=0, le=1, remedy="0.01"
    )

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        for name in ("step_size", "warmup_epochs"):
            value = getattr(self, name)
            if self.interval == "epoch" and value != int(value):
                raise ConfigError(
                    f"recipe.schedule.{name} must be whole budget epochs when the LR moves once an epoch, got {value}; "
                    "try recipe.schedule.interval=iteration"
                )
        return self


class AugmentConfig(Section):
    crop_size: int = key("pixels, at least 8", hashed=True, ge=8, remedy="32")
    crop_scale: float = key(
        "the smallest area of a random crop, above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.08"
    )
    flip: Share = key("a probability from 0 to 1", hashed=True, remedy="0.5")
    auto: Literal["ta_wide"] | None = key("ta_wide or null", hashed=True, remedy="null")
    erase: Share = key("a probability from 0 to 1", hashed=True, remedy="0.1")
    mixup_alpha: float = key("at least 0", hashed=True, ge=0, remedy="0.2")
    cutmix_alpha: float = key("at least 0", hashed=True, ge=0, remedy="1.0")


class EvaluateConfig(Section):
    resize: int = key("the short side in pixels, at least 8", hashed=True, ge=8, remedy="32")
    crop_size: int = key("pixels, at least 8 and at most recipe.evaluate.resize", hashed=True, ge=8, remedy="32")

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        if self.crop_size > self.resize:
            raise ConfigError(
                f"recipe.evaluate.crop_size must be at most recipe.evaluate.resize ({self.resize}), "
                f"got {self.crop_size}; try recipe.evaluate.crop_size={self.resize}"
            )
        return self


class RecipeConfig(Section):
    name: str = key("the recipe's name", hashed=True, remedy="mine")
    epochs: int = key("the recipe's own number of budget epochs, at least 1", hashed=False, ge=1, remedy="90")
    iterations: int = key(
        "iterations that small sets train for at least, unless epochs is given", hashed=False, added=0, ge=0, remedy="0"
    )
    weights: str | None = key(
        "what model.weights is unless given: imagenet or null", hashed=False, added=None, remedy="imagenet"
    )
    on_features: bool = key(
        "true or false: the network stays, and a linear layer learns from its features, extracted once",
        hashed=True,
        added=False,
        remedy="false",
    )
    batch_size: int = key("images of a global batch, at least 1", hashed=True, ge=1, remedy="128")
    optimiser: OptimiserConfig = key("a section", hashed=True)
    schedule: ScheduleConfig = key("a section", hashed=True)
    augment: AugmentConfig = key("a section", hashed=True)
    evaluate: EvaluateConfig = key("a section", hashed=True)
    label_smoothing: float = key("at least 0 and below 1", hashed=True, ge=0, lt=1, remedy="0.1")
    dropout: float | None = key(
        "null (the network's own) or at least 0 and below 1", hashed=True, ge=0, lt=1, remedy="0.2"
    )
