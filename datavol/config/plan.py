"""Declares the keys of `plan`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from datavol.config.section import PathText, Section, at_least, key
from datavol.errors import ConfigError


class NodeConfig(Section):
    """Declares what a plan assumes of a larger machine."""

    cores: Annotated[int | Literal["auto"], at_least(1, "auto or at least 1", "16")] = key(
        "auto or a whole number of at least 1", hashed=False, remedy="16"
    )
    disk_gb_s: float = key("gigabytes per second above 0 that its disk reads", hashed=False, gt=0, remedy="2")
    link_gb_s: float = key("gigabytes per second above 0 between its devices", hashed=False, gt=0, remedy="10")
    network_gb_s: float = key("gigabytes per second above 0 between nodes", hashed=False, gt=0, remedy="1.1")


class PlanConfig(Section):
    """Declares what `python -m datavol.plan` needs to know."""

    timing: bool = key("true or false", hashed=False, remedy="false")
    images_per_second: float | None = key(
        "training images per second above 0, or null", hashed=False, gt=0, remedy="1200"
    )
    device_images_per_second: float | None = key(
        "training images per second of one device above 0, or null", hashed=False, gt=0, remedy="400"
    )
    decode_per_core: float | None = key(
        "images per second above 0 that one core loads, or null", hashed=False, gt=0, remedy="500"
    )
    image_kb: float | None = key("kilobytes above 0 of an image's file, or null", hashed=False, gt=0, remedy="110")
    price_per_hour: float | None = key(
        "money above 0 that a device costs in an hour, or null", hashed=False, gt=0, remedy="2.5"
    )
    node: NodeConfig = key("a section", hashed=False)
    images: int | None = key(
        "images of a training set that is not here, at least 1, or null", hashed=False, ge=1, remedy="1281167"
    )
    classes: int = key("classes of that set, at least 2", hashed=False, ge=2, remedy="1000")
    schedules: PathText | None = key(
        "a file to draw the learning rates into, .png, .pdf or .svg, or null", hashed=False, remedy="lr.png"
    )
    validation_images: int = key("validation images of that set, at least 1", hashed=False, ge=1, remedy="50000")

    @model_validator(mode="after")
    def _check(self) -> PlanConfig:
        if self.images_per_second is not None and self.device_images_per_second is not None:
            raise ConfigError(
                "plan.images_per_second must be left out beside plan.device_images_per_second, from which it is "
                f"predicted, got {self.images_per_second:g}; leave one of them out"
            )
        return self
