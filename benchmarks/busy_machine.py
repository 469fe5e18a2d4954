"""Measure training beside busy processes: `python -m benchmarks.busy_machine --help`.

Each sample is a fresh process that trains for ten seconds as `datavol.run` does, beside processes that only compute.
With and without `BriefSpinning` take turns, and a second column has one torch thread. The table has medians of images
per second, and in brackets the smallest and largest.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack

from datavol.config.compose import compose
from datavol.planning.throughput import measure_run
from datavol.training.hardware.spinning import BriefSpinning

CASES = {
    "MobileNetV2, 32 px": ["model=mobilenet_v2"],
    "ResNet50, 64 px": ["model=resnet50", "data.image_size=64", "data.resize=64"],
}
WAYS = {"spinning": [], "brief spinning": [], "one thread": ["trainer.threads=1"]}
SPIN = [sys.executable, "-c", "while True: pass"]


def sample(case: str, way: str) -> None:
    """Print the images per second of one training."""
    if way == "spinning":  # torch's own
        BriefSpinning.__enter__ = lambda self: self  # type: ignore[method-assign]
    run = compose(["logger=csv", "trainer=cpu", *CASES[case], *WAYS[way]])[0]
    print(json.dumps(measure_run(run)["train"]))


def measure(case: str, way: str, busy: int) -> float:
    """Measure images per second in a fresh process beside `busy` others."""
    with ExitStack() as stack:
        for _ in range(busy):
            stack.callback(stack.enter_context(subprocess.Popen(SPIN)).kill)
        command = [sys.executable, "-m", "benchmarks.busy_machine", "--sample", case, way]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return float(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sample", nargs=2, metavar=("CASE", "WAY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sample:
        sample(*arguments.sample)
        return
    for case in arguments.cases:
        quiet = 0.0
        for busy in arguments.busy:
            speeds = defaultdict(list)
            for _ in range(arguments.repeats):
                for way in arguments.ways:
                    speeds[way].append(measure(case, way, busy))
            quiet = quiet or statistics.median(speeds[arguments.ways[0]])  # of the first row
            cells = [
                f"{way} {statistics.median(found):6.1f} ({min(found):.1f} to {max(found):.1f}), "
                f"{statistics.median(found) / quiet:.2f} of quiet"
                for way, found in speeds.items()
            ]
            print(f"{case}, {busy} busy: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
