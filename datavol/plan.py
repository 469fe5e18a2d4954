"""Plans a sweep and its cost: `python -m datavol.plan <arguments of datavol.run>`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from datavol.cli.boundary import cli_errors
from datavol.cli.console import announce
from datavol.config.ask import without_question
from datavol.config.command_line.jobs import distinct_runs
from datavol.config.compose import compose, parse

if TYPE_CHECKING:
    from datavol.planning.plan import Plan

HELP = """\
usage: datavol plan [-m] [options] [group=name ...] [key=value ...]

Says what the same arguments of datavol run would do and take, before anything
is trained.

  plan.timing=false                    leaves the timing out
  plan.images_per_second=1200          takes that figure
  plan.device_images_per_second=400    is one device's, from which more are
                                       predicted
  plan.images=1281167 plan.classes=1000
                                       plans for data that are not here
  plan.price_per_hour=2.5              adds what the hours of devices cost
  plan.schedules=lr.png                draws the learning rates
  --config-dir DIR, --debug, --version as for datavol run
"""
OTHERS = ("", "model", "data", "recipe", "trainer", "sweep", "imbalance")
"""Sections of keys that a plan heeds beside its own."""


@cli_errors
def main() -> None:
    """Print each run's plan and state, and the sweep's cost."""
    arguments = parse(sys.argv[1:])
    if arguments.help:
        from datavol.config.command_line.meanings import key_help

        print(HELP)
        print(key_help(compose(arguments.overrides, multirun=True)[0].values, ("plan", *OTHERS)), end="")
        return
    without_question(arguments.overrides)
    compose(arguments.overrides, multirun=arguments.multirun)  # a mistake is told before the slow imports
    from datavol.training.own_images import compose_own

    every, chosen = compose_own(arguments.overrides, multirun=arguments.multirun)
    announce(map(str, chosen))
    runs = distinct_runs(every)
    from datavol.planning.plan import plan_runs  # after the configuration: it opens the data
    from datavol.planning.speed import find_speeds, wall_seconds
    from datavol.planning.tables import print_plan
    from datavol.sweep.devices import run_environments
    from datavol.training.opening import opening
    from datavol.training.preflight import check_settings, check_weights

    check_settings(runs)
    plans, config = plan_runs(runs), runs[0].config
    prepared = [plan.prepared for plan in plans]
    announce(opening(runs, prepared))
    check_weights(runs, prepared)
    if config.plan.schedules is not None:
        draw_schedules(plans, Path(config.plan.schedules))
    places = run_environments(config.sweep.parallel, [run.config for run in runs])
    speeds = find_speeds(plans, places[0])  # may take seconds of timing
    print_plan(plans, speeds, wall_seconds(plans, speeds, len(places)), len(places))


def draw_schedules(plans: list[Plan], file: Path) -> None:
    """Draw the learning rates of planned runs into a file."""
    from datavol.planning.learning_rates import schedule_curves
    from datavol.study.figures import learning_rate_curves
    from datavol.study.report.renderer import draw_into

    draw_into(file, lambda figure: learning_rate_curves(schedule_curves(plans), figure))
    print(f"learning rates: {file}", file=sys.stderr)


if __name__ == "__main__":
    main()
