"""Times draws by groups from a training set of the size of ImageNet-1K: `python -m benchmarks.group_draws`.

1,281,167 images of 1,000 classes in groups of ten, in mixed order. Printed are seconds and the memory that a draw takes
beside the labels and groups it is given.
"""

import time
import tracemalloc

import numpy as np

from datavol.data.sources.imagenet_shape import CLASSES, imagenet_class_sizes
from datavol.data.subsets import draw_subset

PER_GROUP = 10


def labels_and_groups() -> tuple[np.ndarray, np.ndarray]:
    """Make the labels and the groups of all images."""
    labels = np.repeat(np.arange(CLASSES), imagenet_class_sizes())
    groups = np.arange(len(labels)) // PER_GROUP  # some reach over two classes
    order = np.random.default_rng(0).permutation(len(labels))
    return labels[order], groups[order]


def measure(by: str, draw: str, fraction: float) -> tuple[float, float]:
    """Return the seconds and the megabytes of a draw."""
    labels, groups = labels_and_groups()
    names = [f"class {c}" for c in range(CLASSES)]
    started = time.perf_counter()
    draw_subset(labels, names, fraction, draw, 0, groups=groups, by=by)
    seconds = time.perf_counter() - started
    tracemalloc.start()
    draw_subset(labels, names, fraction, draw, 0, groups=groups, by=by)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 1e6


def main() -> None:
    """Print a line per draw."""
    for by in ("groups", "items"):
        for draw in ("independent", "nested", "disjoint"):
            for fraction in (0.05, 0.5):
                seconds, megabytes = measure(by, draw, fraction)
                print(f"{by:6} {draw:11} {fraction:4}: {seconds:.2f} s, {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
