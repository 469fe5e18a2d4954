"""Finds runs' speeds: given, timed, or predicted from one device."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datavol.cli.installed import check_installed
from datavol.cli.lifeline import child_environment
from datavol.config.run import Run
from datavol.errors import ConfigError
from datavol.planning.plan import Plan
from datavol.planning.prediction import Scaling, given_steps, is_predicted, one_device, scale
from datavol.sweep.job import write_job


@dataclass(frozen=True)
class Speed:
    """Holds the speed of a run on its devices."""

    train: float | None  # training images per second, or None if not known
    val: float | None = None  # evaluated images per second
    start_seconds: float = 0.0  # from the command to the first iteration
    scaling: Scaling | None = None  # where the speed is predicted from that of one device


def find_speeds(plans: list[Plan], environment: dict[str, str] | None = None) -> list[Speed]:
    """Find each run's speed, once per network, recipe, data and trainer.

    `environment` is that of a run.
    """
    timed: list[tuple[object, Speed]] = []  # no dictionary: configurations that hold lists are not hashable
    speeds = []
    for plan in plans:
        config = plan.run.config
        kind = (config.model, config.recipe, config.data, config.trainer, config.plan, plan.epochs_left == 0)
        known = next((speed for other, speed in timed if other == kind), None)
        if known is None:
            known = _find_speed(plan, environment)
            timed.append((kind, known))
        speeds.append(known)
    return speeds


def _find_speed(plan: Plan, environment: dict[str, str] | None) -> Speed:
    config = plan.run.config
    if config.plan.images_per_second is not None:
        return Speed(config.plan.images_per_second, config.plan.images_per_second)
    can_time = config.plan.timing and not config.plan.images
    if plan.epochs_left == 0 or not (can_time or config.plan.device_images_per_second):
        return Speed(None)
    if is_predicted(config):
        return _predict(plan, can_time, environment)
    found, start_seconds = _time(plan.run, "run", environment)
    return Speed(found["train"], found["val"], start_seconds)


def _predict(plan: Plan, can_time: bool, environment: dict[str, str] | None) -> Speed:
    """Predict the speed of devices that are not here."""
    config, start_seconds = plan.run.config, 0.0
    steps, decode = given_steps(config), config.plan.decode_per_core
    if steps is None:
        one_device(config)  # raises before anything is timed
        timed, start_seconds = _time(plan.run, "device", environment)
        steps, decode = [(size, seconds) for size, seconds in timed["steps"]], decode or timed["decode_per_core"]
    elif decode is None and can_time:
        decode = _time(plan.run, "loading", environment)[0]["decode_per_core"]
    scaling = scale(config, plan.prepared, steps, decode)
    pace = scaling.planned.images_per_second
    return Speed(pace, pace, start_seconds, scaling)  # evaluation, without a backward pass, counts as no faster


def _time(run: Run, what: str, environment: dict[str, str] | None) -> tuple[dict[str, Any], float]:
    """Run `datavol.planning.throughput`; return its figures and start-up seconds."""
    check_installed("train")
    print(f"timing {run.config.model.name} on {run.config.data.name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="datavol-") as folder:
        file = Path(folder) / "run.json"
        write_job(file, run)
        began = time.time()  # the wall clock: the two processes compare theirs
        command = [sys.executable, "-m", "datavol.planning.throughput", str(file), what]
        environ = child_environment(**(environment or {}))
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environ)
    if answer.returncode:
        raise ConfigError("plan.timing must succeed, and it failed as said above; try plan.timing=false")
    figures = json.loads(answer.stdout.splitlines()[-1])  # before the last line, what libraries print
    return figures, figures.get("first_iteration", began) - began


def seconds_left(plan: Plan, speed: Speed) -> float | None:
    """Estimate a run's remaining seconds; None where the speed is not known."""
    if plan.epochs_left == 0:
        return 0.0
    if speed.train is None:
        return None
    budget = plan.prepared.budget
    train = budget.iterations_per_epoch * budget.batch_size / speed.train
    images = len(plan.prepared.source.val.labels) if speed.val else 0
    return speed.start_seconds + plan.epochs_left * (train + images / (speed.val or 1.0))


def wall_seconds(plans: list[Plan], speeds: list[Speed], places: int) -> float | None:
    """Estimate a sweep's duration with `places` runs at once."""
    busy_until = [0.0] * places
    for plan, speed in zip(plans, speeds, strict=True):
        seconds = seconds_left(plan, speed)
        if seconds is None:
            return None
        busy_until[busy_until.index(min(busy_until))] += seconds  # the next run starts where a place is free first
    return max(busy_until)
