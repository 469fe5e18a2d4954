"""Runs datavol's commands in processes that need not import torch again."""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

from factories.small_runs import HANG

# A server, started once per pytest process, imports these and forks a child per command: some seconds less for each.
# What is imported when is tested on fresh processes (tests/test_bad_inputs.py)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["torch", "lightning.pytorch", "timm", "torchmetrics", "wandb", "pandas", "matplotlib.pyplot"]
)


def run_command(place: Path, entry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m datavol.<entry> ...` in a folder, to its end."""
    streams = place.with_name("stdout"), place.with_name("stderr")
    given = (str(place), dict(os.environ), f"datavol.{entry}", arguments, streams)
    process = FORKS.Process(target=_run, args=given)
    process.start()
    process.join(HANG)
    assert process.exitcode is not None, "it hangs"
    out, err = (stream.read_text() for stream in streams)
    return subprocess.CompletedProcess([entry, *arguments], process.exitcode, out, err)


def _run(
    place: str, environment: dict[str, str], module: str, arguments: tuple[str, ...], streams: tuple[Path, Path]
) -> None:
    multiprocessing.set_start_method("fork", force=True)  # as in a fresh process, for the workers of loaders
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
