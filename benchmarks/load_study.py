"""Times loading of a large study: `python -m benchmarks.load_study [--runs 10000] [--epochs 300]`.

Generates the study in a temporary folder (10,000 runs of 300 budget epochs: 1.7 GB), loads it once, prints the seconds.
What the disk's cache holds afterwards is as fresh as after training; a cold disk adds the time to read the files.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from datavol.runs.folder import RunFolder, best_of
from datavol.study.load.study import load_study
from tests.factories.run_folders import write_run

DISTINCT = 20
"""Runs that are written through `RunFolder`, each file whole and safe, which takes longer than copying them."""


def generate(study: Path, runs: int, epochs: int) -> None:
    """Write finished runs, with metrics of as many digits as real ones."""
    distinct = [_write(study, seed, epochs) for seed in range(min(DISTINCT, runs))]
    for i in range(len(distinct), runs):
        original = distinct[i % len(distinct)]
        copy = RunFolder(shutil.copytree(original.path, study / f"run-{i:05d}"))
        text = (copy.path / "run.json").read_text()  # a run of its own, which counts beside the original
        (copy.path / "run.json").write_text(text.replace(str(original.record["hash"]), f"{i:08x}"))


def _write(study: Path, seed: int, epochs: int) -> RunFolder:
    rng, folder = np.random.default_rng(seed), write_run(study, "resnet50", 0.25, seed, epochs=epochs)
    rows = [{name: rng.random() if "/" in name else value for name, value in row.items()} for row in folder.rows]
    folder.write_rows(rows)
    folder.update(last=rows[-1], best=best_of(rows), classes=[f"n{c:08d}" for c in range(1000)])
    return folder


def main() -> None:
    """Generate, load, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), asked.runs, asked.epochs)
        began = time.perf_counter()
        study = load_study(folder)
        seconds = time.perf_counter() - began
    assert len(study.finished) == asked.runs
    assert len(study.epochs) == asked.runs * asked.epochs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{asked.runs:,} runs x {asked.epochs} budget epochs: {seconds:.1f} s, peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
