"""The keys of `plan`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from datavol.config.section import Section, key
from datavol.errors import ConfigError


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
