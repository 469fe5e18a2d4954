"""The schema of `conf/`: every key, its type, its rule, and whether it is part of a run's identity.

Defaults live in the YAML files under `conf/` alone. Each key carries its rule in words (shown when a value breaks
it), a remedy, and a mark that says whether it enters the run's hash: `hashed=True` for what changes the science,
`hashed=False` for what only changes where, how fast or how visibly the same science is done.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from datavol.errors import ConfigError


def key(rule: str, *, hashed: bool, remedy: str = "", **limits: Any) -> Any:
    """One key of the schema: its rule in words, a remedy (`name=value`), its mark, and pydantic's limits."""
    return Field(description=rule, json_schema_extra={"hashed": hashed, "remedy": remedy}, **limits)


Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, (int, float)) else value)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A group of keys: frozen, typed strictly, closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class ModelConfig(Section):
    library: Literal["torchvision", "timm"] = key("torchvision or timm", hashed=True)
    name: str | None = key("a network's name", hashed=True, remedy="model.name=densenet121")
    stem: Literal["standard", "small"] = key("standard or small", hashed=True, remedy="model.stem=standard")

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.name is None:
            raise ConfigError("model.name must be given with model=timm, got nothing; try model.name=densenet121")
        if self.library == "timm" and self.stem == "small":
            raise ConfigError("model.stem must be standard with model=timm, got small; leave model.stem out")
        return self


class DataConfig(Section):
    """What every source has."""

    name: str = key("a name for tables and the study", hashed=False)
    image_size: int = key("the natural side of an image in pixels, at least 8", hashed=True, ge=8)
    resize: int = key(
        "the short side before the central crop of an evaluation in pixels, at least 8", hashed=True, ge=8
    )
    mean: Annotated[tuple[float, ...], Field(strict=False, min_length=3, max_length=3)] = key(
        "three channel means in [0, 1]", hashed=True
    )
    std: Annotated[tuple[float, ...], Field(strict=False, min_length=3, max_length=3)] = key(
        "three channel deviations above 0", hashed=True
    )
    flip: Share = key("a probability from 0 to 1", hashed=True, remedy="data.flip=0.5")
    crop_scale: float = key("the smallest area of a random crop, above 0 and at most 1", hashed=True, gt=0, le=1)
    partition_seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="data.partition_seed=0")
    workers: int | Literal["auto"] = key(
        "auto or a whole number of at least 0", hashed=False, remedy="data.workers=auto"
    )

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if isinstance(self.workers, int) and self.workers < 0:
            raise ConfigError(f"data.workers must be auto or at least 0, got {self.workers}; try data.workers=auto")
        if min(self.std) <= 0:
            raise ConfigError(f"data.std must be three deviations above 0, got {list(self.std)}; see data.mean")
        return self


VAL_FRACTION: dict[str, Any] = {"gt": 0, "lt": 1, "remedy": "data.val_fraction=0.2"}


class DigitsConfig(DataConfig):
    source: Literal["digits"] = key("digits", hashed=True)
    val_fraction: float = key("a share above 0 and below 1", hashed=True, **VAL_FRACTION)
    split_seed: int = key("a whole number of at least 0", hashed=True, ge=0)


class TorchvisionConfig(DataConfig):
    source: Literal["fashion_mnist", "cifar10", "cifar100"] = key("a data set of torchvision", hashed=True)
    root: str | None = key("a folder", hashed=False, remedy="data.root=/path/to/files")
    download: bool = key("true or false", hashed=False, remedy="data.download=true")


class FilesConfig(DataConfig):
    """What every source of image files has."""

    root: str | None = key("a folder", hashed=False, remedy="data.root=/path/to/images")
    on_damaged: Literal["stop", "replace"] = key("stop or replace", hashed=True, remedy="data.on_damaged=stop")
    cache_dir: str | None = key("a folder", hashed=False)

    @model_validator(mode="after")
    def _check_root(self) -> FilesConfig:
        if self.root is None and not isinstance(self, TableConfig):
            raise ConfigError("data.root must be a folder, got nothing; try data.root=/path/to/images")
        return self


class ImageNetConfig(FilesConfig):
    source: Literal["imagenet"] = key("imagenet", hashed=True)
    val_solution: str | None = key("Kaggle's LOC_val_solution.csv", hashed=False)


class ImageFolderConfig(FilesConfig):
    source: Literal["image_folder"] = key("image_folder", hashed=True)
    val_fraction: float | None = key("a share above 0 and below 1, or null", hashed=True, **VAL_FRACTION)
    split_seed: int = key("a whole number of at least 0", hashed=True, ge=0)


class TableConfig(FilesConfig):
    source: Literal["table"] = key("table", hashed=True)
    table: str | None = key("a CSV file with the columns path, label and split", hashed=False)
    val_fraction: float | None = key("a share above 0 and below 1, or null", hashed=True, **VAL_FRACTION)
    split_seed: int = key("a whole number of at least 0", hashed=True, ge=0)

    @model_validator(mode="after")
    def _check_table(self) -> TableConfig:
        if self.table is None:
            raise ConfigError(
                "data.table must be a CSV file with the columns path, label and split, got nothing; "
                "try data.table=/path/to/labels.csv"
            )
        return self


AnyData = Annotated[
    DigitsConfig | TorchvisionConfig | ImageNetConfig | ImageFolderConfig | TableConfig,
    Field(discriminator="source"),
]


class OptimiserConfig(Section):
    name: Literal["sgd", "adamw"] = key("sgd or adamw", hashed=True)
    lr: float = key("above 0", hashed=True, gt=0, remedy="recipe.optimiser.lr=0.1")
    momentum: float = key("at least 0 and below 1 (adamw takes it as its first beta)", hashed=True, ge=0, lt=1)
    nesterov: bool = key("true or false (sgd only)", hashed=True)
    weight_decay: float = key("at least 0", hashed=True, ge=0)


class ScheduleConfig(Section):
    """Durations are in budget epochs."""

    name: Literal["step", "cosine", "constant"] = key("step, cosine or constant", hashed=True)
    interval: Literal["epoch", "iteration"] = key("epoch or iteration", hashed=True)
    step_size: float = key("budget epochs between two decays, above 0", hashed=True, gt=0)
    gamma: float = key("the factor of a decay, above 0 and at most 1", hashed=True, gt=0, le=1)
    min_lr: float = key("at least 0", hashed=True, ge=0)
    warmup_epochs: float = key("budget epochs, at least 0", hashed=True, ge=0)
    warmup_start: float = key(
        "the share of the LR at which warm-up starts, above 0, at most 1", hashed=True, gt=0, le=1
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
    crop_size: int = key("pixels, at least 8", hashed=True, ge=8)
    crop_scale: float = key("the smallest area of a random crop, above 0 and at most 1", hashed=True, gt=0, le=1)
    flip: Share = key("a probability from 0 to 1", hashed=True)
    auto: Literal["ta_wide"] | None = key("ta_wide or null", hashed=True, remedy="recipe.augment.auto=null")
    erase: Share = key("a probability from 0 to 1", hashed=True)
    mixup_alpha: float = key("at least 0", hashed=True, ge=0)
    cutmix_alpha: float = key("at least 0", hashed=True, ge=0)


class EvaluateConfig(Section):
    resize: int = key("the short side in pixels, at least 8", hashed=True, ge=8)
    crop_size: int = key("pixels, at least 8 and at most recipe.evaluate.resize", hashed=True, ge=8)

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        if self.crop_size > self.resize:
            raise ConfigError(
                f"recipe.evaluate.crop_size must be at most recipe.evaluate.resize ({self.resize}), "
                f"got {self.crop_size}; try recipe.evaluate.crop_size={self.resize}"
            )
        return self


class RecipeConfig(Section):
    name: str = key("the recipe's name", hashed=True)
    epochs: int = key("the recipe's own number of budget epochs, at least 1", hashed=False, ge=1)
    batch_size: int = key("images of a global batch, at least 1", hashed=True, ge=1, remedy="recipe.batch_size=128")
    optimiser: OptimiserConfig = key("a section", hashed=True)
    schedule: ScheduleConfig = key("a section", hashed=True)
    augment: AugmentConfig = key("a section", hashed=True)
    evaluate: EvaluateConfig = key("a section", hashed=True)
    label_smoothing: float = key("at least 0 and below 1", hashed=True, ge=0, lt=1)
    dropout: float | None = key("null (the network's own) or at least 0 and below 1", hashed=True, ge=0, lt=1)


class TrainerConfig(Section):
    accelerator: str = key("auto, cpu, gpu or another of Lightning's", hashed=False, remedy="trainer.accelerator=cpu")
    devices: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="trainer.devices=1"
    )
    num_nodes: int = key("a whole number of at least 1", hashed=False, ge=1, remedy="trainer.num_nodes=1")
    strategy: str = key("auto, ddp or another of Lightning's", hashed=False, remedy="trainer.strategy=ddp")
    precision: Annotated[Literal["32", "16-mixed", "bf16-mixed", "64"], BeforeValidator(str)] = key(
        "32, 16-mixed, bf16-mixed or 64", hashed=True, remedy="trainer.precision=32"
    )
    memory_format: Literal["channels_last", "contiguous"] = key("channels_last or contiguous", hashed=False)
    threads: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="trainer.threads=2"
    )

    @model_validator(mode="after")
    def _check(self) -> TrainerConfig:
        for name in ("devices", "threads"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"trainer.{name} must be auto or at least 1, got {value}; try trainer.{name}=1")
        return self


class WandbConfig(Section):
    name: Literal["wandb"] = key("wandb", hashed=False)
    mode: Literal["auto", "online", "offline"] = key("auto, online or offline", hashed=False, remedy="logger.mode=auto")
    project: Text = key("a W&B project", hashed=False)
    entity: Text | None = key("a W&B user or team, or null", hashed=False)
    tags: list[Text] = key("a list of tags", hashed=False, remedy="logger.tags=[pilot]")


class CsvConfig(Section):
    name: Literal["csv"] = key("csv", hashed=False)


class CheckpointConfig(Section):
    keep: Literal["last_and_best", "all"] = key(
        "last_and_best or all", hashed=False, remedy="checkpoint.keep=last_and_best"
    )


SEED: dict[str, Any] = {"ge": 0, "lt": 2**63}


class Config(Section):
    """One run, whole: what `python -m datavol.run` composed and checked."""

    study: Text = key(
        "a folder's name of letters, digits, '.', '_' and '-'",
        hashed=False,
        remedy="study=my_study",
        pattern=r"^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
    )
    fraction: float = key("a number above 0 and at most 1", hashed=True, gt=0, le=1, remedy="fraction=0.25")
    seed: int = key("a whole number of at least 0", hashed=False, remedy="seed=0", **SEED)
    draw_seed: int = key("a whole number of at least 0", hashed=True, remedy="draw_seed=0", **SEED)
    init_seed: int = key("a whole number of at least 0", hashed=True, remedy="init_seed=0", **SEED)
    order_seed: int = key("a whole number of at least 0", hashed=True, remedy="order_seed=0", **SEED)
    draw: Literal["independent", "nested", "disjoint"] = key(
        "independent, nested or disjoint", hashed=True, remedy="draw=independent"
    )
    subset_file: str | None = key("a text file with one index or path per line, or null", hashed=True)
    epochs: int = key("budget epochs, a whole number of at least 1", hashed=True, ge=1, remedy="epochs=90")
    budget: Literal["iterations", "epochs"] = key("iterations or epochs", hashed=True, remedy="budget=iterations")
    start_from: str | None = key("a checkpoint of another run, or null", hashed=True)
    check_every: int = key(
        "iterations between two looks for a non-finite loss, at least 1", hashed=False, ge=1, remedy="check_every=50"
    )
    evaluate_train: bool = key(
        "true or false: also evaluate the training subset under the evaluation transform", hashed=False
    )
    checkpoint: CheckpointConfig = key("a section", hashed=False)
    model: ModelConfig = key("a section", hashed=True)
    data: AnyData = key("a section", hashed=True)
    recipe: RecipeConfig = key("a section", hashed=True)
    trainer: TrainerConfig = key("a section", hashed=True)
    logger: Annotated[WandbConfig | CsvConfig, Field(discriminator="name")] = key("a section", hashed=False)

    @model_validator(mode="after")
    def _check(self) -> Config:
        check_across(self)
        return self

    @property
    def run_hash(self) -> str:
        """Eight hexadecimal digits of the scientific configuration (every key marked `hashed`)."""
        text = json.dumps(hashed_values(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def run_name(self) -> str:
        """The run's folder: readable, and ending in the hash."""
        seeds = (self.draw_seed, self.init_seed, self.order_seed)
        seed = f"seed{seeds[0]}" if len(set(seeds)) == 1 else "seeds" + "-".join(map(str, seeds))
        volume = "listed" if self.subset_file else f"{self.fraction * 100:g}pct"
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(self.model.name))
        return f"{name}-{volume}-{seed}-{self.run_hash}"


def check_across(config: Config) -> None:
    """The rules that tie several keys together and need no data."""
    recipe, trainer = config.recipe, config.trainer
    warmup = recipe.schedule.warmup_epochs
    if config.epochs <= warmup:
        raise ConfigError(
            f"epochs must be above the {warmup:g} budget epochs of recipe.schedule.warmup_epochs, got {config.epochs}; "
            f"try epochs={int(warmup) + 1} or recipe.schedule.warmup_epochs=0"
        )
    if isinstance(trainer.devices, int):
        check_batch_shares(recipe.batch_size, trainer.devices * trainer.num_nodes)
    if config.subset_file is not None and config.fraction != 1:
        raise ConfigError(
            f"fraction must be left at 1 when subset_file names the subset, got {config.fraction:g}; leave fraction out"
        )


def check_batch_shares(batch_size: int, world_size: int) -> None:
    """Raise unless each of `world_size` ranks gets the same whole share of a global batch."""
    if batch_size % world_size:
        raise ConfigError(
            f"recipe.batch_size must divide evenly among {world_size} devices, got {batch_size}; "
            f"try recipe.batch_size={max(1, round(batch_size / world_size)) * world_size}"
        )


def hashed_values(section: BaseModel) -> dict[str, Any]:
    """The keys of a section that are marked `hashed`, nested sections included."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        if not marks(field)["hashed"]:
            continue
        value = getattr(section, name)
        values[name] = hashed_values(value) if isinstance(value, BaseModel) else value
    return values


def marks(field: Any) -> dict[str, Any]:
    """The marks of one key: `hashed` and `remedy`."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or "hashed" not in extra:
        raise TypeError(f"a key of the schema has no mark: {field!r}")
    return extra


@dataclass(frozen=True)
class Run:
    """One run as asked for: its overrides, its values as composed, the same as checked objects, and its folder."""

    overrides: tuple[str, ...]
    values: dict[str, Any]
    config: Config
    folder: Path
