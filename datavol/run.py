"""Trains a run or a sweep: `python -m datavol.run [-m] key=value ...`.

In Python `datavol.run(...)` trains one run: see `datavol.api.run`.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import hydra

from datavol import CallableModule
from datavol.cli.boundary import cli_errors
from datavol.cli.console import announce, say
from datavol.cli.lifeline import die_with_parent
from datavol.config.ask import without_question
from datavol.config.command_line.jobs import distinct_runs
from datavol.config.compose import HYDRA_VERSION, arguments_of, compose, is_of_hydra, parse
from datavol.config.run import Run
from datavol.config.section import conf_dir
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import supersede
from datavol.sweep.job import is_first_rank, train_run

if TYPE_CHECKING:
    from datavol.data.prepare import Prepared

USAGE = """\
usage: datavol run [-m] [options] [group=name ...] [key=value ...]

Trains one run, or with -m one per combination of values (fraction=0.05,0.25).
Finished runs are skipped, interrupted ones resumed.

  -m, --multirun      values between commas ask for a run each
  --config-dir DIR    a folder of your own beside conf/: model/mine.yaml,
                      recipe/mine.yaml, experiment/mine.yaml, ...
  --cfg job           print the configuration, and train nothing; --resolve
                      fills in its references
  --info [searchpath] print how Hydra composed it; --hydra-help has more
  --debug             show the traceback of an error (or DATAVOL_DEBUG=1)
  --version           print datavol's version
"""
EXAMPLES = """\
One run:              python -m datavol.run fraction=0.25
A sweep:              python -m datavol.run -m model=resnet50,mobilenet_v2 \\
                          fraction=0.05,0.125,0.25
Your own images:      python -m datavol.run -m data=image_folder \\
                          data.root=/path/to/images fraction=0.1,0.2,0.4
ImageNet, four GPUs:  python -m datavol.run -m data=imagenet \\
                          data.root=/data/imagenet trainer=ddp \\
                          fraction=0.05,0.25
What a run would be:  python -m datavol.run fraction=0.25 --cfg job --resolve
"""


@cli_errors
def main() -> None:
    """Compose and check all runs, then let Hydra start them."""
    if not is_first_rank():  # Lightning started it, and the rank that did may have been killed since
        die_with_parent()
    arguments = parse(sys.argv[1:])
    if arguments.help:
        print_help(arguments.overrides)
        return
    sys.argv[1:] = arguments_of(arguments)  # Hydra parses them again, and the ranks of a run get them
    if arguments.hydra_help or arguments.shell_completion:
        print_of_hydra({})  # Hydra answers these itself
        return
    without_question(arguments.overrides)
    runs = compose(arguments.overrides, multirun=arguments.multirun)
    if arguments.cfg or arguments.info:
        print_of_hydra({run.overrides: run for run in runs})
        return
    from datavol.training.own_images import compose_own, overrides_in  # after the configuration: it opens the data

    every, chosen = compose_own(arguments.overrides, multirun=arguments.multirun)
    sys.argv += overrides_in(chosen)  # for Hydra, and for the ranks of a run
    runs = distinct_runs(every)
    first: Prepared | None = None
    if is_first_rank():  # Lightning starts the other ranks with this line
        from datavol.sweep.prepared import prepare_runs

        announce(map(str, chosen))
        runs, first = prepare_runs(runs)
    by_folder = {run.folder: run for run in runs}
    # by the overrides that Hydra's sweeper hands out, which are none of its own keys
    ours = {tuple(one for one in run.overrides if not is_of_hydra(one)): by_folder[run.folder] for run in every}
    start_hydra(ours, first)
    if first is not None and not arguments.multirun:
        from datavol.sweep.outcome import after_run

        for line in after_run(runs[0], first, arguments.overrides):
            say(line)


def print_help(overrides: list[str]) -> None:
    """List options, choices and keys with their values under these overrides."""
    from datavol.config.command_line.meanings import key_help

    run = compose(overrides, multirun=True)[0]
    print(USAGE, key_help(run.values), EXAMPLES, sep="\n", end="")


def train_alone(run: Run, prepared: Prepared | None) -> None:
    """Train one run; with `sweep.rerun` the old one is moved away first."""
    if run.config.sweep.rerun and is_first_rank():
        supersede([RunFolder(run.folder)])
    train_run(run, prepared)


def print_of_hydra(runs: dict[tuple[str, ...], Run]) -> None:
    """Print what Hydra answers by itself."""
    answer = io.StringIO()  # Hydra reports an output that is closed or full with a traceback of its own
    try:
        with redirect_stdout(answer):
            start_hydra(runs, None)
    finally:
        print(answer.getvalue(), end="")


def start_hydra(runs: dict[tuple[str, ...], Run], prepared: Prepared | None) -> None:
    """Start checked runs through Hydra: one alone, or a sweep.

    `runs` are keyed by their overrides.
    """

    def task(_: Any) -> None:
        (run,) = runs.values()
        try:
            cli_errors(lambda: train_alone(run, prepared))()
        finally:
            for folder in (run.folder, run.folder.parent):  # Hydra made them; a run that never started leaves none
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    # The launcher gets the task function alone, and trains the runs that it carries rather than compose them again
    task.runs = runs  # type: ignore[attr-defined]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to `cli_errors`, which words them
    hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION)(task)()


sys.modules[__name__].__class__ = CallableModule

if __name__ == "__main__":
    main()
