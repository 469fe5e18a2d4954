"""Writes a hundred images of each of Fashion-MNIST's ten classes as a folder of PNG files."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from datavol.data.sources.arrays import fashion_mnist


def write(root: Path, out: Path, each: int) -> None:
    """Write the first images of every class."""
    classes, train, _ = fashion_mnist(str(root), download=False)
    for label, name in enumerate(classes):
        folder = out / name.replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for position in np.flatnonzero(train.labels == label)[:each]:
            Image.fromarray(train.images[position]).save(folder / f"{position:05d}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="the folder of the four idx files")
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=100, help="images of each class")
    arguments = parser.parse_args()
    write(arguments.root, arguments.out, arguments.each)
