"""Adds up what a sweep costs: device hours, money, the image cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datavol.cli.text import about
from datavol.config.data import FilesConfig
from datavol.data.images.cache_policy import limit_bytes, short_side
from datavol.data.images.cache_size import cache_folder, estimate_bytes
from datavol.data.sources.files.file_table import FileSplit
from datavol.planning.plan import Plan
from datavol.planning.prediction import device_count, is_predicted, on_cpu
from datavol.planning.speed import Speed, seconds_left
from datavol.sweep.devices import visible_gpus


@dataclass(frozen=True)
class DeviceHours:
    """Holds for how many hours devices are busy, and what one costs."""

    hours: float
    unit: str  # GPU, or machine for a CPU, which all runs share
    price: float | None  # money per hour of one, in whatever currency

    def __str__(self) -> str:
        return f"{_amount(self.hours)} {self.unit} hours"

    @property
    def cost(self) -> str | None:
        """Write the money that the hours cost; None without a price."""
        if self.price is None:
            return None
        return f"about {_amount(self.hours * self.price)} at {self.price:g} per {self.unit} hour"


def device_hours(plans: Sequence[Plan], speeds: Sequence[Speed], wall: float | None, places: int) -> DeviceHours | None:
    """Add up the hours that devices are busy; None without a speed.

    Args:
        plans: The runs.
        speeds: Of each run.
        wall: Seconds from the sweep's begin to its end.
        places: Runs at once.
    """
    seconds = [seconds_left(plan, speed) for plan, speed in zip(plans, speeds, strict=True)]
    if wall is None or None in seconds:
        return None
    first = plans[0].run
    trainer, price, alone = first.config.trainer, first.config.plan.price_per_hour, first.on_cluster
    if on_cpu(trainer):  # the runs of this machine share it
        busy = sum(map(float, filter(None, seconds))) if alone else wall
        return DeviceHours(busy * trainer.num_nodes / 3600, "machine", price)
    each = device_count(trainer)
    busy = sum(float(one or 0) * each for one in seconds)
    if not (alone or is_predicted(first.config)):  # runs of small networks may share a GPU
        busy *= min(1.0, max(1, len(visible_gpus())) / (places * each))
    return DeviceHours(busy / 3600, "GPU", price)


def cache_lines(plans: Sequence[Plan]) -> list[str]:
    """Foretell the size of the image cache of each data set that has one."""
    lines: list[str] = []
    for source in {id(plan.prepared.source): plan.prepared.source for plan in plans}.values():
        of_source = [plan for plan in plans if plan.prepared.source is source]
        data = of_source[0].run.config.data
        if not isinstance(data, FilesConfig) or not isinstance(source.train, FileSplit) or data.cache == "off":
            continue
        side = short_side(data, source)["short_side"] if data.short_side == "auto" else data.short_side
        if side is None:  # images as they are, decoded each time
            continue
        assert isinstance(source.val, FileSplit)
        used = np.unique(np.concatenate([plan.prepared.subset.indices for plan in of_source]))
        share = len(used) / len(source.train)
        needed, limit = share * estimate_bytes(source.train, side) + estimate_bytes(source.val, side), limit_bytes(data)
        place = cache_folder("ram" if data.cache == "ram" else "disk", data.cache_dir)
        over = f", which may take {_size(limit)}: other images are decoded each time" if needed > limit else ""
        lines.append(f"image cache: about {_size(needed)} in {place}{over}")
    return lines


def _amount(value: float) -> str:
    """Write hours or money in two digits.

    >>> _amount(1234.5), _amount(12.34), _amount(0.0123)
    ('1,200', '12', '0.012')
    """
    return about(value) if value >= 10 else f"{value:.2g}"


def _size(count: float) -> str:
    """Write bytes in two digits.

    >>> _size(2.34e9), _size(14_976)
    ('2.3 GB', '15 kB')
    """
    unit, name = next((one for one in ((1e9, "GB"), (1e6, "MB")) if count >= one[0]), (1e3, "kB"))
    return f"{_amount(count / unit)} {name}"
