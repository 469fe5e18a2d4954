"""How long datavol takes to start: `python -m benchmarks.start_up [--repeats 5]`.

Seconds from a command to its end where it only asks or is refused; from a command to its first iteration on
Fashion-MNIST, and how much of that importing the libraries takes; and to open a table of 1.28 million files that was
kept, and to draw a subset of as many images. The medians are of fresh processes, the files warm in memory.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fashion_mnist import SOURCE
from benchmarks.processes import datavol_command, environment
from datavol.data.sources.files import file_table as file_tables
from datavol.data.subsets import draw_subset

ASKING = {"--help": ["--help"], "a wrong key": ["recipe.batchsize=64"], "a wrong value": ["fraction=1.5"]}
LIBRARIES = ("torch", "torchvision", "lightning.pytorch", "datavol.training.trainer")
CLASSES, IMAGES = 1000, 1_281_167  # of ImageNet's training set
LABELS = np.arange(IMAGES) * CLASSES // IMAGES
STARTED, SETTLED = "started", "settled"


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = range(parser.parse_args().repeats)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        for name, arguments in ASKING.items():
            print(row(name, [seconds_of(partial(ask, arguments, scratch)) for _ in repeats]))
        started = [first_iteration(scratch, repeat) for repeat in repeats]
        print(row("Fashion-MNIST to the first iteration", [one[STARTED] for one in started]))
        for library in LIBRARIES:
            print(row(f"  of which importing {library}", [one[library] for one in started]))
        print(row("  of which timing what is `auto`", [one[SETTLED] for one in started]))
        keep_table(scratch)
        table = partial(file_tables.file_table, str(scratch / "images"), str(scratch))
        print(row(f"table of {IMAGES:,} files", [seconds_of(table) for _ in repeats]))
    names, labels = [str(label) for label in range(CLASSES)], np.random.default_rng(0).permutation(LABELS)
    draw = partial(draw_subset, labels, names, 0.05, "independent", 0)
    print(row(f"subset of 5 % of {IMAGES:,} images", [seconds_of(draw) for _ in repeats]))


def row(name: str, seconds: list[float]) -> str:
    """A line of the output."""
    return f"{name:50}{statistics.median(seconds):7.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask(arguments: list[str], scratch: Path) -> None:
    """A command that trains nothing."""
    command = [sys.executable, "-m", "datavol.run", *arguments]
    subprocess.run(command, capture_output=True, cwd=scratch, env=environment(scratch), check=False)


def first_iteration(scratch: Path, repeat: int) -> dict[str, float]:
    """Seconds from the command to the first iteration of a new study, and of what is in them.

    A library's import is what it takes beyond those before it. What is `auto` is timed in a study's first run alone.
    """
    place = scratch / f"start{repeat}"
    place.mkdir()
    words = datavol_command("data=fashion_mnist", f"data.root={SOURCE}", "model=mobilenet_v2")
    child = [sys.executable, "-c", "from benchmarks import start_up; start_up.watched()", str(time.time())]
    done = subprocess.run(
        [*child, *words[3:]], stdout=subprocess.PIPE, text=True, cwd=place, env=environment(scratch), check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def watched() -> None:
    """`datavol.run` in this process, which ends where its first iteration begins."""
    began = float(sys.argv.pop(1))
    found = {name: seconds_of(partial(importlib.import_module, name)) for name in LIBRARIES}
    from datavol import run
    from datavol.training import trainer
    from datavol.training.module import Classifier

    real, times = trainer.resolve_auto, [0.0, 0.0]

    def resolve_auto(*given: Any) -> Any:
        times[0] = time.time()
        settled = real(*given)
        times[1] = time.time()
        return settled

    def first_step(*_: object) -> None:
        print(json.dumps(found | {SETTLED: times[1] - times[0], STARTED: time.time() - began}), flush=True)
        os._exit(0)

    trainer.resolve_auto = resolve_auto
    Classifier.training_step = first_step  # type: ignore[assignment, method-assign]
    run.main()


def keep_table(scratch: Path) -> None:
    """Keep the table of a folder of ImageNet's shape; of what it lists, only folders are looked at again."""
    names = [f"n{label:08d}" for label in range(CLASSES)]
    for name in names:
        (scratch / "images" / name).mkdir(parents=True)
    scanned = file_tables.file_table(str(scratch / "images"), str(scratch))
    paths = (f"{names[label]}/{names[label]}_{number}.JPEG".encode() for number, label in enumerate(LABELS.tolist()))
    kept = replace(scanned, paths=file_tables.join_names(paths), labels=LABELS.astype(np.int32))
    file_tables._write(kept, file_tables.cache_path(scanned.root, str(scratch)))


if __name__ == "__main__":
    main()
