"""Declares the keys of `conf/model/`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from datavol.config.objects import ObjectConfig
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


class OwnModelConfig(ObjectConfig):
    """Declares a network of the user's; further keys are its arguments."""

    name: str | None = key("a name for tables, or null (the class's, with its arguments)", hashed=True, default=None)
    weights: PathText | None = key("a file of weights, or null", hashed=True, remedy="null", default=None)


def _kind(values: Any) -> str:
    """Choose the section of a network; the user's have a `_target_`."""
    return "own" if isinstance(values, OwnModelConfig) or "_target_" in values else "library"


AnyModel = Annotated[
    Annotated[ModelConfig, Tag("library")] | Annotated[OwnModelConfig, Tag("own")], Discriminator(_kind)
]


def own_name(model: dict[str, Any]) -> str:
    """Name a network by its class and arguments.

    >>> own_name({"_target_": "nets.Small", "width": 32})
    'Small(width=32)'
    """
    options = {name: value for name, value in model.items() if name not in ("_target_", "name", "weights")}
    inner = ",".join(f"{name}={value}" for name, value in options.items())
    return str(model["_target_"]).rpartition(".")[2] + (f"({inner})" if inner else "")
