"""Wall time of a sweep: six fractions of Fashion-MNIST by datavol, and by the reference loop as the thesis ran it.

The thesis ran train.py once per fraction with the settings of its table 6: epochs and step size divided by the
fraction, an evaluation after each of those epochs. Both sides count from command to end, process start included. The
validation set is whole, as it is for whoever draws subsets: those evaluations are most of what the reference does.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path

from benchmarks.fashion_mnist import write_share
from benchmarks.processes import DATAVOL_EPOCH, PEER_EPOCH, datavol_command, peer_command, run_timed, runs_in
from benchmarks.results import Row, ratio_row
from benchmarks.settings import Settings
from benchmarks.throughput import TORCHVISION

FRACTIONS = (0.05, 0.125, 0.25, 0.5, 0.75, 1.0)
IMAGES = (6000, 10000)
EPOCHS = 4
TARGET = 5.0
PACKED = "sweep.parallel=auto"


def names() -> list[str]:
    """The rows."""
    return ["sweep", "sweep-packed"]


def measure(wanted: Collection[str], settings: Settings) -> Iterator[Row]:
    """Measure the sweep once by datavol's defaults and once packed, as far as they are wanted."""
    rows = [name for name in names() if name in wanted]
    if not rows:
        return
    counts, epochs, fractions = ((256, 100), 1, (0.5, 1.0)) if settings.smoke else (IMAGES, EPOCHS, FRACTIONS)
    data = write_share(settings.fashion_mnist, settings.scratch / "share", *counts)
    theirs = sum(reference_seconds(data, fraction, epochs, settings) for fraction in fractions)
    shares = ", ".join(f"{100 * fraction:g} %" for fraction in fractions)
    title = f"sweep of {len(fractions)} fractions, MobileNetV2, Fashion-MNIST, wall time"
    peer = f"{TORCHVISION}, run {len(fractions)} times with the thesis's table 6"
    note = (
        f"{counts[0]:,} training and {counts[1]:,} validation images, stratified; {epochs} budget epochs; {shares}; "
        "wall time from command to end"
    )
    for name in rows:
        options, target = ([PACKED], None) if name == "sweep-packed" else ([], TARGET)
        ours = datavol_seconds(name, data, fractions, [f"epochs={epochs}", *options], settings)
        how = ", ".join([title, *options])
        yield ratio_row(name, how, peer, target, [ours], [theirs], unit="s", note=note)


def reference_seconds(data: Path, fraction: float, epochs: int, settings: Settings) -> float:
    """One fraction as the thesis ran it (appendix A.2.1 and table 6)."""
    command = peer_command(
        "torchvision",
        f"--data={data}",
        "--size=32",
        "--resize=32",
        "--batch-size=128",
        f"--fraction={fraction}",
        f"--epochs={round(epochs / fraction)}",
        f"--lr-step-size={round(1 / fraction)}",
        "--lr-gamma=0.98",
        "--lr=0.045",
        "--weight-decay=4e-5",
    )
    return _wall_time(command, PEER_EPOCH, settings.scratch / f"reference-{fraction:g}", settings)


def datavol_seconds(
    name: str, data: Path, fractions: tuple[float, ...], options: list[str], settings: Settings
) -> float:
    """The same as one sweep of datavol's."""
    command = datavol_command(
        "data=fashion_mnist",
        f"data.root={data}",
        "model=mobilenet_v2",
        "recipe=thesis_mobilenet_v2",
        *options,
        f"fraction={','.join(map(str, fractions))}",
        sweep=True,
    )
    place = settings.scratch / name
    seconds = _wall_time(command, DATAVOL_EPOCH, place, settings)
    finished = [run for run in runs_in(place) if run.state == "finished"]
    if len(finished) != len(fractions):
        raise RuntimeError(f"{len(finished)} of {len(fractions)} runs of the sweep finished")
    return seconds


def _wall_time(command: list[str], pattern: str, place: Path, settings: Settings) -> float:
    began = time.perf_counter()
    run_timed(command, pattern, place, settings.scratch)
    seconds = time.perf_counter() - began
    settings.say(f"{place.name}: {seconds:.1f} s")
    return seconds
