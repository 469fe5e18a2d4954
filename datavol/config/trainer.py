"""The keys of `conf/trainer/` and of checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from datavol.config.section import Section, key
from datavol.errors import ConfigError


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
