"""Measure networks on Fashion-MNIST at four budgets; about fifteen minutes of one core.

    python benchmarks/budget_curves.py /usr/share/datasets/fashion-mnist

The images are those of `network_curves.py`, and the full set is the first 12,800 of them. Each seed draws its own
nested, unstratified subsets, the same for every budget. `cosine` runs are annealed over their own budget; those of
`cool-down` branch off one run at a constant rate, and fall by 1 - sqrt over the last fifth of their budget. One in
five training labels of the curves named `noisy` is another class, the same for every seed. All runs are tested on the
same 10,000 images; `lost` and `won` are how many of them only the run on the full set, or only this one, gets right.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from fashion_mnist_curves import read
from network_curves import BATCH, NETWORKS, WRONG_LABELS, quarter, wrong
from torch import nn
from torch.nn.functional import cross_entropy

FULL_SET = 12_800
FRACTIONS = (0.05, 0.125, 0.25, 0.5, 0.75, 1.0)
FULL_BUDGET = 2400  # iterations
PARTS = (8, 4, 2, 1)  # of the full budget: an eighth, a quarter, a half, all
RATE, COOL_DOWN = 2e-3, 0.2
STUDIES = [  # network, labels, schedule, seeds
    ("MLP 256", "clean", "cosine", 6),
    ("MLP 256", "noisy", "cosine", 6),
    ("MLP 256", "clean", "cool-down", 3),
]


class Training(NamedTuple):
    """A network on its way: what is needed to go on, or to branch off."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    batches: Iterator[torch.Tensor]


def start(name: str, images: int, iterations: int, seed: int) -> Training:
    """Begin a training whose passes over its images each have a new order."""
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    passes = -(-iterations * BATCH // images)
    order = torch.cat([torch.randperm(images) for _ in range(passes)])[: iterations * BATCH]
    return Training(network, optimiser, iter(order.split(BATCH)))


def go_on(training: Training, rates: np.ndarray, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Train for as many iterations as there are learning rates."""
    for rate in rates:
        batch = next(training.batches)
        for group in training.optimiser.param_groups:
            group["lr"] = rate
        loss = cross_entropy(training.network(images[batch]), labels[batch])
        training.optimiser.zero_grad()
        loss.backward()
        training.optimiser.step()


def by_cosine(name: str, images: torch.Tensor, labels: torch.Tensor, seed: int) -> dict[int, nn.Module]:
    """Train a network for each budget on its own."""
    trained = {}
    for part in PARTS:
        iterations = FULL_BUDGET // part
        training = start(name, len(images), iterations, seed)
        rates = RATE * (1 + np.cos(np.pi * np.arange(iterations) / iterations)) / 2
        go_on(training, rates, images, labels)
        trained[part] = training.network.eval()
    return trained


def by_cool_down(name: str, images: torch.Tensor, labels: torch.Tensor, seed: int) -> dict[int, nn.Module]:
    """Train one network at a constant rate, and cool a copy of it down for each budget."""
    batches = list(start(name, len(images), FULL_BUDGET, seed).batches)  # of the longest branch: the others' are parts
    trunk, done, trained = start(name, len(images), FULL_BUDGET, seed), 0, {}
    for part in PARTS:
        iterations = FULL_BUDGET // part
        cooling = round(COOL_DOWN * iterations)
        go_on(trunk, np.full(iterations - cooling - done, RATE), images, labels)
        done = iterations - cooling
        network, optimiser = copy.deepcopy((trunk.network, trunk.optimiser))  # together: the copy owns its parameters
        branch = Training(network, optimiser, iter(batches[done:]))
        go_on(branch, RATE * (1 - np.sqrt(np.arange(cooling) / cooling)), images, labels)
        trained[part] = network.eval()
    return trained


SCHEDULES = {"cosine": by_cosine, "cool-down": by_cool_down}


def rows_of(
    key: dict[str, str], seed: int, taught: tuple[torch.Tensor, torch.Tensor], tests: tuple[torch.Tensor, torch.Tensor]
) -> list[dict[str, object]]:
    """Train on every fraction for every budget, and count the mistakes: (fractions x budgets) rows."""
    images, labels = taught
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
    mistakes = {}
    for fraction in FRACTIONS:
        chosen = order[: round(fraction * len(images))]
        trained = SCHEDULES[key["schedule"]](key["network"], images[chosen], labels[chosen], seed)
        mistakes |= {(fraction, part): wrong(network, *tests) for part, network in trained.items()}
    rows: list[dict[str, object]] = []
    for (fraction, part), here in mistakes.items():
        whole = mistakes[1.0, part]
        place = {"iterations": FULL_BUDGET // part, "seed": seed, "fraction": fraction}
        size = {"n": round(fraction * len(images)), "error": round(float(here.mean()), 4)}
        rows.append(key | place | size | {"lost": int((here & ~whole).sum()), "won": int((whole & ~here).sum())})
    return rows


def main(folder: Path) -> None:
    """Measure every network, and write the table."""
    torch.set_num_threads(1)
    parts = [read(folder, part) for part in ("train", "t10k")]
    (images, labels), tests = [(quarter(x), torch.from_numpy(y.astype(np.int64))) for x, y in parts]
    images, labels = images[:FULL_SET], labels[:FULL_SET]
    rng = np.random.default_rng(0)
    noisy = (labels + torch.from_numpy(rng.integers(1, 10, FULL_SET) * (rng.random(FULL_SET) < WRONG_LABELS))) % 10
    rows: list[dict[str, object]] = []
    for network, kind, schedule, seeds in STUDIES:
        key = {"network": network, "labels": kind, "schedule": schedule}
        for seed in range(seeds):
            rows += rows_of(key, seed, (images, noisy if kind == "noisy" else labels), tests)
            print(pd.DataFrame(rows[-len(FRACTIONS) * len(PARTS) :]).to_string(), flush=True)
            pd.DataFrame(rows).to_csv(Path(__file__).parent / "data" / "budgets.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
