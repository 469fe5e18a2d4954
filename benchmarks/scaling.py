"""Check the predictions of `datavol.plan` against one and two ranks on the CPU: `python -m benchmarks.scaling`.

    python -m benchmarks.scaling [--repeats 5] [--epochs 6]

Each rank gets a core (two cores are needed). What a prediction rests on is measured apart from what it predicts: a
device's steps and loading in processes that do not communicate, as many at once as there will be ranks, because cores
share memory and GPUs do not; and the link by all-reduces of two sizes over gloo. Then `datavol.run` trains on one and
two ranks with DistributedDataParallel. The table has medians over the repeats. Another follows for 1 to 64 devices in
nodes of four as `plan.node` assumes them, each as fast as one core of this machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import distributed, multiprocessing

from datavol.config.compose import compose
from datavol.config.run import Run
from datavol.data.prepare import prepare
from datavol.planning.network_sizes import known_parameters
from datavol.planning.prediction import Steps, scale
from datavol.planning.scaling_model import BUCKET_BYTES, DeviceSpeed, Link, Node, Prediction, predict_speed, step_line
from datavol.planning.tables import print_scaling
from datavol.runs.folder import runs_of
from datavol.sweep.job import write_job

RANKS = (1, 2)
EXCHANGES = 20
SMALL_MESSAGE = 4096  # bytes
SHARED = ["logger=csv", "trainer=cpu", "trainer.strategy=ddp", "trainer.threads=1", "predictions=none"]
CASES = {
    "MobileNetV2, 32 px, batch 128": ["model=mobilenet_v2", "recipe.batch_size=128"],
    "ResNet50, 16 px, batch 8": [
        "model=resnet50",
        "recipe.batch_size=8",
        "data.image_size=16",
        "data.resize=16",
        "data.images=240",
    ],
}


@dataclass(frozen=True)
class Check:
    """One prediction and what was measured: images per second."""

    predicted: Prediction
    measured: float


def main() -> None:
    """Print predictions beside measurements, then the table for 1 to 64 devices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6, help="budget epochs of each run; the first is not counted")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        print(f"{'':32}ranks  predicted  measured   error  limited by")
        for name, overrides in CASES.items():
            found: dict[int, list[Check]] = {ranks: [] for ranks in RANKS}
            for repeat in range(arguments.repeats):
                for ranks in RANKS:
                    options = [*SHARED, *overrides, f"epochs={arguments.epochs}", f"trainer.devices={ranks}"]
                    found[ranks].append(check([*options, f"study=scaling{repeat}-{ranks}-{len(name)}"], ranks))
            for ranks, checks in found.items():
                print(row(name if ranks == 1 else "", ranks, checks), flush=True)
        print_table([*SHARED[:1], *next(iter(CASES.values())), "trainer=ddp"])


def row(name: str, ranks: int, checks: list[Check]) -> str:
    """A line of the table."""
    predicted = statistics.median(one.predicted.images_per_second for one in checks)
    measured = statistics.median(one.measured for one in checks)
    limiting = statistics.mode(one.predicted.limiting for one in checks)
    error = predicted / measured - 1
    return f"{name:32}{ranks:5}  {predicted:9.1f}  {measured:8.1f}  {error:+6.1%}  {limiting}"


def check(options: list[str], ranks: int) -> Check:
    """Predict the pace of a run on so many ranks, and run it."""
    (run,) = compose(options)
    steps, decode = time_devices(run, ranks)
    classes = len(prepare(run.config).source.classes)
    gradients = 4 * (known_parameters(run.config.model, classes) or 0)
    link = time_link(gradients) if ranks > 1 else Link(math.inf)
    node = Node(ranks, ranks, math.inf, link, link, workers=0)
    measured = DeviceSpeed(*step_line(min(steps), max(steps)), decode, 0.0, gradients)
    return Check(predict_speed(measured, node, run.config.recipe.batch_size, ranks), train(run, options))


def time_devices(run: Run, ranks: int) -> tuple[Steps, float]:
    """Mean steps and loading of so many lone devices, timed at the same time."""
    file = Path("device.json")
    write_job(file, run)
    command = [sys.executable, "-m", "datavol.planning.throughput", str(file), "device"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(ranks)]
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    sizes = [size for size, _ in found[0]["steps"]]
    seconds = [statistics.mean(one["steps"][place][1] for one in found) for place in range(len(sizes))]
    return list(zip(sizes, seconds, strict=True)), statistics.mean(one["decode_per_core"] for one in found)


def time_link(size: int) -> Link:
    """The link that two gloo ranks of this machine share, from all-reduces of a small message and of a bucket."""
    bucket = min(size, BUCKET_BYTES)
    with tempfile.TemporaryDirectory() as place:
        meeting = f"file://{place}/meeting"
        multiprocessing.spawn(_exchange, (meeting, bucket, f"{place}/seconds"), nprocs=2)
        small, large = json.loads(Path(place, "seconds").read_text())
    return Link(bucket / max(large - small, 1e-9), small / 2)  # two rounds of half the message each


def _exchange(rank: int, meeting: str, size: int, answer: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    medians = []
    for one in (SMALL_MESSAGE, size):
        message, seconds = torch.zeros(one // 4), []
        for _ in range(EXCHANGES):
            distributed.barrier()
            began = time.perf_counter()
            distributed.all_reduce(message)
            seconds.append(time.perf_counter() - began)
        medians.append(statistics.median(seconds))
    if rank == 0:
        Path(answer).write_text(json.dumps(medians))
    distributed.destroy_process_group()


def train(run: Run, options: list[str]) -> float:
    """Images per second of a real run, the median of its budget epochs after the first."""
    subprocess.run([sys.executable, "-m", "datavol.run", *options], check=True, stdout=subprocess.DEVNULL)
    (folder,) = runs_of(run.folder.parent)
    return statistics.median(row["images_per_second"] for row in folder.rows[1:])


def print_table(options: list[str]) -> None:
    """The table for 1 to 64 devices, from the lone device of this machine."""
    (here,) = compose([*options, "trainer.accelerator=cpu", "trainer.threads=1"])
    (there,) = compose(options)
    steps, decode = time_devices(here, 1)
    print_scaling(Console(width=120), scale(there.config, prepare(there.config), steps, decode))


if __name__ == "__main__":
    main()
