"""Measure learning curves of small networks on Fashion-MNIST; about fifteen minutes of one core.

    python benchmarks/network_curves.py /usr/share/datasets/fashion-mnist

The folder is the one of Debian's package dataset-fashion-mnist. Images have 14 x 14 pixels, means of 2 x 2. Every run
has the same number of iterations of 128 images, whatever its subset, under AdamW and a cosine; each seed draws its own
nested, unstratified subsets. One in five training labels of the curves named `noisy` is another class. All runs are
tested on the same 10,000 images; `shared` is what a run has in common with that of the largest size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fashion_mnist_curves import read
from torch import nn
from torch.nn.functional import cross_entropy

SIZES = [60_000 // 2**halvings for halvings in range(9, -1, -1)]
SEEDS = (0, 1)
BATCH = 128
WRONG_LABELS = 0.2
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP 256": lambda: nn.Sequential(nn.Flatten(), nn.Linear(196, 256), nn.ReLU(), nn.Linear(256, 10)),
    "MLP 128-128": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    ),
}
CURVES = [  # network, labels, iterations
    ("MLP 256", "clean", 2400),
    ("MLP 128-128", "noisy", 2400),
    ("MLP 256", "noisy", 1200),
    ("MLP 128-128", "clean", 1200),
]


def quarter(images: np.ndarray) -> torch.Tensor:
    """Images of 14 x 14 pixels, (images, 1, 14, 14), about standardised."""
    pixels = images.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    return torch.from_numpy((pixels[:, None] - 0.286) / 0.32)


def train(name: str, images: torch.Tensor, labels: torch.Tensor, iterations: int, seed: int) -> nn.Module:
    """A network after so many iterations, passing over its images in a new order each time."""
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    passes = -(-iterations * BATCH // len(images))
    order = torch.cat([torch.randperm(len(images)) for _ in range(passes)])[: iterations * BATCH]
    for batch in order.split(BATCH):
        loss = cross_entropy(network(images[batch]), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def wrong(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Whether each image is taken for another class."""
    with torch.inference_mode():
        return (network(images).argmax(1) != labels).numpy()


def shared(first: np.ndarray, second: np.ndarray) -> float:
    """The share of the test set's noise that two runs have in common: 2 Cov / (Var + Var) of their mistakes."""
    covariance = np.cov(first, second)
    return float(2 * covariance[0, 1] / np.trace(covariance))


def main(folder: Path) -> None:
    """Measure every curve, and write the table."""
    torch.set_num_threads(1)
    parts = [read(folder, part) for part in ("train", "t10k")]
    (images, labels), (tests, truths) = [(quarter(x), torch.from_numpy(y.astype(np.int64))) for x, y in parts]
    rows = []
    for name, kind, iterations in CURVES:
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            order = torch.from_numpy(rng.permutation(len(images)))
            shift = torch.from_numpy(rng.integers(1, 10, len(images)) * (rng.random(len(images)) < WRONG_LABELS))
            taught = (labels + shift) % 10 if kind == "noisy" else labels
            mistakes = []
            for n in SIZES:
                fitted = train(name, images[order[:n]], taught[order[:n]], iterations, seed)
                mistakes.append(wrong(fitted, tests, truths))
            key = {"network": name, "labels": kind, "iterations": iterations, "seed": seed}
            for n, of_size in zip(SIZES, mistakes, strict=True):
                measured = {"error": round(float(of_size.mean()), 4), "chance_error": 0.9}
                rows.append(key | {"n": n} | measured | {"shared": round(shared(of_size, mistakes[-1]), 2)})
                print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(Path(__file__).parent / "data" / "networks.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
