"""Measure the learning curves of scikit-learn's learners on Fashion-MNIST; about five minutes on one core.

    python benchmarks/fashion_mnist_curves.py /usr/share/datasets/fashion-mnist

The folder is the one of Debian's package dataset-fashion-mnist. Each seed draws its own nested, unstratified subsets.
"""

from __future__ import annotations

import gzip
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

SIZES = [2**power for power in range(5, 14)]
SEEDS = (0, 1, 2)
LEARNERS = {
    "random forest": lambda seed: RandomForestClassifier(100, random_state=seed),
    "extra trees": lambda seed: ExtraTreesClassifier(100, random_state=seed),
    "nearest neighbour": lambda seed: KNeighborsClassifier(1),
    "five neighbours": lambda seed: KNeighborsClassifier(5),
    "logistic regression": lambda seed: LogisticRegression(max_iter=50),
    "support vectors": lambda seed: SVC(),
    "MLP 64": lambda seed: MLPClassifier((64,), max_iter=40, random_state=seed),
    "MLP 128-64": lambda seed: MLPClassifier((128, 64), max_iter=40, random_state=seed),
}


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as rows of shares in [0, 1], and their labels."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28 * 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        return images.astype(np.float32) / 255, np.frombuffer(file.read(), np.uint8, offset=8)


def main(folder: Path) -> None:
    """Measure every learner at every size and seed, and write the table."""
    images, labels = read(folder, "train")
    test_images, test_labels = read(folder, "t10k")
    warnings.simplefilter("ignore", ConvergenceWarning)  # few passes are part of the learners above
    rows = []
    for name, learner in LEARNERS.items():
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(images))
            for n in SIZES:
                fitted = learner(seed).fit(images[order[:n]], labels[order[:n]])
                error = 1 - fitted.score(test_images, test_labels)
                rows.append({"learner": name, "seed": seed, "n": n, "error": round(error, 4), "chance_error": 0.9})
                print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(Path(__file__).parent / "data" / "fashion_mnist.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
