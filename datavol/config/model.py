"""Declares the keys of `conf/model/`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from datavol.config.section import PathText, Section, key
from datavol.errors import ConfigError

TORCHVISION_NETWORKS = ("mobilenet_v2", "resnet50")


class ModelConfig(Section):
    library: Literal["torchvision", "timm"] = key("torchvision or timm", hashed=True)
    name: str | None = key("a network's name", hashed=True, remedy="densenet121")
    stem: Literal["standard", "small"] = key("standard or small", hashed=True, remedy="standard")
    weights: PathText | None = key("imagenet, a file, with model=timm also a tag, or null", hashed=True, remedy="null")

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
