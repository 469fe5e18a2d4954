"""Prints plans and predictions as tables."""

import math
import shutil
from datetime import timedelta

from rich.console import Console
from rich.table import Table

from datavol.cli.console import console as open_console
from datavol.errors import ConfigError
from datavol.planning.costs import DeviceHours, cache_lines, device_hours
from datavol.planning.plan import Plan
from datavol.planning.prediction import Scaling
from datavol.planning.speed import Speed, seconds_left
from datavol.runs.files import nearest_folder


def print_plan(plans: list[Plan], speeds: list[Speed], wall: float | None, places: int) -> None:
    """Print the runs as a table, the sweep's cost, and predictions."""
    table = Table(title="what the sweep would do")
    groups = any(plan.prepared.subset.groups is not None for plan in plans)
    for name in (
        "run",
        "images",
        *["groups"] * groups,
        "budget epochs",
        "iterations",
        "passes",
        "LR step",
        "warm-up",
        "evaluations",
    ):
        table.add_column(name, justify="left" if name == "run" else "right")
    table.add_column("checkpoints", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("still takes", justify="right")
    for plan, speed in zip(plans, speeds, strict=True):
        name, images, *others = _cells(plan, speed)
        table.add_row(name, images, *[f"{plan.prepared.subset.groups or 0:,}"] * groups, *others)
    console = open_console(180)
    console.print(table)
    console.print(
        "LR step and warm-up in passes over the subset, as the thesis's table 6; * rounding changes them there"
    )
    for line in _sums(plans, wall, places, device_hours(plans, speeds, wall, places)):
        console.print(line, soft_wrap=True, highlight=False)
    # runs of one network, recipe, data and trainer share one Scaling object, which is printed once
    for scaling in {id(speed.scaling): speed.scaling for speed in speeds if speed.scaling}.values():
        print_scaling(console, scaling)


def print_scaling(console: Console, scaling: Scaling) -> None:
    """Print predictions for 1 to 64 devices, with each resource's limit."""
    planned = scaling.planned
    head = f"{scaling.title}: {planned.images_per_second:,.0f} images/s predicted, limited by {planned.limiting}"
    console.print(f"\n{head}", soft_wrap=True, highlight=False)
    table = Table(caption="a resource's column: images/s if the others took no time", caption_justify="left")
    for name in ("devices", "images/s", "efficiency", "limited by", *planned.limits):
        table.add_column(name, justify="left" if name == "limited by" else "right")
    counts = {one.devices: one for one in [*scaling.others, planned]}  # `planned` last, to replace its equal
    for _, one in sorted(counts.items()):
        limits = ["-" if math.isinf(limit) else f"{limit:,.0f}" for limit in one.limits.values()]
        cells = [str(one.devices), f"{one.images_per_second:,.0f}", f"{one.efficiency:.0%}", one.limiting, *limits]
        table.add_row(*cells, style="bold" if one is planned else None)
    console.print(table)
    console.print(scaling.assumed, soft_wrap=True, highlight=False)


def _cells(plan: Plan, speed: Speed) -> list[str]:
    budget, units = plan.prepared.budget, plan.units
    # epochs, LR step, warm-up in passes over the subset, as in the thesis's table 6: where rounding changes one, both
    durations = [
        f"{exact:g}" if not changed else f"{rounded}* ({exact:.2f})"
        for exact, rounded, changed in zip(units.exact, units.rounded, units.changed, strict=True)
    ]
    steps = durations[1] if plan.run.config.recipe.schedule.name == "step" else "-"
    size = "-" if plan.checkpoint_bytes is None else f"{plan.checkpoint_bytes / 1e6:,.0f} MB"
    return [
        plan.run.folder.name,
        f"{budget.subset_size:,}",
        str(budget.epochs),
        f"{budget.iterations:,}",
        f"{budget.passes:,.1f}",
        steps,
        durations[2],
        str(budget.epochs),
        size,
        plan.state,
        _time_text(seconds_left(plan, speed)),
    ]


def _sums(plans: list[Plan], wall: float | None, places: int, hours: DeviceHours | None) -> list[str]:
    size = sum(plan.checkpoint_bytes or 0 for plan in plans if plan.state != "finished")
    place = nearest_folder(plans[0].run.folder)  # the run's own does not exist yet, and a plan makes none
    free = shutil.disk_usage(place).free
    states = [plan.state for plan in plans]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", "resumable", "missing"))
    iterations = sum(plan.prepared.budget.iterations for plan in plans)
    lines = [
        f"{len(plans)} run{'s' * (len(plans) > 1)}: {counts}; {iterations:,} iterations",
        f"time: {_time_text(wall)} with {places} at once; {hours}" if hours else "time: not known without a timing",
        *([f"cost: {hours.cost}"] if hours and hours.cost else []),
        f"disk: {size / 1e9:.2f} GB of checkpoints, {free / 1e9:.1f} GB free",
        *cache_lines(plans),
    ]
    if size > free:
        raise ConfigError(
            f"checkpoints must fit on the disk of {place}, got {size / 1e9:.1f} GB for {free / 1e9:.1f} GB free; "
            "make room, or try checkpoint.keep=last_and_best"
        )
    return lines


def _time_text(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))
