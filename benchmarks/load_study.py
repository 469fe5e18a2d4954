"""How long a large study takes to load: `python -m benchmarks.load_study [--runs 10000] [--epochs 300]`.

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

from datavol.config.compose import compose
from datavol.data.budget import plan_budget
from datavol.data.subsets import draw_subset
from datavol.runs.folder import RunFolder, best_of
from datavol.study.load.study import load_study

DISTINCT = 20
"""Runs that are written through `RunFolder`, each file whole and safe, which takes longer than copying them."""
MEASURED = ("calibration_error", "images", "loss", "margin_correct", "margin_incorrect", "top1", "top5")


def generate(study: Path, runs: int, epochs: int) -> None:
    """Write a study of `runs` finished runs, with made-up metrics of as many digits as real ones."""
    distinct = [_write(study / f"run-{i:05d}", seed=i, epochs=epochs) for i in range(min(DISTINCT, runs))]
    for i in range(len(distinct), runs):
        shutil.copytree(distinct[i % len(distinct)], study / f"run-{i:05d}")


def _write(path: Path, seed: int, epochs: int) -> Path:
    rng, folder = np.random.default_rng(seed), RunFolder(path)
    (run,) = compose(["model=resnet50", "fraction=0.25", f"seed={seed}", f"epochs={epochs}"])
    subset = draw_subset(np.repeat(np.arange(1000), 10), [str(c) for c in range(1000)], 0.25, "independent", seed)
    manifest = subset.manifest("digits", "f" * 64)
    names = ["lr", "images_per_second", "seconds/train", "seconds/val"]
    names += [f"{split}/{name}" for split in ("train", "val") for name in MEASURED]
    rows = [
        {"budget_epoch": e, "iteration": 79 * e, "images_seen": 10112 * e}
        | dict(zip(names, rng.random(len(names)).tolist(), strict=True))
        for e in range(1, epochs + 1)
    ]
    folder.start(run.values, list(run.overrides), manifest, subset.indices)
    folder.write_rows(rows)
    session = {
        "started": "2026-01-01T00:00:00+00:00",
        "versions": {"datavol": "0.1.0"},
        "code": {"commit": "a" * 40, "changed": False},
        "machine": {"platform": "Linux", "cpus": 8},
        "devices": ["cpu"],
    }
    folder.update(
        **{"name": path.name, "hash": run.config.run_hash, "study": path.parent.name, "config": run.values},
        subset={name: value for name, value in manifest.items() if name != "images_per_class"},
        classes=[f"n{c:08d}" for c in range(1000)],
        budget={"iterations": plan_budget("iterations", epochs, 128, 10_000, len(subset)).iterations},
        **{"validation_images": 50_000, "world_size": 1, "precision": "32", "memory_format": "contiguous"},
        **{"threads": 1, "sessions": [session], "state": "finished", "reason": None},
        **{"last": rows[-1], "best": best_of(rows), "seconds": {"train": 1.0, "val": 1.0}},
    )
    return path


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
