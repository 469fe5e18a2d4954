"""Declares the keys of `conf/trainer/` and of checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from datavol.config.section import Count, Section, key
from datavol.errors import ConfigError


class TrainerConfig(Section):
    accelerator: str = key("auto, cpu, gpu or another of Lightning's", hashed=False, remedy="cpu")
    devices: Count = key("auto or a whole number of at least 1", hashed=False, remedy="1")
    num_nodes: int = key("a whole number of at least 1", hashed=False, ge=1, remedy="1")
    strategy: str = key("auto, ddp or another of Lightning's", hashed=False, remedy="ddp")
    precision: Annotated[Literal["auto", "32", "16-mixed", "bf16-mixed", "64"], BeforeValidator(str)] = key(
        "auto, 32, 16-mixed, bf16-mixed or 64", hashed=True, remedy="32"
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = key(
        "auto, channels_last or contiguous", hashed=False, remedy="channels_last"
    )
    compile: bool | Literal["auto"] = key("auto, true or false", hashed=False, remedy="false")
    cudnn_benchmark: bool | Literal["auto"] = key("auto, true or false", hashed=False, remedy="false")
    sync_batchnorm: bool = key(
        "true or false: batch normalisation over the global batch, on GPUs", hashed=True, added=False
    )
    threads: Count = key("auto or a whole number of at least 1", hashed=False, remedy="2")
    log_every_n_steps: int = key(
        "iterations between two points of the training loss, at least 1", hashed=False, added=50, ge=1, remedy="50"
    )

    @model_validator(mode="after")
    def _check(self) -> TrainerConfig:
        self.check_synchronised(on_cpu=self.accelerator == "cpu")
        return self

    def check_synchronised(self, *, on_cpu: bool) -> None:
        """Raise a ConfigError if a CPU shall normalise over all ranks."""
        if self.sync_batchnorm and on_cpu:
            raise ConfigError(
                "trainer.sync_batchnorm must be false on a CPU, for which torch has none, got true; "
                "try trainer.sync_batchnorm=false"
            )


class CheckpointConfig(Section):
    every_minutes: float = key(
        "minutes between two checkpoints inside a budget epoch, at least 0 (0: none)", hashed=False, ge=0, remedy="30"
    )
    keep: Literal["last_and_best", "all"] = key("last_and_best or all", hashed=False, remedy="last_and_best")
    trunk: bool = key(
        "true or false: also keep that where the cool-down of wsd begins, for `trunk` of longer runs",
        hashed=False,
        added=False,
        remedy="false",
    )
