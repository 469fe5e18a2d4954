"""Declares the keys of `conf/recipe/`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from datavol.config.section import Section, Share, key
from datavol.errors import ConfigError

Library = Literal["torch", "timm"] | None
Target = str | None
TARGET_RULE = "a class or function by its module, or null"
LIBRARY_RULE = "torch, timm or null (torch's where both have the name)"


class OptimiserConfig(Section):
    """Declares the optimiser; further keys are arguments of its class."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    name: str = key("sgd, adamw, or another optimiser of torch or timm", hashed=True, remedy="sgd")
    library: Library = key(LIBRARY_RULE, hashed=True, added=None, remedy="null")
    target: Target = key(TARGET_RULE, hashed=True, added=None, alias="_target_", remedy="null")
    lr: float = key("above 0", hashed=True, gt=0, remedy="0.1")
    momentum: float = key(
        "at least 0 and below 1 (adamw takes it as its first beta)", hashed=True, ge=0, lt=1, remedy="0.9"
    )
    nesterov: bool = key("true or false (of optimisers that take it)", hashed=True)
    weight_decay: float = key("at least 0", hashed=True, ge=0, remedy="0.0001")
    decay: Literal["all", "weights"] = key(
        "all, or weights (without the parameters of normalisations, and without biases)", hashed=True, added="all"
    )

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that the schema does not know."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _check(self) -> OptimiserConfig:
        if self.nesterov and (self.name == "adamw" or self.momentum == 0):
            raise ConfigError(
                "recipe.optimiser.nesterov must be false unless the optimiser is sgd with momentum, got true; "
                "try recipe.optimiser.nesterov=false"
            )
        return self


class ScheduleConfig(Section):
    """Declares the schedule; durations are in budget epochs.

    Further keys are arguments of a schedule of torch or timm.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    name: str = key("step, cosine, constant, wsd, or another schedule of torch or timm", hashed=True, remedy="cosine")
    library: Library = key(LIBRARY_RULE, hashed=True, added=None, remedy="null")
    target: Target = key(TARGET_RULE, hashed=True, added=None, alias="_target_", remedy="null")
    interval: Literal["epoch", "iteration"] = key("epoch or iteration", hashed=True)
    step_size: float = key("budget epochs between two decays, above 0", hashed=True, gt=0, remedy="30")
    gamma: float = key("the factor of a decay, above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.1")
    min_lr: float = key("at least 0", hashed=True, ge=0, remedy="0")
    warmup_epochs: float = key("budget epochs, at least 0", hashed=True, ge=0, remedy="0")
    warmup_start: float = key(
        "the share of the LR at which warm-up starts, above 0, at most 1", hashed=True, gt=0, le=1, remedy="0.01"
    )
    cooldown: float | None = key(
        "the share of the budget epochs that wsd cools down over, above 0 and below 1, or null (wsd is timm's then)",
        hashed=True,
        added=None,
        gt=0,
        lt=1,
        remedy="0.2",
    )

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that the schema does not know."""
        return dict(self.model_extra or {})

    def hold(self, epochs: int) -> int:
        """Return the budget epochs before the cool-down of wsd, which begins with a whole one.

        >>> ScheduleConfig.model_construct(cooldown=0.2).hold(40)
        32
        """
        assert self.cooldown is not None
        return epochs - max(1, round(self.cooldown * epochs))

    def _check_cooldown(self) -> None:
        if self.name != "wsd" or self.library is not None or self.target is not None:
            raise ConfigError(
                f"recipe.schedule.cooldown must be null unless the schedule is wsd of datavol's own, got "
                f"{self.cooldown:g}; try recipe.schedule.cooldown=null"
            )
        if self.interval != "iteration":
            raise ConfigError(
                "recipe.schedule.interval must be iteration with wsd, whose LR falls within budget epochs, got epoch; "
                "try recipe.schedule.interval=iteration"
            )
        if self.options:
            raise ConfigError(
                f"recipe.schedule.{next(iter(self.options))} must be left out with wsd of datavol's own, got an "
                "argument of timm's; try recipe.schedule.cooldown=null, for timm's wsd"
            )

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        if self.cooldown is not None:
            self._check_cooldown()
        for name in ("step_size", "warmup_epochs"):
            value = getattr(self, name)
            if self.interval == "epoch" and value != int(value):
                raise ConfigError(
                    f"recipe.schedule.{name} must be whole budget epochs when the LR moves once an epoch, got {value}; "
                    "try recipe.schedule.interval=iteration"
                )
        return self


class EmaConfig(Section):
    """Declares a moving average of the weights, counted in iterations."""

    decay: float | None = key(
        "above 0 and below 1, or null (no average)", hashed=True, added=None, gt=0, lt=1, remedy="0.999"
    )
    every: int = key("iterations between two updates, at least 1", hashed=True, added=1, ge=1, remedy="1")
    start: float = key(
        "budget epochs during which it copies the weights, at least 0", hashed=True, added=0.0, ge=0, remedy="0"
    )

    @model_validator(mode="after")
    def _check(self) -> EmaConfig:
        if self.decay is None and (self.every, self.start) != (1, 0):
            raise ConfigError(
                "recipe.ema.decay must be given with recipe.ema.every or recipe.ema.start, got null; "
                "try recipe.ema.decay=0.999"
            )
        return self


class AugmentConfig(Section):
    """Declares the augmentation; further keys are its class's arguments."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    crop_size: int = key("pixels, at least 8", hashed=True, ge=8, remedy="32")
    crop_scale: float = key(
        "the smallest area of a random crop, above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.08"
    )
    flip: Share = key("a probability from 0 to 1", hashed=True, remedy="0.5")
    auto: (
        Literal["ta_wide", "randaugment", "autoaugment", "autoaugment_cifar10", "autoaugment_svhn", "augmix"] | None
    ) = key(
        "ta_wide, randaugment, autoaugment (of ImageNet), autoaugment_cifar10, autoaugment_svhn, augmix or null",
        hashed=True,
        remedy="ta_wide",
    )
    erase: Share = key("a probability from 0 to 1", hashed=True, remedy="0.1")
    mixup_alpha: float = key("at least 0", hashed=True, ge=0, remedy="0.2")
    cutmix_alpha: float = key("at least 0", hashed=True, ge=0, remedy="1.0")
    target: Target = key(TARGET_RULE, hashed=True, added=None, alias="_target_", remedy="null")

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that the schema does not know."""
        return dict(self.model_extra or {})

    @property
    def of_pixels(self) -> bool:
        """Return whether a transform changes the pixels of each crop."""
        return self.auto is not None or self.target is not None

    @model_validator(mode="after")
    def _check(self) -> AugmentConfig:
        if self.auto is not None and self.target is not None:
            raise ConfigError(
                f"recipe.augment.auto must be null with recipe.augment._target_, in whose place it works, got "
                f"{self.auto}; try recipe.augment.auto=null"
            )
        if self.options and not self.of_pixels:
            name, value = next(iter(self.options.items()))
            raise ConfigError(
                f"recipe.augment.{name} must be an argument of recipe.augment.auto, got it without; "
                f"try recipe.augment.auto=randaugment +recipe.augment.{name}={value}"
            )
        return self


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


def _divisors(number: int) -> list[int]:
    return [one for one in range(1, number + 1) if number % one == 0]


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
    accumulate: int = key(
        "micro-batches that a global batch is split into, at least 1", hashed=True, added=1, ge=1, remedy="1"
    )
    clip_norm: float | None = key("the largest norm of the gradients, above 0, or null", hashed=True, added=None, gt=0)
    clip_value: float | None = key("the largest size of a gradient, above 0, or null", hashed=True, added=None, gt=0)
    ema: EmaConfig = key("a section", hashed=True, added={"decay": None, "every": 1, "start": 0.0})
    layer_decay: float | None = key(
        "the LR of a layer over that of the next, above 0 and at most 1, or null", hashed=True, added=None, gt=0, le=1
    )
    freeze: Annotated[int, Field(ge=1)] | Literal["body"] | None = key(
        "null, body (all but the last layer) or the number of first stages", hashed=True, added=None, remedy="body"
    )
    label_smoothing: float = key("at least 0 and below 1", hashed=True, ge=0, lt=1, remedy="0.1")
    dropout: float | None = key(
        "null (the network's own) or at least 0 and below 1", hashed=True, ge=0, lt=1, remedy="0.2"
    )

    @model_validator(mode="after")
    def _check(self) -> RecipeConfig:
        if self.clip_norm is not None and self.clip_value is not None:
            raise ConfigError(
                f"recipe.clip_norm must be null with recipe.clip_value, got {self.clip_norm:g}; "
                "try recipe.clip_value=null"
            )
        for name in ("freeze", "layer_decay"):
            if self.on_features and (value := getattr(self, name)) is not None:
                raise ConfigError(
                    f"recipe.{name} must be null with recipe.on_features, where one layer alone learns, got {value}; "
                    f"try recipe.{name}=null"
                )
        if self.batch_size % self.accumulate:
            raise ConfigError(
                f"recipe.accumulate must divide recipe.batch_size ({self.batch_size}), got {self.accumulate}; "
                f"try recipe.accumulate={min(_divisors(self.batch_size), key=lambda one: abs(one - self.accumulate))}"
            )
        return self
