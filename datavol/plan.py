"""What a sweep would do and cost, before it does it: `python -m datavol.plan <the arguments of datavol.run>`."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datavol.cli.boundary import cli_errors
from datavol.cli.console import console as open_console
from datavol.config import Run
from datavol.config.compose import compose, parse
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from datavol.planning.plan import Plan, Speed
    from datavol.planning.prediction import Scaling


@cli_errors
def main() -> None:
    """Print what each run would do, whether it is done, and what the sweep would take."""
    arguments = parse(sys.argv[1:])
    if arguments.help:
        print(f"{__doc__}\n\nplan.timing=false leaves the timing out; plan.images_per_second=1200 takes that figure.")
        print("plan.device_images_per_second=400 is one device's; more devices than are here are predicted from one.")
        print("plan.images=1281167 plan.classes=1000 plans for a training set that is not here.")
        print("plan.schedules=lr.png draws the learning rates of the runs against their iterations.")
        return
    plans = plan_runs(compose(arguments.overrides, multirun=arguments.multirun))
    from datavol.planning.plan import wall_seconds
    from datavol.sweep.devices import shares

    config = plans[0].run.config
    if config.plan.schedules is not None:
        _draw_schedules(plans, Path(config.plan.schedules))
    speeds = find_speeds(plans)
    places = len(shares(config.sweep.parallel, config.trainer, len(plans)))
    _print(plans, speeds, wall_seconds(plans, speeds, places), places)


def plan_runs(runs: list[Run]) -> list[Plan]:
    """Plan the runs, each data set opened once; torch is not imported."""
    from datavol.planning.plan import plan_run, planned_source

    opened: list[tuple[object, object]] = []
    plans = []
    for run in runs:
        asked = (run.config.data, run.config.plan)
        source = next((source for known, source in opened if known == asked), None)
        if source is None:
            source = planned_source(run.config)
            opened.append((asked, source))
        plans.append(plan_run(run, source))  # type: ignore[arg-type]
    return plans


def _draw_schedules(plans: list[Plan], file: Path) -> None:
    from datavol.planning.schedules import schedule_curves
    from datavol.study.figures import learning_rate_curves
    from datavol.study.report.renderer import draw_into

    draw_into(file, lambda figure: learning_rate_curves(schedule_curves(plans), figure))
    print(f"learning rates: {file}", file=sys.stderr)


def find_speeds(plans: list[Plan]) -> list[Speed]:
    """The speed of every run: the figure given, or one timing or prediction per network, recipe, data and trainer."""
    timed: list[tuple[object, Speed]] = []
    speeds = []
    for plan in plans:
        config = plan.run.config
        kind = (config.model, config.recipe, config.data, config.trainer, config.plan, plan.epochs_left == 0)
        known = next((speed for other, speed in timed if other == kind), None)
        if known is None:
            known = _find_speed(plan)
            timed.append((kind, known))
        speeds.append(known)
    return speeds


def _find_speed(plan: Plan) -> Speed:
    from datavol.planning.plan import Speed
    from datavol.planning.prediction import is_predicted

    config = plan.run.config
    if config.plan.images_per_second is not None:
        return Speed(config.plan.images_per_second, config.plan.images_per_second)
    can_time = config.plan.timing and not config.plan.images
    if plan.epochs_left == 0 or not (can_time or config.plan.device_images_per_second):
        return Speed(None)
    if is_predicted(config):
        return _predict(plan, can_time)
    found, start_seconds = _time(plan.run, "run")
    return Speed(found["train"], found["val"], start_seconds)


def _predict(plan: Plan, can_time: bool) -> Speed:
    """Predict the speed of devices that are not here; evaluation counts as no faster than training."""
    from datavol.planning.plan import Speed
    from datavol.planning.prediction import given_steps, one_device, scale

    config, start_seconds = plan.run.config, 0.0
    steps, decode = given_steps(config), config.plan.decode_per_core
    if steps is None:
        one_device(config)  # raises before anything is timed
        found, start_seconds = _time(plan.run, "device")
        steps, decode = [(size, seconds) for size, seconds in found["steps"]], decode or found["decode_per_core"]
    elif decode is None and can_time:
        decode = _time(plan.run, "loading")[0]["decode_per_core"]
    scaling = scale(config, plan.prepared, steps, decode)
    pace = scaling.planned.images_per_second
    return Speed(pace, pace, start_seconds, scaling)


def _time(run: Run, what: str) -> tuple[dict[str, Any], float]:
    """Figures of `datavol.planning.throughput`, measured in a process of its own, and its start-up seconds."""
    from datavol.sweep.job import write_job

    print(f"timing {run.config.model.name} on {run.config.data.name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="datavol-") as place:
        file = Path(place) / "run.json"
        write_job(file, run)
        began = time.time()
        command = [sys.executable, "-m", "datavol.planning.throughput", str(file), what]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    if answer.returncode:
        raise ConfigError("plan.timing must succeed, and it failed as said above; try plan.timing=false")
    found = json.loads(answer.stdout.splitlines()[-1])
    return found, found.get("first_iteration", began) - began


def _print(plans: list[Plan], speeds: list[Speed], wall: float | None, places: int) -> None:
    from rich.table import Table

    table = Table(title="what the sweep would do")
    for name in ("run", "images", "budget epochs", "iterations", "passes", "LR step", "warm-up", "evaluations"):
        table.add_column(name, justify="left" if name == "run" else "right")
    table.add_column("checkpoints", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("still takes", justify="right")
    for plan, speed in zip(plans, speeds, strict=True):
        table.add_row(*_cells(plan, speed))
    console = open_console(180)
    console.print(table)
    console.print(
        "LR step and warm-up in passes over the subset, as the thesis's table 6; * rounding changes them there"
    )
    for line in _sums(plans, wall, places):
        console.print(line, soft_wrap=True, highlight=False)
    for scaling in {id(speed.scaling): speed.scaling for speed in speeds if speed.scaling}.values():
        print_scaling(console, scaling)


def print_scaling(console: Console, scaling: Scaling) -> None:
    """Print predictions for 1 to 64 devices: their pace, and what each resource would allow alone."""
    from rich.table import Table

    planned = scaling.planned
    head = f"{scaling.title}: {planned.images_per_second:,.0f} images/s predicted, limited by {planned.limiting}"
    console.print(f"\n{head}", soft_wrap=True, highlight=False)
    table = Table(caption="a resource's column: images/s if the others took no time", caption_justify="left")
    for name in ("devices", "images/s", "efficiency", "limited by", *planned.limits):
        table.add_column(name, justify="left" if name == "limited by" else "right")
    counts = {one.devices: one for one in [*scaling.others, planned]}
    for _, one in sorted(counts.items()):
        limits = ["-" if math.isinf(limit) else f"{limit:,.0f}" for limit in one.limits.values()]
        cells = [str(one.devices), f"{one.images_per_second:,.0f}", f"{one.efficiency:.0%}", one.limiting, *limits]
        table.add_row(*cells, style="bold" if one is planned else None)
    console.print(table)
    console.print(scaling.assumed, soft_wrap=True, highlight=False)


def _cells(plan: Plan, speed: Speed) -> list[str]:
    budget, units = plan.prepared.budget, plan.units
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
        _time_text(plan.seconds(speed)),
    ]


def _sums(plans: list[Plan], wall: float | None, places: int) -> list[str]:
    from datavol.planning.plan import existing

    size = sum(plan.checkpoint_bytes or 0 for plan in plans if plan.state != "finished")
    place = existing(plans[0].run.folder)
    free = shutil.disk_usage(place).free
    states = [plan.state for plan in plans]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", "resumable", "missing"))
    iterations = sum(plan.prepared.budget.iterations for plan in plans)
    lines = [
        f"{len(plans)} run{'s' * (len(plans) > 1)}: {counts}; {iterations:,} iterations",
        f"time: {_time_text(wall)} with {places} at once" if wall is not None else "time: not known without a timing",
        f"disk: {size / 1e9:.2f} GB of checkpoints, {free / 1e9:.1f} GB free",
    ]
    if size > free:
        raise ConfigError(
            f"checkpoints must fit on the disk of {place}, got {size / 1e9:.1f} GB for {free / 1e9:.1f} GB free; "
            "make room, or try checkpoint.keep=last_and_best"
        )
    return lines


def _time_text(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))


if __name__ == "__main__":
    main()
