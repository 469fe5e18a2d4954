"""What groups change, on made-up videos: `python -m benchmarks.videos [--scratch /tmp/videos] [--figure groups.png]`.

A clip is one handwritten digit of scikit-learn in ten frames: shifted, brighter or darker, noisy. Frames of one clip
are alike, clips of one digit are not. Printed are, of a random split and of one that keeps clips whole, how often a
nearest neighbour and a small network are right; the learning curves of whole clips and of frames of all clips; what the
audit finds; and what datavol answers. With two seeds it took 15 minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.processes import datavol_command, environment
from datavol.data.sources.split import Division, grouped_split, stratified_split
from datavol.study.audit.comparability import audit
from datavol.study.load.study import Study, load_study
from datavol.study.questions.answers import answers

FRAMES, SIDE = 10, 16
VAL_FRACTION = 0.5
FRACTIONS = (0.2, 0.4, 0.7, 1.0)
SHIFT, BRIGHTNESS, GRAIN = 1, 0.25, 16.0
NETWORK = (
    *("model=timm", "model.name=test_efficientnet", "recipe=small", "recipe.batch_size=64", "epochs=8"),
    *("trainer=cpu", "trainer.precision=32", "trainer.threads=1", "trainer.memory_format=contiguous"),
    *(f"data.image_size={SIDE}", f"data.resize={SIDE}", "data.short_side=null", "data.flip=0", "data.workers=0"),
)


def frames_of(digit: NDArray[np.float64], rng: np.random.Generator, count: int = FRAMES) -> NDArray[np.uint8]:
    """Film a digit (8, 8) of 0 to 16: (count, 16, 16)."""
    still = np.kron(digit / 16 * 255, np.ones((2, 2)))
    frames = []
    for _ in range(count):
        moved = np.roll(still, rng.integers(-SHIFT, SHIFT + 1, 2), axis=(0, 1))
        light = 1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
        frames.append(np.clip(moved * light + rng.normal(0, GRAIN, moved.shape), 0, 255))
    return np.rint(frames).astype(np.uint8)


def write_clips(folder: Path, clips_per_class: int, frames: int = FRAMES, seed: int = 0) -> Path:
    """Write `frames/<clip>/<frame>.png`, and `clips.csv` with path, label and clip.

    `random.csv` also parts the frames at random, in a column split.
    """
    digits, rng = load_digits(), np.random.default_rng(seed)
    rows = []
    for label in range(10):
        for number in rng.permutation(np.flatnonzero(digits.target == label))[:clips_per_class].tolist():
            clip = f"clip{number:04d}"
            (folder / "frames" / clip).mkdir(parents=True, exist_ok=True)
            for i, frame in enumerate(frames_of(digits.images[number], rng, frames)):
                path = f"frames/{clip}/{i}.png"
                Image.fromarray(frame).save(folder / path)
                rows.append((path, str(label), clip))
    held = np.zeros(len(rows), dtype=bool)
    held[stratified_split(np.array([int(label) for _, label, _ in rows]), VAL_FRACTION, seed)[1]] = True
    _write(folder / "clips.csv", ("path", "label", "clip"), rows)
    parts = [(*row, "val" if val else "train") for row, val in zip(rows, held.tolist(), strict=True)]
    _write(folder / "random.csv", ("path", "label", "clip", "split"), parts)
    return folder


def _write(file: Path, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([head, *rows])


def nearest_neighbour(folder: Path, splits: int = 10) -> dict[str, float]:
    """Measure how often the nearest training frame has the right class, the mean over some splits of each kind."""
    with (folder / "clips.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    pixels = np.array([np.asarray(Image.open(folder / row["path"])).ravel() for row in rows], dtype=float)
    labels = np.array([int(row["label"]) for row in rows])
    clips = np.unique([row["clip"] for row in rows], return_inverse=True)[1]
    kinds = {
        "random": lambda seed: stratified_split(labels, VAL_FRACTION, seed),
        "clips": lambda seed: grouped_split(labels, clips, Division(VAL_FRACTION, seed)),
    }
    right: dict[str, list[float]] = {name: [] for name in kinds}
    for name, seed in product(kinds, range(splits)):
        train, val = kinds[name](seed)
        right[name].append(KNeighborsClassifier(1).fit(pixels[train], labels[train]).score(pixels[val], labels[val]))
    return {name: float(np.mean(scores)) for name, scores in right.items()}


def train(study: str, folder: Path, scratch: Path, *overrides: str, network: tuple[str, ...] = NETWORK) -> Path:
    """Train a study of the clips; gives its folder."""
    command = datavol_command(f"study={study}", "data=table", *network, *overrides, sweep=True)
    done = subprocess.run(command, cwd=scratch, env=environment(scratch), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return scratch / "studies" / study


def curves(folder: Path, scratch: Path, seeds: int = 3, network: tuple[str, ...] = NETWORK) -> Path:
    """Train on whole clips and on frames of all clips."""
    fractions = ",".join(f"{fraction:g}" for fraction in FRACTIONS)
    return train(
        "videos", folder, scratch, f"data.table={folder}/clips.csv", f"data.val_fraction={VAL_FRACTION}",
        "data.group=clip", "draw_by=groups,items", f"fraction={fractions}",
        f"seed={','.join(map(str, range(seeds)))}", network=network,
    )  # fmt: skip


def random_split(folder: Path, scratch: Path, network: tuple[str, ...] = NETWORK) -> Path:
    """Train on all of a random split, whose train and val share clips."""
    table = f"data.table={folder}/random.csv"
    return train("random_split", folder, scratch, table, "data.group=clip", "seed=0,1", network=network)


def accuracies(study: Study) -> dict[tuple[str, float], float]:
    """Average the accuracy of each way to draw and fraction."""
    means: dict[tuple[str, float], float] = study.finished.groupby(["draw_by", "fraction"])["top1"].mean().to_dict()
    return means


def main() -> None:
    """Measure, print, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, help="folder for images and studies; a temporary one by default")
    parser.add_argument("--clips", type=int, default=20, help="clips of each digit")
    parser.add_argument("--figure", type=Path, help="draw the two curves into this file")
    options = parser.parse_args()
    scratch = options.scratch or Path(tempfile.mkdtemp(prefix="videos"))
    folder = write_clips(scratch / "clips", options.clips)
    neighbour = nearest_neighbour(folder)
    print(f"{10 * options.clips} clips of {FRAMES} frames; right, of {VAL_FRACTION:.0%} held out:")
    study, random = load_study(curves(folder, scratch)), load_study(random_split(folder, scratch))
    measured = accuracies(study)
    whole = np.mean([measured["groups", 1.0], measured["items", 1.0]])
    for name, first, second in (
        ("nearest neighbour", neighbour["random"], neighbour["clips"]),
        ("network", random.finished["top1"].mean(), whole),
    ):
        print(f"  {name:17}: random split {first:6.1%}, whole clips {second:6.1%}")
    print("network, clips held out, by training fraction:")
    for fraction in FRACTIONS:
        by_groups, by_items = measured["groups", fraction], measured["items", fraction]
        print(f"  {fraction:6.1%}: whole clips {by_groups:6.1%}, frames of all clips {by_items:6.1%}")
    for finding in audit(random):
        if finding.name == "shared_groups":
            print(f"audit of the random split: {finding}")
    for answer in answers(study):
        if answer.question.startswith("More groups"):
            print(answer)
    if options.figure:
        draw(study, options.figure)


def draw(study: Study, file: Path) -> None:
    """Draw the two learning curves."""
    from datavol.study.figures import accuracy_against_volume
    from datavol.study.report.renderer import draw_into
    from datavol.study.tables.summaries import learning_curve_points

    points = learning_curve_points(study.runs)
    draw_into(file, lambda figure: accuracy_against_volume(points, figure.subplots()))


if __name__ == "__main__":
    sys.exit(main())
