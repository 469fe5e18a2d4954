"""The keys of `conf/model/`, `conf/trainer/`, `conf/logger/` and of checkpoints: what runs, where, and what is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from datavol.config.section import Section, Text, key
from datavol.errors import ConfigError

TORCHVISION_NETWORKS = ("mobilenet_v2", "resnet50")


class ModelConfig(Section):
    library: Literal["torchvision", "timm"] = key("torchvision or timm", hashed=True)
    name: str | None = key("a network's name", hashed=True, remedy="model.name=densenet121")
    stem: Literal["standard", "small"] = key("standard or small", hashed=True, remedy="model.stem=standard")
    weights: str | None = key("a file of weights, with model=timm also a tag, or null", hashed=True)

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.name is None:
            raise ConfigError("model.name must be given with model=timm, got nothing; try model.name=densenet121")
        if self.library == "torchvision" and self.name not in TORCHVISION_NETWORKS:
            raise ConfigError(
                f"model.name must be one of {', '.join(TORCHVISION_NETWORKS)} unless model=timm, got '{self.name}'; "
                f"try model=timm model.name={self.name}"
            )
        if self.library == "timm" and self.stem == "small":
            raise ConfigError("model.stem must be standard with model=timm, got small; leave model.stem out")
        return self


class TrainerConfig(Section):
    accelerator: str = key("auto, cpu, gpu or another of Lightning's", hashed=False, remedy="trainer.accelerator=cpu")
    devices: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="trainer.devices=1"
    )
    num_nodes: int = key("a whole number of at least 1", hashed=False, ge=1, remedy="trainer.num_nodes=1")
    strategy: str = key("auto, ddp or another of Lightning's", hashed=False, remedy="trainer.strategy=ddp")
    precision: Annotated[Literal["auto", "32", "16-mixed", "bf16-mixed", "64"], BeforeValidator(str)] = key(
        "auto, 32, 16-mixed, bf16-mixed or 64", hashed=True, remedy="trainer.precision=32"
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = key(
        "auto, channels_last or contiguous", hashed=False, remedy="trainer.memory_format=channels_last"
    )
    compile: bool | Literal["auto"] = key("auto, true or false", hashed=False, remedy="trainer.compile=false")
    cudnn_benchmark: bool | Literal["auto"] = key(
        "auto, true or false", hashed=False, remedy="trainer.cudnn_benchmark=false"
    )
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


class SweepConfig(Section):
    """How the runs of `-m` are trained; none of it touches what they find."""

    parallel: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="sweep.parallel=2"
    )
    retries: int = key("a whole number of at least 0", hashed=False, ge=0, remedy="sweep.retries=1")
    rerun: bool = key("true or false", hashed=False, remedy="sweep.rerun=true")
    fail_fast: bool = key("true or false", hashed=False, remedy="sweep.fail_fast=true")

    @model_validator(mode="after")
    def _check(self) -> SweepConfig:
        if isinstance(self.parallel, int) and self.parallel < 1:
            raise ConfigError(f"sweep.parallel must be auto or at least 1, got {self.parallel}; try sweep.parallel=1")
        return self


class NodeConfig(Section):
    """What a plan assumes of a machine that has more devices than this one."""

    cores: int | Literal["auto"] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="plan.node.cores=16"
    )
    disk_gb_s: float = key(
        "gigabytes per second above 0 that its disk reads", hashed=False, gt=0, remedy="plan.node.disk_gb_s=2"
    )
    link_gb_s: float = key(
        "gigabytes per second above 0 between its devices", hashed=False, gt=0, remedy="plan.node.link_gb_s=10"
    )
    network_gb_s: float = key(
        "gigabytes per second above 0 between nodes", hashed=False, gt=0, remedy="plan.node.network_gb_s=1.1"
    )

    @model_validator(mode="after")
    def _check(self) -> NodeConfig:
        if isinstance(self.cores, int) and self.cores < 1:
            raise ConfigError(f"plan.node.cores must be auto or at least 1, got {self.cores}; try plan.node.cores=16")
        return self


class PlanConfig(Section):
    """What `python -m datavol.plan` goes by."""

    timing: bool = key("true or false", hashed=False, remedy="plan.timing=false")
    images_per_second: float | None = key(
        "training images per second above 0, or null", hashed=False, gt=0, remedy="plan.images_per_second=1200"
    )
    device_images_per_second: float | None = key(
        "training images per second of one device above 0, or null",
        hashed=False,
        gt=0,
        remedy="plan.device_images_per_second=400",
    )
    decode_per_core: float | None = key(
        "images per second above 0 that one core loads, or null", hashed=False, gt=0, remedy="plan.decode_per_core=500"
    )
    image_kb: float | None = key(
        "kilobytes above 0 of an image's file, or null", hashed=False, gt=0, remedy="plan.image_kb=110"
    )
    node: NodeConfig = key("a section", hashed=False)
    images: int | None = key(
        "images of a training set that is not here, at least 1, or null",
        hashed=False,
        ge=1,
        remedy="plan.images=1281167",
    )
    classes: int = key("classes of that set, at least 2", hashed=False, ge=2, remedy="plan.classes=1000")
    schedules: str | None = key(
        "a file to draw the learning rates into, .png, .pdf or .svg, or null",
        hashed=False,
        remedy="plan.schedules=lr.png",
    )
    validation_images: int = key(
        "validation images of that set, at least 1", hashed=False, ge=1, remedy="plan.validation_images=50000"
    )

    @model_validator(mode="after")
    def _check(self) -> PlanConfig:
        if self.images_per_second is not None and self.device_images_per_second is not None:
            raise ConfigError(
                "plan.images_per_second must be left out beside plan.device_images_per_second, from which it is "
                f"predicted, got {self.images_per_second:g}; leave one of them out"
            )
        return self


class CheckpointConfig(Section):
    every_minutes: float = key(
        "minutes between two checkpoints inside a budget epoch, at least 0 (0: none)",
        hashed=False,
        ge=0,
        remedy="checkpoint.every_minutes=30",
    )
    keep: Literal["last_and_best", "all"] = key(
        "last_and_best or all", hashed=False, remedy="checkpoint.keep=last_and_best"
    )
