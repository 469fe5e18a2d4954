"""Read the learning curves of `benchmarks/data`, and cut windows from them to forecast from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from datavol.study.curves.checks import AT_CHANCE

DATA = Path(__file__).parent / "data"
FILES = {  # the table of each source, what makes a curve of it, and what must not be parted between fit and test
    "LCDB": ("lcdb.csv", ["dataset", "learner"], "dataset"),
    "Fashion-MNIST, scikit-learn": ("fashion_mnist.csv", ["learner", "seed"], "learner"),
    "Fashion-MNIST, networks": ("networks.csv", ["network", "labels", "iterations", "seed"], "network"),
    "few-shot vision": ("network_curves.csv", ["curve"], "family"),
    "medical images": ("network_curves.csv", ["source", "curve"], "family"),
}

ALIKE = {
    "Fashion-MNIST, networks": "Fashion-MNIST, scikit-learn",
    "Fashion-MNIST, scikit-learn": "Fashion-MNIST, networks",
}
"""Sources of the same images, which are left out together."""

TIMES = (2, 4)  # multiples of the largest size that are forecast
NEAR = 0.35  # doublings by which the nearest measured size may miss a multiple


@dataclass(frozen=True, eq=False)
class Window:
    """Sizes of a curve with the errors of their runs, and what came after them."""

    family: str
    n: np.ndarray  # (sizes,)
    errors: tuple[np.ndarray, ...]  # a size's runs
    later_n: np.ndarray  # near 2 and 4 times the largest size (later,)
    later: tuple[np.ndarray, ...]
    chance_error: float

    @property
    def runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Size and error of every run, (runs,) each."""
        return np.repeat(self.n, [len(runs) for runs in self.errors]), np.concatenate(self.errors)

    @property
    def truth(self) -> np.ndarray:
        """Mean errors at the later sizes (later,)."""
        return np.array([runs.mean() for runs in self.later])


def windows(source: str, lengths: Sequence[int] = (3, 4, 5, 6)) -> list[Window]:
    """All windows of so many sizes, that end below chance and after which 2 or 4 times as much was measured."""
    _, keys, family = FILES[source]
    return [window for _, curve in runs_of(source).groupby(keys) for window in windows_of(curve, family, lengths)]


def runs_of(source: str) -> pd.DataFrame:
    """The runs of a source; in `task` what networks of one study were trained for, where the curve's name has it."""
    file = FILES[source][0]
    table = pd.read_csv(DATA / file)
    if file != "network_curves.csv":
        return table
    table = table[table["source"].str.startswith("medical" if source == "medical images" else source)]
    return table.assign(task=table["curve"].str.replace(r"^.*/\d+/", "", regex=True))  # without the network or label


def windows_of(curve: pd.DataFrame, family: str, lengths: Sequence[int]) -> list[Window]:
    """The windows of one curve."""
    n = np.unique(curve["n"].to_numpy(float))
    errors = tuple(curve.loc[curve["n"] == size, "error"].to_numpy() for size in n)
    chance, name = float(curve["chance_error"].iloc[0]), str(curve[family].iloc[0])
    found = []
    for end in range(min(lengths), len(n)):
        apart = [np.abs(np.log2(n[end:] / (times * n[end - 1]))) for times in TIMES]
        after = sorted({end + int(one.argmin()) for one in apart if one.min() < NEAR})
        if not after or errors[end - 1].mean() > AT_CHANCE * chance:
            continue
        later = tuple(errors[i] for i in after)
        found += [
            Window(name, n[end - k : end], errors[end - k : end], n[after], later, chance) for k in lengths if k <= end
        ]
    return found


def some(chosen: Sequence[Window], count: int, seed: int = 0) -> list[Window]:
    """So many of the windows, drawn without repetition."""
    return [chosen[i] for i in np.random.default_rng(seed).permutation(len(chosen))[:count]]


def tested(window: Window, test_size: int | None, common: float, rng: np.random.Generator) -> Window:
    """The window as it had been measured on so many test images, a share of whose noise all runs have in common."""
    if test_size is None:
        return window
    ours = rng.standard_normal()

    def measured(runs: np.ndarray) -> np.ndarray:
        if common == 0:
            return rng.binomial(test_size, np.clip(runs, 0, 1)) / test_size
        spread = np.sqrt(np.clip(runs * (1 - runs), 0, None) / test_size)
        own = rng.standard_normal(len(runs))
        return np.clip(runs + spread * (common**0.5 * ours + (1 - common) ** 0.5 * own), 0, 1)

    return replace(window, errors=tuple(map(measured, window.errors)), later=tuple(map(measured, window.later)))


def halves(chosen: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    """The windows in two halves that share no family."""
    names = np.random.default_rng(0).permutation(sorted({window.family for window in chosen}))
    first = set(names[: len(names) // 2])
    return [w for w in chosen if w.family in first], [w for w in chosen if w.family not in first]
